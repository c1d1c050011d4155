//! What works on this machine and what does not: what is asked first, and the lines of `doctor`.

use std::fs;

use runspan_engine::{Check, CheckState, NetworkError};
use rustix::thread::{CapabilitySet, capabilities};

use crate::{host::HostNetwork, links::Netlink, range::PREFIX, resolver::RELAY, survey::Survey};

const NAME: &str = "private networks";
/// From here on the rules can ask where a packet came from when it leaves.
const OLDEST_KERNEL: (u32, u32) = (5, 7);

/// The line for a machine or a user that cannot have private networks.
pub fn unavailable(error: &NetworkError) -> Check {
    let (finding, remedy) = match error {
        NetworkError::Unavailable { reason, remedy } => (reason.clone(), remedy.clone()),
        NetworkError::Other { .. } => (error.to_string(), "see the kernel's log".into()),
    };
    warning(format!("{finding}; container engines have their own, which take longer to make"), remedy)
}

/// What must hold before anything is tried.
pub(crate) fn prerequisites() -> Result<(), NetworkError> {
    let unavailable =
        |reason: String, remedy: &str| Err(NetworkError::Unavailable { reason, remedy: remedy.into() });
    let needed = CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN;
    if !capabilities(None).is_ok_and(|held| held.effective.contains(needed)) {
        return unavailable("CAP_NET_ADMIN and CAP_SYS_ADMIN are not held".into(), "run as root");
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if version(&release).is_some_and(|version| version < OLDEST_KERNEL) {
        return unavailable(format!("Linux {release} is too old"), "use Linux 5.7 or newer");
    }
    if rustix::fs::access("/proc/sys/net/ipv4/conf/all/forwarding", rustix::fs::Access::WRITE_OK).is_err() {
        return unavailable(
            "/proc/sys cannot be written".into(),
            "mount it writable, or leave the container",
        );
    }
    if has_legacy_filter(&fs::read_to_string("/proc/thread-self/net/ip_tables_names").unwrap_or_default()) {
        return unavailable(
            "this machine's firewall is the old iptables, whose rules cannot be told from here".into(),
            "use iptables-nft (on Debian `update-alternatives --set iptables /usr/sbin/iptables-nft`, then restart)",
        );
    }
    Ok(())
}

fn has_legacy_filter(tables: &str) -> bool {
    tables.lines().any(|table| table == "filter")
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

pub(crate) fn all(network: &HostNetwork) -> Vec<Check> {
    match findings(network) {
        Ok(checks) => checks,
        Err(error) => vec![unavailable(&error)],
    }
}

fn findings(network: &HostNetwork) -> Result<Vec<Check>, NetworkError> {
    prerequisites()?;
    let mut netlink = Netlink::new();
    let survey = Survey::take(&mut netlink)?;
    let range = survey.range(network.range())?;
    let names = network.names()?;
    let servers = match names.relay {
        Some(server) => format!("{server}, through {}", RELAY),
        None => names.resolver.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let mut checks = vec![good(format!(
        "{} in use, {} have room in {range}; names from {servers}",
        survey.ours().count(),
        range.slots()
    ))];
    if survey.uplinks().is_empty() {
        checks.push(warning(
            "this machine has no default route".into(),
            "connect it, or builds reach nothing".into(),
        ));
    }
    for chain in netlink.foreign_forward_chains()? {
        if chain.drops && !chain.is_iptables() {
            checks.push(warning(
                format!(
                    "chain {} of table {} drops what it forwards and does not know",
                    chain.name, chain.table
                ),
                format!("add `iifname \"{PREFIX}*\" accept` and `oifname \"{PREFIX}*\" accept` to it"),
            ));
        }
    }
    Ok(checks)
}

fn good(finding: String) -> Check {
    Check { name: NAME.into(), state: CheckState::Good, finding }
}

fn warning(finding: String, remedy: String) -> Check {
    Check { name: NAME.into(), state: CheckState::Warning { remedy }, finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_any_release() {
        assert_eq!(version("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(version("5.7"), Some((5, 7)));
        assert_eq!(version("odd"), None);
    }

    #[test]
    fn only_a_filter_of_the_old_iptables_counts() {
        assert!(has_legacy_filter("nat\nfilter\n"));
        assert!(!has_legacy_filter("nat\n") && !has_legacy_filter(""));
    }
}

//! What works on this machine and what does not: the lines of `doctor`.

use std::fs;
use std::path::Path;

use runspan_engine::{
    Check, CheckState, Company, Container, ExecutorError, Limits, Network, NetworkError, RootFs, Tuning,
};

use crate::cgroup::Hierarchy;
use crate::executor::Sandboxes;
use crate::placing::{Placing, Plan, Rooms};

pub(crate) async fn all(sandboxes: &Sandboxes) -> Vec<Check> {
    let mut checks = rehearsal(sandboxes).await;
    checks.push(limits(Hierarchy::find().as_ref()));
    checks.extend(networks(sandboxes));
    checks.push(leftovers(sandboxes));
    checks
}

/// Makes a sandbox in which nothing is started: whatever stands in the way says so itself.
async fn rehearsal(sandboxes: &Sandboxes) -> Vec<Check> {
    let name = "sandbox";
    let place = sandboxes.state.place(&format!("doctor-{}", std::process::id()));
    let place_again = place.clone();
    let container = Container {
        attempt: place.attempt().to_owned(),
        root: RootFs::Host,
        registry_login: None,
        limits: Limits::default(),
        privileged: false,
        engine_socket: false,
        network: Network::None,
        run_dir: "/dev/null".into(),
        agent: "/dev/null".into(),
        mounts: Vec::new(),
        tuning: Tuning::default(),
        company: Company::Alone,
    };
    let plan = Plan { container, rooms: Rooms::Host, is_rehearsal: true };
    let tried = Placing::carry_out(sandboxes, plan, &|_| {}).await;
    let removing = sandboxes.clone();
    let removed = tokio::task::spawn_blocking(move || removing.remove(&place_again)).await;
    let placed = match tried {
        Ok(placed) => placed,
        Err(error) => {
            let reason = match error {
                ExecutorError::Start { reason, .. } => reason,
                other => other.to_string(),
            };
            return vec![bad(name, &reason, &remedy(&reason))];
        }
    };
    let is_root = rustix::process::geteuid().is_root();
    let who = if is_root { "root" } else { "an ordinary user, with one user inside: root" };
    let mut checks = vec![match removed {
        Ok(Ok(())) => good(name, format!("sandboxes start, as {who}")),
        Ok(Err(error)) => bad(name, &format!("a sandbox cannot be removed: {error}"), "see the kernel's log"),
        Err(error) => bad(name, &error.to_string(), "see the kernel's log"),
    }];
    if is_root {
        checks.push(match placed.same_ids {
            None => good("sandbox users", "root inside is nobody outside"),
            Some(why) => warning(
                "sandbox users",
                &format!("root inside is root outside, without its rights: {why}"),
                "keep the state directory and images on ext4, xfs or btrfs, under Linux 5.19 or newer",
            ),
        });
    }
    checks
}

/// What to do about the usual refusals.
fn remedy(reason: &str) -> String {
    let setting = |name: &str| fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default();
    let is = |name: &str, value: &str| setting(name).trim() == value;
    let is_root = rustix::process::geteuid().is_root();
    if is("user/max_user_namespaces", "0") {
        return "sysctl -w user.max_user_namespaces=15000".into();
    }
    if !is_root && is("kernel/unprivileged_userns_clone", "0") {
        return "sysctl -w kernel.unprivileged_userns_clone=1, or run as root".into();
    }
    if !is_root && is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give runspan an AppArmor profile \
                with `userns,`, or run as root"
            .into();
    }
    if reason.contains("user namespace") {
        return "a container or a policy around runspan forbids user namespaces; allow them, or use \
                --executor docker"
            .into();
    }
    if reason.contains("/proc") {
        return "a container around runspan hides parts of /proc; run outside of it, or use --executor docker"
            .into();
    }
    if reason.contains("overlay") {
        return "modprobe overlay; and keep the state directory (RUNSPAN_HOME) on a disk of its own, not on \
                another overlay"
            .into();
    }
    "use Linux 5.12 or newer, or --executor docker".into()
}

fn limits(hierarchy: Option<&Hierarchy>) -> Check {
    let name = "sandbox limits";
    let remedy = "run as root, or in a delegated scope of systemd with cgroup version 2: \
                  `systemd-run --user --scope -p Delegate=yes runspan ...`";
    match hierarchy {
        Some(hierarchy) if hierarchy.is_ours() => {
            let version = if matches!(hierarchy, Hierarchy::Unified(_)) { "2" } else { "1" };
            good(name, format!("memory, CPU and process limits hold, by cgroup version {version}"))
        }
        Some(_) => warning(
            name,
            "only the number of processes is limited: the control groups here are not this user's",
            remedy,
        ),
        None => warning(name, "only the number of processes is limited: there are no control groups", remedy),
    }
}

fn networks(sandboxes: &Sandboxes) -> Vec<Check> {
    match sandboxes.networks.open() {
        Ok(network) => network.check(),
        Err(error) => {
            let (reason, remedy) = match error {
                NetworkError::Unavailable { reason, remedy } => (reason, remedy),
                NetworkError::Other { .. } => (error.to_string(), "see the kernel's log".into()),
            };
            let finding =
                format!("builds share this machine's own, as they can have no private one: {reason}");
            vec![warning("sandbox network", &finding, &remedy)]
        }
    }
}

fn leftovers(sandboxes: &Sandboxes) -> Check {
    let name = "sandbox leftovers";
    match sandboxes.state.places() {
        Ok(places) => {
            let dead = places.iter().filter(|place| !sandboxes.is_alive(place)).count();
            let finding = format!("{} sandboxes, of which {dead} are dead", places.len());
            match dead {
                0 => good(name, finding),
                _ => warning(name, &finding, "the next build removes what no running build owns"),
            }
        }
        Err(error) => bad(name, &error.to_string(), "make the state directory readable"),
    }
}

fn good(name: &str, finding: impl Into<String>) -> Check {
    Check { name: name.into(), state: CheckState::Good, finding: finding.into() }
}

fn warning(name: &str, finding: &str, remedy: &str) -> Check {
    Check { name: name.into(), state: CheckState::Warning { remedy: remedy.into() }, finding: finding.into() }
}

fn bad(name: &str, finding: &str, remedy: &str) -> Check {
    Check { name: name.into(), state: CheckState::Bad { remedy: remedy.into() }, finding: finding.into() }
}

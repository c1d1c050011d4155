//! What the rules say. They name no build: `runspan*` is all of them.

use std::{hash::Hasher as _, net::Ipv4Addr};

use crate::resolver::RELAY;

/// Our own table, in the family that has IPv4 and IPv6.
pub(crate) const TABLE: &str = "runspan";

const TCP: u8 = 6;
const UDP: u8 = 17;
const DNS: u16 = 53;
/// Link-local addresses; clouds put the machine's identity there.
const LINK_LOCAL: [u8; 2] = [169, 254];

/// Where packets pass a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hook {
    Prerouting,
    Input,
    Forward,
    Postrouting,
}

/// What a chain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    Filter,
    Translate,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    pub(crate) purpose: Purpose,
    pub(crate) hook: Hook,
    pub(crate) rules: Vec<Rule>,
}

/// Where all hold, this happens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rule {
    pub(crate) matches: Vec<Match>,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Match {
    /// It came from a build.
    FromBuild,
    /// It goes to a build.
    ToBuild,
    /// It goes out there.
    ToInterface(String),
    /// It goes out on an interface of this kind.
    ToKind(&'static str),
    /// It answers, or belongs to, what was let through before.
    Answers,
    IsIpv6,
    /// The first bytes of its IPv4 destination.
    To(Vec<u8>),
    /// A protocol's port at the destination.
    Port(u8, u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    Accept,
    Drop,
    /// Drop, and tell the sender, who would otherwise wait.
    Reject,
    /// Give it the host's own address.
    Masquerade,
    /// Send it to this address, on the same port.
    SendTo(Ipv4Addr),
    /// Have it come from this address.
    ComeFrom(Ipv4Addr),
}

/// What the rules depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Circumstances {
    /// Bridges that lead out of the machine.
    pub(crate) bridge_uplinks: Vec<String>,
    /// The host's name server on loopback, where it has no other.
    pub(crate) relay: Option<Ipv4Addr>,
}

/// Our table's chains.
pub(crate) fn chains(circumstances: &Circumstances) -> Vec<Chain> {
    use {Match as M, Verdict as V};
    let rule = |matches: &[Match], verdict| Rule { matches: matches.to_vec(), verdict };
    let link_local = || M::To(LINK_LOCAL.to_vec());
    let mut forward = vec![
        rule(&[M::ToBuild, M::Answers], V::Accept),
        // From another build, or from the neighbourhood.
        rule(&[M::ToBuild], V::Drop),
        rule(&[M::FromBuild, M::IsIpv6], V::Reject),
        rule(&[M::FromBuild, link_local(), M::Port(UDP, DNS)], V::Accept),
        rule(&[M::FromBuild, link_local(), M::Port(TCP, DNS)], V::Accept),
        rule(&[M::FromBuild, link_local()], V::Reject),
    ];
    // Other bridges hold this machine's own containers and virtual machines.
    for uplink in &circumstances.bridge_uplinks {
        forward.push(rule(&[M::FromBuild, M::ToInterface(uplink.clone())], V::Accept));
    }
    forward.push(rule(&[M::FromBuild, M::ToKind("bridge")], V::Reject));

    let mut input = vec![rule(&[M::FromBuild, M::Answers], V::Accept)];
    let mut chains = Vec::new();
    if let Some(server) = circumstances.relay {
        let to = |address: Ipv4Addr| M::To(address.octets().to_vec());
        let both = |address, verdict| {
            [UDP, TCP].map(|protocol| rule(&[M::FromBuild, to(address), M::Port(protocol, DNS)], verdict))
        };
        input.extend(both(server, V::Accept));
        // Servers on loopback answer only whom they take for this machine.
        chains.push(Chain {
            name: "prerouting",
            purpose: Purpose::Translate,
            hook: Hook::Prerouting,
            rules: both(RELAY, V::SendTo(server)).to_vec(),
        });
        chains.push(Chain {
            name: "relayed",
            purpose: Purpose::Translate,
            hook: Hook::Input,
            rules: both(server, V::ComeFrom(Ipv4Addr::LOCALHOST)).to_vec(),
        });
    }
    input.push(rule(&[M::FromBuild], V::Reject));
    chains.push(Chain { name: "input", purpose: Purpose::Filter, hook: Hook::Input, rules: input });
    chains.push(Chain { name: "forward", purpose: Purpose::Filter, hook: Hook::Forward, rules: forward });
    chains.push(Chain {
        name: "postrouting",
        purpose: Purpose::Translate,
        hook: Hook::Postrouting,
        rules: vec![rule(&[M::FromBuild], V::Masquerade)],
    });
    chains
}

/// What must stand before all else in a foreign chain that drops what it does not know, as Docker's does. Our own
/// table has its say all the same.
pub(crate) fn pass() -> [Rule; 2] {
    [Match::FromBuild, Match::ToBuild].map(|one| Rule { matches: vec![one], verdict: Verdict::Accept })
}

/// What tells a table of these rules from one of others.
pub(crate) fn fingerprint(chains: &[Chain]) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(chains, &mut hasher);
    format!("private networks of builds, rules {:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_about_builds() {
        let all =
            chains(&Circumstances { bridge_uplinks: vec!["br0".into()], relay: Some(Ipv4Addr::LOCALHOST) });
        for rule in all.iter().flat_map(|chain| &chain.rules).chain(&pass()) {
            assert!(matches!(rule.matches[0], Match::FromBuild | Match::ToBuild), "{rule:?}");
        }
    }

    #[test]
    fn the_fingerprint_follows_the_rules() {
        let plain = chains(&Circumstances::default());
        assert_eq!(fingerprint(&plain), fingerprint(&chains(&Circumstances::default())));
        let other = Circumstances { bridge_uplinks: vec!["br0".into()], ..Circumstances::default() };
        assert_ne!(fingerprint(&plain), fingerprint(&chains(&other)));
    }
}

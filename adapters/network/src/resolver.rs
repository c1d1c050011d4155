//! Which name servers a build is told of.

use std::net::{IpAddr, Ipv4Addr};

use runspan_engine::Resolver;

/// The servers behind systemd-resolved's own on loopback.
pub(crate) const BEHIND_SYSTEMD: &str = "/run/systemd/resolve/resolv.conf";

/// What builds are told where the host's only server listens on loopback; rules bring the queries there.
pub(crate) const RELAY: Ipv4Addr = Ipv4Addr::new(169, 254, 53, 53);

/// How a build's queries reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) resolver: Resolver,
    /// The host's server on loopback that queries to [`RELAY`] are for.
    pub(crate) relay: Option<Ipv4Addr>,
}

/// From the host's settings, and those of the servers behind systemd-resolved where there are any; `None` where the
/// host knows only servers that IPv4 does not reach.
pub(crate) fn choose(host: &str, behind_systemd: Option<&str>) -> Option<Names> {
    let mut resolver = parse(host);
    let loopback = resolver.servers.iter().find_map(|server| match server {
        IpAddr::V4(server) if server.is_loopback() => Some(*server),
        _ => None,
    });
    // As the C library has it.
    let loopback = if resolver.servers.is_empty() { Some(Ipv4Addr::LOCALHOST) } else { loopback };
    resolver.servers.retain(is_reachable);
    if resolver.servers.is_empty() {
        resolver.servers = behind_systemd.map(parse).unwrap_or_default().servers;
        resolver.servers.retain(is_reachable);
    }
    let relay = match (resolver.servers.is_empty(), loopback) {
        (false, _) => None,
        (true, Some(relay)) => {
            resolver.servers = vec![RELAY.into()];
            Some(relay)
        }
        (true, None) => return None,
    };
    Some(Names { resolver, relay })
}

/// A build has no IPv6, and its loopback is its own.
fn is_reachable(server: &IpAddr) -> bool {
    server.is_ipv4() && !server.is_loopback() && !server.is_unspecified()
}

fn parse(text: &str) -> Resolver {
    let mut found = Resolver::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                found.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
            }
            // Of several, the last counts; `.` is how systemd says none.
            Some("search" | "domain") => {
                found.search = words.filter(|word| *word != ".").map(str::to_owned).collect();
            }
            Some("options") => found.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    // What systemd adds for its own server, which builds are not told of.
    found.options.retain(|option| option != "trust-ad");
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(host: &str, behind: Option<&str>) -> (String, Option<Ipv4Addr>) {
        let names = choose(host, behind).unwrap();
        (names.resolver.to_string(), names.relay)
    }

    #[test]
    fn servers_domains_and_options_are_kept() {
        let host = "# by hand\ndomain old.example\nsearch a.example b.example\nnameserver 192.0.2.1\n\
                    nameserver fd00::1\nnameserver 192.0.2.2\noptions ndots:2 edns0\n";
        let expected =
            "nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch a.example b.example\noptions ndots:2 edns0\n";
        assert_eq!(told(host, None), (expected.into(), None));
    }

    #[test]
    fn behind_systemd_are_the_real_servers() {
        let host = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n";
        let behind = "nameserver 192.0.2.7\nsearch .\n";
        assert_eq!(told(host, Some(behind)), ("nameserver 192.0.2.7\noptions edns0\n".into(), None));
    }

    #[test]
    fn a_server_on_loopback_is_relayed_to() {
        let relay = |address: [u8; 4]| Some(Ipv4Addr::from(address));
        let told_of = String::from("nameserver 169.254.53.53\n");
        assert_eq!(told("nameserver 127.0.0.2\n", None), (told_of.clone(), relay([127, 0, 0, 2])));
        assert_eq!(told("", None), (told_of.clone(), relay([127, 0, 0, 1])));
        let behind = "nameserver 127.0.0.9\n";
        assert_eq!(told("nameserver 127.0.0.53\n", Some(behind)), (told_of, relay([127, 0, 0, 53])));
    }

    #[test]
    fn servers_of_ipv6_alone_are_no_servers() {
        assert_eq!(choose("nameserver fd00::1\n", None), None);
    }
}

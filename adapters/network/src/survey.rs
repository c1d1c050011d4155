//! What the host's interfaces and routes mean for ours.

use std::collections::HashSet;

use runspan_engine::NetworkError;

use crate::{
    links::{Link, Netlink, Route},
    range::{CANDIDATES, Range, is_ours},
};

/// A route of so few bits covers what no other does, as default routes and the two halves that VPNs make of them.
const DEFAULT_BITS: u8 = 1;
const ETHERNET_MTU: u32 = 1500;

/// The host's interfaces and routes at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    pub(crate) links: Vec<Link>,
    pub(crate) routes: Vec<Route>,
}

impl Survey {
    pub(crate) fn take(netlink: &mut Netlink) -> Result<Self, NetworkError> {
        Ok(Self { links: netlink.links()?, routes: netlink.routes()? })
    }

    /// The interfaces that are ours.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| is_ours(&link.name))
    }

    /// The wanted range, or the first that nothing of the host is in.
    pub(crate) fn range(&self, wanted: Option<Range>) -> Result<Range, NetworkError> {
        let free = |range: &Range| self.user_of(*range).is_none();
        let unavailable = |reason| NetworkError::Unavailable {
            reason,
            remedy: "set RUNSPAN_NETWORK_RANGE to addresses that nothing here uses, as in 10.213.0.0/16"
                .into(),
        };
        match wanted {
            Some(range) => match self.user_of(range) {
                None => Ok(range),
                Some(route) => Err(unavailable(format!(
                    "this machine routes {} elsewhere, which is in {range}",
                    route.to
                ))),
            },
            None => CANDIDATES
                .into_iter()
                .find(free)
                .ok_or_else(|| unavailable("this machine routes every range that builds could get".into())),
        }
    }

    /// The route of the host that leads into a range.
    fn user_of(&self, range: Range) -> Option<&Route> {
        let ours: HashSet<u32> = self.ours().map(|link| link.index).collect();
        self.routes
            .iter()
            .filter(|route| route.to.bits() > DEFAULT_BITS)
            .filter(|route| !route.interface.is_some_and(|interface| ours.contains(&interface)))
            .find(|route| route.to.overlaps(range))
    }

    /// The interfaces that default routes lead to, the preferred first.
    pub(crate) fn uplinks(&self) -> Vec<&Link> {
        let mut routes: Vec<_> =
            self.routes.iter().filter(|route| route.to.bits() <= DEFAULT_BITS && route.is_main).collect();
        routes.sort_by_key(|route| route.priority);
        let mut uplinks = Vec::new();
        for index in routes.iter().filter_map(|route| route.interface) {
            uplinks.extend(self.links.iter().find(|link| link.index == index));
        }
        uplinks.dedup();
        uplinks
    }

    /// The largest packet that goes all the way out.
    pub(crate) fn mtu(&self) -> u32 {
        self.uplinks().first().map_or(ETHERNET_MTU, |uplink| uplink.mtu.clamp(576, ETHERNET_MTU))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, mtu: u32) -> Link {
        Link { index, name: name.into(), kind: String::new(), alias: String::new(), mtu }
    }

    fn route(to: &str, interface: u32) -> Route {
        let (address, bits) = to.split_once('/').unwrap();
        let to = Range::around(address.parse().unwrap(), bits.parse().unwrap());
        Route { to, interface: Some(interface), priority: 0, is_main: true }
    }

    fn host() -> Survey {
        Survey {
            links: vec![
                link(1, "lo", 65536),
                link(2, "eth0", 1400),
                link(3, "runspan7", 1400),
                link(4, "tun0", 1300),
            ],
            routes: vec![
                Route { priority: 100, ..route("0.0.0.0/0", 4) },
                route("0.0.0.0/0", 2),
                route("192.0.2.0/24", 2),
                route("10.213.0.14/31", 3),
            ],
        }
    }

    #[test]
    fn what_is_ours_is_in_nobodys_way() {
        assert_eq!(host().range(None).unwrap(), CANDIDATES[0]);
        assert_eq!(host().ours().count(), 1);
    }

    #[test]
    fn what_the_host_routes_is_left_alone() {
        let mut host = host();
        host.routes.push(route("10.0.0.0/8", 4));
        assert_eq!(host.range(None).unwrap(), CANDIDATES[2]);
        let error = host.range(Some(CANDIDATES[0])).unwrap_err().to_string();
        assert!(error.contains("routes 10.0.0.0/8 elsewhere, which is in 10.213.0.0/16"), "{error}");
        assert!(error.contains("RUNSPAN_NETWORK_RANGE"), "{error}");
        for other in ["172.16.0.0/12", "100.64.0.0/10", "198.18.0.9/32"] {
            host.routes.push(route(other, 2));
        }
        assert!(matches!(host.range(None), Err(NetworkError::Unavailable { .. })));
    }

    #[test]
    fn packets_fit_the_preferred_way_out() {
        let mut host = host();
        assert_eq!(
            host.uplinks().iter().map(|link| link.name.as_str()).collect::<Vec<_>>(),
            ["eth0", "tun0"]
        );
        assert_eq!(host.mtu(), 1400);
        host.links[1].mtu = 9001;
        assert_eq!(host.mtu(), 1500);
        host.routes.clear();
        assert_eq!(host.mtu(), 1500);
    }
}

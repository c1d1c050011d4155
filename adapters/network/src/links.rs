//! Interfaces, addresses and routes over rtnetlink.

use std::{
    ffi::CString,
    io,
    net::Ipv4Addr,
    os::fd::{AsRawFd, BorrowedFd},
    thread,
    time::{Duration, Instant},
};

use netlink_bindings::{
    rt_addr::{self, Ifaddrmsg},
    rt_link::{self, Ifinfomsg},
    rt_route::{self, Rtmsg},
    traits::{NetlinkRequest, Pusher},
    utils::{finalize_nested_header, push_nested_header},
};
use netlink_socket2::{NetlinkSocket, ReplyError};
use runspan_engine::NetworkError;
use rustix::io::Errno;

use crate::range::{Range, Slot};

const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;
/// `IFLA_INFO_DATA` and `VETH_INFO_PEER`, which the bindings leave out.
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;
/// `RTEXT_FILTER_SKIP_STATS`.
const SKIP_STATISTICS: u32 = 8;
/// `IF_OPER_UP`.
const OPERATIONAL: u8 = 6;
const CARRIER_PATIENCE: Duration = Duration::from_secs(1);
const CARRIER_PAUSE: Duration = Duration::from_micros(200);
/// `RT_TABLE_MAIN`, `RTPROT_BOOT`, `RT_SCOPE_UNIVERSE`, `RTN_UNICAST`.
const MAIN_TABLE: u8 = 254;
const BOOT: u8 = 3;
const UNIVERSE: u8 = 0;
const UNICAST: u8 = 1;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// As in `bridge`; empty for hardware.
    pub(crate) kind: String,
    pub(crate) alias: String,
    pub(crate) mtu: u32,
}

/// An IPv4 route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) to: Range,
    /// Where it leads; none for those that lead nowhere or several ways.
    pub(crate) interface: Option<u32>,
    pub(crate) priority: u32,
    pub(crate) is_main: bool,
}

/// A line to the kernel, in the namespace of the thread that first used it.
pub(crate) struct Netlink {
    pub(crate) socket: NetlinkSocket,
}

impl Netlink {
    pub(crate) fn new() -> Self {
        Self { socket: NetlinkSocket::new() }
    }

    pub(crate) fn links(&mut self) -> Result<Vec<Link>, NetworkError> {
        let doing = "listing interfaces";
        let mut request = rt_link::Request::new().op_getlink_dump(&Ifinfomsg::default());
        request.encode().push_ext_mask(SKIP_STATISTICS);
        let mut reply = self.socket.request(&request).map_err(|error| refused(doing, &error))?;
        let mut links = Vec::new();
        while let Some(found) = reply.recv() {
            let (header, link) = found.map_err(|error| failed(doing, &error))?;
            let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
            links.push(Link {
                index: header.ifi_index as u32,
                name: link.get_ifname().map(text).unwrap_or_default(),
                kind: link.get_linkinfo().and_then(|info| info.get_kind()).map(text).unwrap_or_default(),
                alias: link.get_ifalias().map(text).unwrap_or_default(),
                mtu: link.get_mtu().unwrap_or_default(),
            });
        }
        Ok(links)
    }

    /// All IPv4 routes, the host's own addresses among them.
    pub(crate) fn routes(&mut self) -> Result<Vec<Route>, NetworkError> {
        let doing = "listing routes";
        let header = Rtmsg { rtm_family: AF_INET, ..Rtmsg::default() };
        let request = rt_route::Request::new().op_getroute_dump(&header);
        let mut reply = self.socket.request(&request).map_err(|error| refused(doing, &error))?;
        let mut routes = Vec::new();
        while let Some(found) = reply.recv() {
            let (header, route) = found.map_err(|error| failed(doing, &error))?;
            let to = match route.get_dst() {
                Ok(std::net::IpAddr::V4(address)) => address,
                _ => Ipv4Addr::UNSPECIFIED,
            };
            routes.push(Route {
                to: Range::around(to, header.rtm_dst_len),
                interface: route.get_oif().ok(),
                priority: route.get_priority().unwrap_or_default(),
                is_main: header.rtm_table == MAIN_TABLE,
            });
        }
        Ok(routes)
    }

    /// Makes a pair: one end here under the slot's name, the other in `namespace` as `inside`. `false` when the name
    /// is taken.
    pub(crate) fn make_pair(
        &mut self,
        slot: &Slot,
        mtu: u32,
        inside: &str,
        namespace: BorrowedFd<'_>,
    ) -> Result<bool, NetworkError> {
        let doing = "making a pair of interfaces";
        let mut request =
            rt_link::Request::new().set_create().set_excl().op_newlink_do(&Ifinfomsg::default());
        let info = request
            .encode()
            .push_ifname_bytes(slot.interface.as_bytes())
            .push_mtu(mtu)
            .nested_linkinfo()
            .push_kind(c"veth");
        encode_peer(info, mtu, inside, namespace);
        match self.request(&request) {
            Ok(()) => Ok(true),
            Err(error) if is(&error, Errno::EXIST) => Ok(false),
            Err(error) => Err(failed(doing, &error)),
        }
    }

    pub(crate) fn set_alias(&mut self, index: u32, alias: &str) -> Result<(), NetworkError> {
        let header = Ifinfomsg { ifi_index: index as i32, ..Ifinfomsg::default() };
        let mut request = rt_link::Request::new().op_setlink_do(&header);
        request.encode().push_ifalias_bytes(alias.as_bytes());
        self.request(&request).map_err(|error| failed("naming an interface's owner", &error))
    }

    pub(crate) fn set_up(&mut self, index: u32) -> Result<(), NetworkError> {
        let header = Ifinfomsg {
            ifi_index: index as i32,
            ifi_flags: IFF_UP,
            ifi_change: IFF_UP,
            ..Ifinfomsg::default()
        };
        let request = rt_link::Request::new().op_setlink_do(&header);
        self.request(&request).map_err(|error| failed("bringing an interface up", &error))
    }

    /// The number of an interface; `None` when there is none of that name.
    pub(crate) fn find(&mut self, name: &str) -> Result<Option<u32>, NetworkError> {
        let doing = format!("looking for interface {name}");
        let mut request = rt_link::Request::new().op_getlink_do(&Ifinfomsg::default());
        request.encode().push_ifname_bytes(name.as_bytes()).push_ext_mask(SKIP_STATISTICS);
        let mut reply = self.socket.request(&request).map_err(|error| refused(&doing, &error))?;
        match reply.recv_one() {
            Ok((header, _)) => Ok(Some(header.ifi_index as u32)),
            Err(error) if is(&error, Errno::NODEV) => Ok(None),
            Err(error) => Err(failed(&doing, &error)),
        }
    }

    /// The number of an interface.
    pub(crate) fn index(&mut self, name: &str) -> Result<u32, NetworkError> {
        self.find(name)?.ok_or_else(|| NetworkError::Other {
            doing: format!("looking for interface {name}"),
            reason: "it is gone".into(),
        })
    }

    /// Waits until an interface carries packets, which is a moment after both ends of a pair are up: what is sent
    /// before is lost, and sent again only after a second.
    pub(crate) fn wait_until_it_carries(&mut self, index: u32) -> Result<(), NetworkError> {
        let doing = "waiting for an interface to carry packets";
        let header = Ifinfomsg { ifi_index: index as i32, ..Ifinfomsg::default() };
        let since = Instant::now();
        while since.elapsed() < CARRIER_PATIENCE {
            let mut request = rt_link::Request::new().op_getlink_do(&header);
            request.encode().push_ext_mask(SKIP_STATISTICS);
            let mut reply = self.socket.request(&request).map_err(|error| refused(doing, &error))?;
            let (_, link) = reply.recv_one().map_err(|error| failed(doing, &error))?;
            if link.get_operstate().is_ok_and(|state| state == OPERATIONAL) {
                break;
            }
            thread::sleep(CARRIER_PAUSE);
        }
        Ok(())
    }

    /// Gives an interface an address that faces one other.
    pub(crate) fn add_address(&mut self, index: u32, address: Ipv4Addr) -> Result<(), NetworkError> {
        let header =
            Ifaddrmsg { ifa_family: AF_INET, ifa_prefixlen: 31, ifa_index: index, ..Ifaddrmsg::default() };
        let mut request = rt_addr::Request::new().set_create().set_excl().op_newaddr_do(&header);
        request.encode().push_local(address.into()).push_address(address.into());
        self.request(&request)
            .map_err(|error| failed(&format!("giving an interface the address {address}"), &error))
    }

    pub(crate) fn add_default_route(&mut self, index: u32, gateway: Ipv4Addr) -> Result<(), NetworkError> {
        let header = Rtmsg {
            rtm_family: AF_INET,
            rtm_table: MAIN_TABLE,
            rtm_protocol: BOOT,
            rtm_scope: UNIVERSE,
            rtm_type: UNICAST,
            ..Rtmsg::default()
        };
        let mut request = rt_route::Request::new().set_create().set_excl().op_newroute_do(&header);
        request.encode().push_gateway(gateway.into()).push_oif(index);
        self.request(&request).map_err(|error| failed("making the default route", &error))
    }

    /// Removes an interface; not an error when it is gone.
    pub(crate) fn remove(&mut self, index: u32) -> Result<(), NetworkError> {
        let header = Ifinfomsg { ifi_index: index as i32, ..Ifinfomsg::default() };
        let request = rt_link::Request::new().op_dellink_do(&header);
        match self.request(&request) {
            Err(error) if !is(&error, Errno::NODEV) => Err(failed("removing an interface", &error)),
            _ => Ok(()),
        }
    }

    fn request(&mut self, request: &impl NetlinkRequest) -> Result<(), ReplyError> {
        self.socket.request(request)?.recv_ack()
    }
}

fn encode_peer(mut info: impl Pusher, mtu: u32, inside: &str, namespace: BorrowedFd<'_>) {
    let buffer = info.as_vec_mut();
    let data = push_nested_header(buffer, INFO_DATA);
    let peer = push_nested_header(buffer, VETH_PEER);
    buffer.extend_from_slice(Ifinfomsg::default().as_slice());
    let name = CString::new(inside).unwrap_or_default();
    let fd = namespace.as_raw_fd().cast_unsigned();
    rt_link::PushLinkAttrs::new(&mut *buffer).push_ifname(&name).push_mtu(mtu).push_net_ns_fd(fd);
    finalize_nested_header(buffer, peer);
    finalize_nested_header(buffer, data);
}

pub(crate) fn is(error: &ReplyError, errno: Errno) -> bool {
    error.as_io_error().raw_os_error() == Some(errno.raw_os_error())
}

pub(crate) fn failed(doing: &str, error: &ReplyError) -> NetworkError {
    // Not every refusal comes with words.
    let said = error.to_string();
    let reason = said.trim_end_matches(" (no extended ack)").to_owned();
    NetworkError::Other { doing: doing.to_owned(), reason }
}

pub(crate) fn refused(doing: &str, error: &io::Error) -> NetworkError {
    NetworkError::Other { doing: doing.to_owned(), reason: error.to_string() }
}

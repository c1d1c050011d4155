//! The port's verbs, on this host.

use std::{
    fs::{self, File},
    hash::{Hash, Hasher},
    net::Ipv4Addr,
    os::{
        fd::BorrowedFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::PathBuf,
};

use runspan_engine::{Attachment, Check, NetworkError, PrivateNetwork, Resolver};

use crate::{
    check,
    links::Netlink,
    namespace::inside,
    range::{Range, Slot},
    resolver::{self, Names},
    rules::{Circumstances, chains},
    survey::Survey,
    sysctl,
};

/// What an interface's alias begins with; the attempt follows.
const ALIAS: &str = "runspan ";
/// The interface's name inside.
const INSIDE: &str = "eth0";
const LOOPBACK: &str = "lo";

/// What an administrator may decide.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The addresses that builds get; by default some that this host does not use.
    pub range: Option<Range>,
    /// What all who change the host's network for builds lock meanwhile.
    pub lock: PathBuf,
    /// Where the host has its name servers.
    pub resolver: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            range: None,
            lock: PathBuf::from("/run/runspan/network.lock"),
            resolver: PathBuf::from("/etc/resolv.conf"),
        }
    }
}

/// Private networks on this host.
#[derive(Clone, Debug)]
pub struct HostNetwork {
    settings: Settings,
}

/// The right to change interfaces and rules; the kernel gives it back however the process dies.
struct Lock {
    _file: File,
}

impl HostNetwork {
    /// Looks whether this machine can have private networks.
    ///
    /// # Errors
    /// [`NetworkError::Unavailable`] where this machine or user cannot have them, with the remedy.
    pub fn open(settings: Settings) -> Result<Self, NetworkError> {
        check::prerequisites()?;
        let network = Self { settings };
        network.names()?;
        Survey::take(&mut Netlink::new())?.range(network.settings.range)?;
        Ok(network)
    }

    pub(crate) fn names(&self) -> Result<Names, NetworkError> {
        let path = &self.settings.resolver;
        let host = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                let doing = format!("reading {}", path.display());
                return Err(NetworkError::Other { doing, reason: error.to_string() });
            }
        };
        let behind = fs::read_to_string(resolver::BEHIND_SYSTEMD).ok();
        resolver::choose(&host, behind.as_deref()).ok_or_else(|| NetworkError::Unavailable {
            reason: format!("{} names only servers that IPv4 does not reach", path.display()),
            remedy: "add a name server with an IPv4 address".into(),
        })
    }

    pub(crate) fn range(&self) -> Option<Range> {
        self.settings.range
    }

    fn lock(&self) -> Result<Lock, NetworkError> {
        let path = &self.settings.lock;
        let failed = |error: std::io::Error| NetworkError::Other {
            doing: format!("locking {}", path.display()),
            reason: error.to_string(),
        };
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
        }
        let file = File::options().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(Lock { _file: file })
    }

    /// Makes the rules, where they are not yet as they must be.
    fn ensure_rules(
        &self,
        netlink: &mut Netlink,
        survey: &Survey,
        relay: Option<Ipv4Addr>,
        _lock: &Lock,
    ) -> Result<(), NetworkError> {
        let uplinks = survey.uplinks();
        let bridges = uplinks.iter().filter(|link| link.kind == "bridge");
        let bridge_uplinks = bridges.map(|link| link.name.clone()).collect();
        netlink.ensure_rules(&chains(&Circumstances { bridge_uplinks, relay }))?;
        uplinks.iter().try_for_each(|uplink| sysctl::forward(&uplink.name))
    }

    /// Makes the pair of interfaces and the rules that it is subject to; both ends are still down.
    fn join(
        &self,
        netlink: &mut Netlink,
        attempt: &str,
        namespace: BorrowedFd<'_>,
        relay: Option<Ipv4Addr>,
    ) -> Result<(Slot, u32), NetworkError> {
        let survey = Survey::take(netlink)?;
        let range = survey.range(self.settings.range)?;
        let lock = self.lock()?;
        let slot = take_slot(netlink, range, attempt, survey.mtu(), namespace)?;
        let index = netlink.index(&slot.interface)?;
        let made = netlink
            .set_alias(index, &format!("{ALIAS}{attempt}"))
            .and_then(|()| self.ensure_rules(netlink, &survey, relay, &lock));
        match made {
            Ok(()) => Ok((slot, index)),
            Err(error) => {
                let _left_to_sweep = netlink.remove(index);
                Err(error)
            }
        }
    }

    /// Removes the interfaces that `is_unwanted` by their attempt; one line for each, and how many are left.
    fn cut(
        netlink: &mut Netlink,
        is_unwanted: impl Fn(Option<&str>) -> bool,
    ) -> Result<(Vec<String>, usize), NetworkError> {
        let survey = Survey { links: netlink.links()?, routes: Vec::new() };
        let mut removed = Vec::new();
        for link in survey.ours() {
            let attempt = link.alias.strip_prefix(ALIAS);
            if is_unwanted(attempt) {
                netlink.remove(link.index)?;
                removed.push(match attempt {
                    Some(attempt) => format!("removed interface {} of build {attempt}", link.name),
                    None => format!("removed interface {} of nobody", link.name),
                });
            }
        }
        let left = survey.ours().count() - removed.len();
        Ok((removed, left))
    }
}

impl PrivateNetwork for HostNetwork {
    fn resolver(&self) -> Result<Resolver, NetworkError> {
        Ok(self.names()?.resolver)
    }

    fn prepare(&self) -> Result<(), NetworkError> {
        let mut netlink = Netlink::new();
        let survey = Survey::take(&mut netlink)?;
        let lock = self.lock()?;
        self.ensure_rules(&mut netlink, &survey, self.names()?.relay, &lock)
    }

    fn attach(&self, attempt: &str, namespace: BorrowedFd<'_>) -> Result<Attachment, NetworkError> {
        let mut netlink = Netlink::new();
        let relay = self.names()?.relay;
        let (slot, index) = self.join(&mut netlink, attempt, namespace, relay)?;
        let attached = bring_up(&mut netlink, &slot, index, relay.is_some())
            .and_then(|()| inside(namespace, || bring_up_inside(&slot)))
            .and_then(|()| netlink.wait_until_it_carries(index));
        match attached {
            Ok(()) => {
                Ok(Attachment { interface: slot.interface, address: slot.address, gateway: slot.gateway })
            }
            Err(error) => {
                let _left_to_sweep = self.detach(attempt);
                Err(error)
            }
        }
    }

    fn detach(&self, attempt: &str) -> Result<(), NetworkError> {
        let mut netlink = Netlink::new();
        let _lock = self.lock()?;
        let (_, left) = Self::cut(&mut netlink, |found| found == Some(attempt))?;
        if left == 0 {
            netlink.remove_rules()?;
        }
        Ok(())
    }

    fn sweep(
        &self,
        is_live: &(dyn for<'a> Fn(&'a str) -> bool + Send + Sync),
    ) -> Result<Vec<String>, NetworkError> {
        let mut netlink = Netlink::new();
        let _lock = self.lock()?;
        // Whoever holds the lock names what it made before it lets go: what has no name was left by the dead.
        let (mut removed, left) =
            Self::cut(&mut netlink, |attempt| attempt.is_none_or(|attempt| !is_live(attempt)))?;
        // Rules without an interface may be somebody's who is about to make one.
        if left == 0 && !removed.is_empty() && netlink.remove_rules()? {
            removed.push("removed the rules of private networks, which nothing uses".into());
        }
        Ok(removed)
    }

    fn check(&self) -> Vec<Check> {
        check::all(self)
    }
}

/// Where one starts to look depends on the attempt, so that those who start together do not meet.
fn take_slot(
    netlink: &mut Netlink,
    range: Range,
    attempt: &str,
    mtu: u32,
    namespace: BorrowedFd<'_>,
) -> Result<Slot, NetworkError> {
    if inside(namespace, || Netlink::new().find(INSIDE))?.is_some() {
        return Err(NetworkError::Other {
            doing: format!("giving build {attempt} an interface"),
            reason: format!("its namespace has {INSIDE} already"),
        });
    }
    let mut hasher = std::hash::DefaultHasher::new();
    attempt.hash(&mut hasher);
    let first = hasher.finish() as u32 % range.slots();
    for number in 0..range.slots() {
        let slot = range.slot(first.wrapping_add(number));
        if netlink.make_pair(&slot, mtu, INSIDE, namespace)? {
            return Ok(slot);
        }
    }
    Err(NetworkError::Other {
        doing: "finding addresses for a build".into(),
        reason: format!("all {} of {range} are taken; set RUNSPAN_NETWORK_RANGE to more", range.slots()),
    })
}

fn bring_up(netlink: &mut Netlink, slot: &Slot, index: u32, is_relayed: bool) -> Result<(), NetworkError> {
    sysctl::without_ipv6(&slot.interface)?;
    sysctl::only_own_sources(&slot.interface)?;
    sysctl::forward(&slot.interface)?;
    if is_relayed {
        sysctl::route_to_loopback(&slot.interface)?;
    }
    netlink.add_address(index, slot.gateway)?;
    netlink.set_up(index)
}

fn bring_up_inside(slot: &Slot) -> Result<(), NetworkError> {
    let mut netlink = Netlink::new();
    let loopback = netlink.index(LOOPBACK)?;
    netlink.set_up(loopback)?;
    sysctl::without_ipv6(INSIDE)?;
    let index = netlink.index(INSIDE)?;
    netlink.add_address(index, slot.address)?;
    netlink.set_up(index)?;
    netlink.add_default_route(index, slot.gateway)
}

//! The kernel's switches of an interface, in the namespace of this thread.

use std::{fs, io};

use runspan_engine::NetworkError;

/// Lets packets that come in there go on to other interfaces.
pub(crate) fn forward(interface: &str) -> Result<(), NetworkError> {
    set(4, interface, "forwarding", "1")
}

/// Lets the rules send packets from there to the host's loopback.
pub(crate) fn route_to_loopback(interface: &str) -> Result<(), NetworkError> {
    set(4, interface, "route_localnet", "1")
}

/// Refuses packets from there with a source that is not there.
pub(crate) fn only_own_sources(interface: &str) -> Result<(), NetworkError> {
    set(4, interface, "rp_filter", "1")
}

/// Keeps IPv6 off it; not an error where the kernel has none.
pub(crate) fn without_ipv6(interface: &str) -> Result<(), NetworkError> {
    set(6, interface, "disable_ipv6", "1")
}

fn set(version: u8, interface: &str, name: &str, value: &str) -> Result<(), NetworkError> {
    let path = format!("/proc/sys/net/ipv{version}/conf/{interface}/{name}");
    match fs::read_to_string(&path) {
        Ok(found) if found.trim() == value => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && version == 6 => return Ok(()),
        _ => {}
    }
    fs::write(&path, value).map_err(|error| NetworkError::Other {
        doing: format!("writing {value} to {path}"),
        reason: error.to_string(),
    })
}

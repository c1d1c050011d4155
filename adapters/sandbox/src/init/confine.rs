//! Limits and capabilities of everything in the sandbox.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

/// Docker's own set without `MKNOD` (device nodes), `NET_RAW` (raw packets, the way into several kernel faults)
/// and `SETPCAP`. What stays lets root install packages, own files, change user and serve on low ports.
const KEPT: CapabilitySet = CapabilitySet::AUDIT_WRITE
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SYS_CHROOT);

/// Descriptors of one process; compilers and servers want more than the usual 1024.
const OPEN_FILES: u64 = 1 << 20;

/// Gives up every capability but those kept, for good, and the way to new ones.
pub(super) fn capabilities(dropped: &[String]) -> io::Result<()> {
    clear_ambient_capability_set()?;
    let kept = dropped.iter().fold(KEPT, |kept, name| kept.difference(named(name)));
    for capability in CapabilitySet::all().difference(kept).iter() {
        match remove_capability_from_bounding_set(capability) {
            // One that this kernel does not have.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    Ok(set_no_new_privs(true)?)
}

/// As container engines call them.
fn named(name: &str) -> CapabilitySet {
    let name = name.to_ascii_uppercase();
    match name.trim_start_matches("CAP_") {
        "ALL" => CapabilitySet::all(),
        name => CapabilitySet::from_name(name).unwrap_or(CapabilitySet::empty()),
    }
}

/// As many descriptors as may be had; no core files, as the machine could have them piped to a program of its own; and
/// so many processes, which the kernel counts for each user namespace alone.
pub(super) fn limits(processes: u32) -> io::Result<()> {
    let allowed =
        getrlimit(Resource::Nproc).maximum.map_or(u64::from(processes), |most| most.min(processes.into()));
    if processes > 0 {
        setrlimit(Resource::Nproc, Rlimit { current: Some(allowed), maximum: Some(allowed) })?;
    }
    let most = getrlimit(Resource::Nofile).maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) })?;
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

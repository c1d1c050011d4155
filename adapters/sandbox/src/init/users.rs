//! User namespaces and their maps.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, waitpid};
use rustix::thread::UnshareFlags;

use super::fault::{Result, To as _};
use super::sys;
use crate::spec::{IDS, Ids};

/// Makes the ordinary user root in the namespace that this process has just made.
pub(super) fn map_self(uid: u32, gid: u32) -> Result<()> {
    // Or a group could be left whose members are denied something.
    fs::write("/proc/self/setgroups", "deny").to(|| "keep the groups".into())?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).to(|| "map the user".into())?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).to(|| "map the group".into())
}

/// A namespace with this map, for root alone to make; nobody is in it yet.
pub(super) fn namespace(ids: Ids) -> Result<Option<OwnedFd>> {
    let map = match ids {
        Ids::Shifted(first) => format!("0 {first} {IDS}"),
        Ids::Same => format!("0 0 {}", u32::MAX),
        Ids::User { .. } => return Ok(None),
    };
    make(&map).to(|| "make a user namespace".into()).map(Some)
}

/// A namespace needs somebody who makes it, until it is open.
fn make(map: &str) -> io::Result<OwnedFd> {
    let (ready, tell_ready) = pipe_with(PipeFlags::CLOEXEC)?;
    let (done, tell_done) = pipe_with(PipeFlags::CLOEXEC)?;
    let Some(child) = sys::fork()? else {
        drop(tell_done);
        if sys::unshare(UnshareFlags::NEWUSER).is_ok() && File::from(tell_ready).write_all(&[1]).is_ok() {
            let _end = File::from(done).read(&mut [0]);
        }
        sys::leave(0);
    };
    drop(tell_ready);
    let opened = (|| {
        if File::from(ready).read(&mut [0])? == 0 {
            return Err(io::Error::other("the kernel refuses; see `runspan doctor`"));
        }
        let of_child = |name: &str| format!("/proc/{}/{name}", child.as_raw_nonzero());
        fs::write(of_child("uid_map"), map)?;
        fs::write(of_child("gid_map"), map)?;
        Ok(OwnedFd::from(File::open(of_child("ns/user"))?))
    })();
    drop(tell_done);
    waitpid(Some(child), WaitOptions::empty())?;
    opened
}

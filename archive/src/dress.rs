//! Owners, modes, times and extended attributes of what is unpacked.

use std::ffi::OsString;
use std::os::fd::AsFd;

use rustix::fs::{Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use crate::Owner;

/// What an entry says about itself beyond its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) mode: Option<u32>,
    pub(crate) mtime: Option<i64>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) xattrs: Vec<(OsString, Vec<u8>)>,
}

/// What of an entry's attributes its file gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dress {
    pub(crate) owner: Owner,
    pub(crate) mode_mask: u32,
    pub(crate) privileged: bool,
}

impl Dress {
    pub(crate) fn owner(&self, attributes: &Attributes) -> Option<(Uid, Gid)> {
        let (uid, gid) = match self.owner {
            _ if !self.privileged => return None,
            Owner::Unpacker => return None,
            Owner::Archive => (attributes.uid, attributes.gid),
            Owner::User { uid, gid } => (uid, gid),
        };
        Some((Uid::from_raw(uid), Gid::from_raw(gid)))
    }

    pub(crate) fn put_on(&self, file: &impl AsFd, attributes: &Attributes) -> std::io::Result<()> {
        // The owner first: a change of owner clears set-user-id bits.
        if let Some((uid, gid)) = self.owner(attributes) {
            rustix::fs::fchown(file, Some(uid), Some(gid))?;
        }
        for (name, value) in &attributes.xattrs {
            match rustix::fs::fsetxattr(file, name.as_os_str(), value, XattrFlags::empty()) {
                // A file system that keeps none, or a user who may not.
                Ok(()) | Err(Errno::NOTSUP | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(mode) = attributes.mode {
            rustix::fs::fchmod(file, Mode::from_raw_mode(mode & self.mode_mask))?;
        }
        if let Some(times) = attributes.times() {
            rustix::fs::futimens(file, &times)?;
        }
        Ok(())
    }
}

impl Attributes {
    pub(crate) fn times(&self) -> Option<Timestamps> {
        self.mtime.map(|seconds| Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ },
            last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
        })
    }
}

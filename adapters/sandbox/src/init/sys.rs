//! The calls of the kernel that no kept crate wraps safely.
#![expect(unsafe_code, reason = "each call says below why it is sound")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Splits the process in two; `None` in the child. Only for processes with one thread.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the program was started anew for this and has one thread, so the child finds no lock held by another.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(Pid::from_raw(child)),
    }
}

/// Ends the process without running anything that waits for its end.
pub(super) fn leave(status: i32) -> ! {
    // SAFETY: touches no memory and does not return.
    unsafe { libc::_exit(status) }
}

/// Leaves namespaces for new ones.
pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: the table of descriptors stays shared, and there is one thread.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Closes every descriptor from 3 on, which whoever started the program may have left open.
pub(super) fn close_all() {
    // SAFETY: called first of all, when this program owns no descriptor beyond the first three.
    let _old_kernel = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Attributes of a mount, to be set.
#[derive(Clone, Copy, Default)]
pub(super) struct Attributes<'a> {
    pub(super) read_only: bool,
    /// No device nodes and no set-user-ID programs.
    pub(super) harmless: bool,
    /// With everything mounted below.
    pub(super) recursive: bool,
    /// Owners go through the map of this user namespace.
    pub(super) ids: Option<BorrowedFd<'a>>,
}

/// Changes a mount by its descriptor.
pub(super) fn set_attributes(mount: impl AsFd, attributes: Attributes<'_>) -> io::Result<()> {
    let mut set = 0;
    if attributes.read_only {
        set |= libc::MOUNT_ATTR_RDONLY;
    }
    if attributes.harmless {
        set |= libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    }
    let mut userns_fd = 0;
    if let Some(namespace) = attributes.ids {
        set |= libc::MOUNT_ATTR_IDMAP;
        userns_fd = u64::try_from(namespace.as_raw_fd()).map_err(io::Error::other)?;
    }
    let attr = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd };
    let recursive = if attributes.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is empty and closed by NUL, the structure has the size that is told, and both outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps this process, and all that come of it, from abstract sockets of others.
pub(super) fn scope_sockets() -> io::Result<()> {
    /// `struct landlock_ruleset_attr`: file accesses and ports that are ruled, and what is scoped.
    const SOCKETS: [u64; 3] = [0, 0, 1];
    // SAFETY: the structure has the size that is told and outlives the call.
    let rules = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, SOCKETS.as_ptr(), size_of_val(&SOCKETS), 0)
    };
    let rules = libc::c_int::try_from(rules).map_err(io::Error::other)?;
    if rules < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call before gave this descriptor to nobody else.
    let rules = unsafe { OwnedFd::from_raw_fd(rules) };
    // SAFETY: touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

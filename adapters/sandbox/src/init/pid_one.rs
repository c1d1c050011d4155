//! From the fork to the agent: what only PID 1 itself can do, the loss of every right last.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use runspan_agent_protocol::layout;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Gid;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Signal, fchdir, pivot_root, set_parent_process_death_signal, setsid};
use rustix::thread::{
    LinkNameSpaceType, UnshareFlags, move_into_link_name_space, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use std::os::fd::AsFd as _;

use crate::spec::{Ids, Network, Spec};

use super::confine;
use super::fault::{Fault, Result, To as _};
use super::mounting::{HARMLESS, attach, filesystem, view_of};
use super::root::Made;
use super::seccomp::Filters;
use super::sys::{self, Attributes, unshare};

/// A build goes before the supervisor when the machine runs out of memory.
const OOM_SCORE_ADJ: &str = "500";

/// What the kernel tells there is of the whole machine. As Docker has it.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What could be told to the kernel there concerns the whole machine. As Docker has it.
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Becomes the agent; returns only when it could not.
pub(super) fn become_agent(spec: &Spec, made: &Made, filters: &Filters, first: &OwnedFd) -> Fault {
    match prepare(spec, made, filters, first) {
        Ok(_) if spec.is_rehearsal => sys::leave(0),
        Ok(mut agent) => {
            let source = agent.exec();
            Fault::Step { doing: format!("start {}", layout::AGENT), source }
        }
        Err(fault) => fault,
    }
}

fn prepare(spec: &Spec, made: &Made, filters: &Filters, first: &OwnedFd) -> Result<Command> {
    die_with(first).to(|| "die with the first process".into())?;
    unshare(UnshareFlags::NEWCGROUP).to(|| "make a namespace of control groups".into())?;
    fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ).to(|| "go first when memory is short".into())?;
    let onto = made.root.directory(Path::new("/proc"), 0o755).to(|| "make /proc".into())?;
    filesystem("proc", &[], HARMLESS)
        .and_then(|mount| attach(mount, onto))
        .to(|| "mount /proc; see `runspan doctor`".into())?;
    protect(made).to(|| "cover what is the machine's in /proc".into())?;
    enter(made).to(|| "enter the new root".into())?;
    let _leader = setsid();
    become_root(made).to(|| "become root inside".into())?;
    confine::limits(spec.processes).to(|| "limit resources".into())?;
    confine::capabilities(&spec.dropped).to(|| "give up capabilities".into())?;
    if spec.network == Network::Machine {
        // From Linux 6.12 on; before, services that listen there can be talked to, as those on ports can.
        let _old_kernel = sys::scope_sockets();
    }
    // Becoming somebody else made the kernel forget it.
    die_with(first).to(|| "die with the first process".into())?;
    let mut agent = Command::new(layout::AGENT);
    agent
        .args(&spec.arguments)
        .env_clear()
        .envs(spec.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    filters.apply()?;
    Ok(agent)
}

/// From here on; an error when the first process, whom this namespace does not show, is dead already.
fn die_with(first: &OwnedFd) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    match poll(&mut [PollFd::new(first, PollFlags::IN)], Some(&Timespec::default()))? {
        0 => Ok(()),
        _ => Err(io::Error::other("it is dead")),
    }
}

fn protect(made: &Made) -> io::Result<()> {
    let covered = Attributes { read_only: true, harmless: true, ..Attributes::default() };
    let null = made.root.file(Path::new("/dev/null"))?;
    for path in MASKED {
        let Some(found) = made.root.existing(Path::new(path))? else { continue };
        let is_directory = rustix::fs::fstat(&found)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
        let cover = if is_directory {
            view_of(&made.nothing, covered)?
        } else {
            view_of(&null, Attributes::default())?
        };
        attach(cover, found)?;
    }
    for path in READ_ONLY {
        if let Some(found) = made.root.existing(Path::new(path))? {
            attach(view_of(&found, covered)?, found)?;
        }
    }
    Ok(())
}

/// The machine's root goes out of sight, and with it every mount that is not below the new one.
fn enter(made: &Made) -> io::Result<()> {
    fchdir(made.root.as_fd())?;
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    std::env::set_current_dir("/")
}

fn become_root(made: &Made) -> io::Result<()> {
    if let Some(users) = &made.users {
        move_into_link_name_space(users.as_fd(), Some(LinkNameSpaceType::User))?;
    }
    let (user, group) = (rustix::process::Uid::ROOT, Gid::ROOT);
    set_thread_res_gid(group, group, group)?;
    // An ordinary user keeps his groups, as the kernel demands.
    if !matches!(made.ids, Ids::User { .. }) {
        set_thread_groups(&[])?;
    }
    Ok(set_thread_res_uid(user, user, user)?)
}

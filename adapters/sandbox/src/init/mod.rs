//! The first process of a sandbox: this program, started anew with one thread.
//!
//! It makes the namespaces and the root, starts the agent as PID 1 in them, and waits for its end to write down its
//! exit status. When it is killed, the kernel kills the agent, and with PID 1 everything in the sandbox.

mod cgroupfs;
mod confine;
mod devices;
mod fault;
mod hidden;
mod loopback;
mod mounting;
mod new_root;
mod pid_one;
mod root;
mod seccomp;
mod sys;
mod users;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Pid, PidfdFlags, WaitOptions, getpid, pidfd_open, setsid, umask, waitpid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use serde::de::DeserializeOwned;

use crate::spec::{Go, Ids, Network, Report, Spec};
use crate::state::EXIT_FILE;
use fault::{Fault, Result, To as _};
use seccomp::Filters;

/// The name under which the program starts itself.
pub(crate) const NAME: &str = "runspan-sandbox";

/// Becomes the first process of a sandbox, when the program was started as one. Must be called before anything else.
pub fn enter() -> Option<ExitCode> {
    (std::env::args_os().next().as_deref() == Some(OsStr::new(NAME))).then(|| {
        sys::close_all();
        match run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                // Whoever is not there to read it has no use for it.
                let _unread = report(&Report::Failed(fault.to_string()));
                ExitCode::FAILURE
            }
        }
    })
}

fn run() -> Result<()> {
    // Not a group leader only when started by hand.
    let _leader = setsid();
    umask(Mode::from_raw_mode(0o022));
    let mut orders = BufReader::new(io::stdin());
    let spec: Spec = order(&mut orders)?;
    let directory = File::open(&spec.dir).to(|| format!("open {}", spec.dir.display()))?;
    let _lease = spec.lease.as_deref().map(keep).transpose()?;
    namespaces(&spec)?;
    report(&Report::Namespaces)?;
    let made = root::make(&spec)?;
    let filters = Filters::new()?;
    let go: Go = order(&mut orders)?;
    cgroupfs::mount(&made.root, &spec.cgroups)?;
    made.root.settings(&spec, go.resolv_conf.as_deref())?;
    let agent = start(&spec, &made, &filters)?;
    report(&Report::Started(agent.as_raw_nonzero().get().unsigned_abs()))?;
    detach()?;
    let status = waitpid(Some(agent), WaitOptions::empty()).to(|| "wait for the agent".into())?;
    let code = status.and_then(|(_, status)| {
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))
    });
    write_exit(&directory, code.unwrap_or(-1)).to(|| "write down how the agent ended".into())
}

/// Keeps an image's layers for as long as this process lives.
fn keep(lease: &Path) -> Result<File> {
    let open = || -> io::Result<File> {
        let file = File::open(lease)?;
        file.lock_shared()?;
        Ok(file)
    };
    open().to(|| format!("lock {}", lease.display()))
}

/// Leaves every namespace of the machine but that of its users, which root leaves last, and that of its processes,
/// whose first one must be the agent.
fn namespaces(spec: &Spec) -> Result<()> {
    if let Ids::User { uid, gid } = spec.ids {
        sys::unshare(UnshareFlags::NEWUSER).to(|| "make a user namespace".into())?;
        users::map_self(uid, gid)?;
    }
    if let Network::Of(process) = spec.network {
        join_network(process).to(|| "join the network of the build".into())?;
    }
    let mut others = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if spec.network == Network::Own {
        others |= UnshareFlags::NEWNET;
    }
    sys::unshare(others).to(|| "make namespaces".into())?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .to(|| "keep mounts to itself".into())?;
    if spec.network == Network::Own {
        loopback::up().to(|| "start the loopback interface".into())?;
        // As container engines do: the right to serve on low ports is no good in a namespace of the machine's own users.
        let _some_kernels_lack_it = std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    }
    rustix::system::sethostname(spec.hostname.as_bytes()).to(|| "set the host's name".into())
}

fn join_network(process: i32) -> io::Result<()> {
    let namespace = File::open(format!("/proc/{process}/ns/net"))?;
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// As Docker does it: the first characters of the id.
pub(crate) fn hostname(attempt: &str) -> &str {
    attempt.get(..12).unwrap_or(attempt).trim_end_matches('-')
}

/// Starts the agent, and waits until it runs.
fn start(spec: &Spec, made: &root::Made, filters: &Filters) -> Result<Pid> {
    let (failure, tell) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).to(|| "make a pipe".into())?;
    let first = pidfd_open(getpid(), PidfdFlags::empty()).to(|| "watch itself".into())?;
    sys::unshare(UnshareFlags::NEWPID).to(|| "make a namespace of processes".into())?;
    let Some(child) = sys::fork().to(|| "start the agent".into())? else {
        let fault = pid_one::become_agent(spec, made, filters, &first);
        let _unread = File::from(tell).write_all(fault.to_string().as_bytes());
        sys::leave(1);
    };
    drop(tell);
    let mut said = String::new();
    File::from(failure).read_to_string(&mut said).to(|| "hear from the agent".into())?;
    if said.is_empty() { Ok(child) } else { Err(Fault::Said(said)) }
}

/// Lets go of the executor, which need not live as long.
fn detach() -> Result<()> {
    let nothing =
        OpenOptions::new().read(true).write(true).open("/dev/null").to(|| "open /dev/null".into())?;
    let done = rustix::stdio::dup2_stdin(&nothing).and_then(|()| rustix::stdio::dup2_stdout(&nothing));
    done.to(|| "let go of the executor".into())
}

fn write_exit(directory: &File, code: i32) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
    let file: OwnedFd = openat(directory.as_fd(), EXIT_FILE, flags, Mode::from_raw_mode(0o600))?;
    File::from(file).write_all(code.to_string().as_bytes())
}

fn order<T: DeserializeOwned>(from: &mut impl io::BufRead) -> Result<T> {
    let mut line = String::new();
    from.read_line(&mut line).to(|| "read an order".into())?;
    serde_json::from_str(&line).map_err(io::Error::from).to(|| "understand an order".into())
}

fn report(report: &Report) -> Result<()> {
    let mut line = serde_json::to_vec(report).map_err(io::Error::from).to(|| "report".into())?;
    line.push(b'\n');
    let mut out = io::stdout();
    out.write_all(&line).and_then(|()| out.flush()).to(|| "report".into())
}

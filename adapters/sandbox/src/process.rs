//! Processes that may be nobody's children: known by id and start time, watched and killed through descriptors.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process of this boot of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    id: i32,
    /// In ticks since the boot; tells it from a later process with the same id.
    start: u64,
}

impl Process {
    /// The process that has this id now.
    pub(crate) fn of(id: u32) -> io::Result<Self> {
        let id = i32::try_from(id).map_err(io::Error::other)?;
        Ok(Self { id, start: start_time(id)? })
    }

    pub(crate) const fn id(self) -> i32 {
        self.id
    }

    /// Takes real-time priority from it: no build is to have it over the machine, and groups of version 1 let no such
    /// process in.
    #[expect(unsafe_code, reason = "the call says below why it is sound")]
    pub(crate) fn share_time(self) -> io::Result<()> {
        let priority: libc::c_int = 0;
        // SAFETY: `struct sched_param` is this one number, which outlives the call.
        let done = unsafe {
            libc::syscall(libc::SYS_sched_setscheduler, self.id, libc::SCHED_OTHER, &raw const priority)
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Opens it; `None` when it is gone.
    pub(crate) fn open(self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.id) else { return Ok(None) };
        let open = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(open) => open,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at after the descriptor holds it, so that it cannot change in between.
        Ok(start_time(self.id).is_ok_and(|start| start == self.start).then_some(open))
    }

    /// Kills it; not an error when it is gone.
    pub(crate) fn kill(self) -> io::Result<()> {
        let Some(open) = self.open()? else { return Ok(()) };
        match pidfd_send_signal(open, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for its end; whether it came in time.
    pub(crate) fn wait(self, limit: Duration) -> io::Result<bool> {
        let Some(open) = self.open()? else { return Ok(true) };
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&open, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => return Ok(false),
                Ok(_) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn start_time(id: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name, in parentheses, may hold anything.
    let field = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19));
    field.and_then(|field| field.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_killed_and_another_with_its_id_is_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        let other = Process { start: process.start + 1, ..process };
        assert!(other.open().unwrap().is_none());
        other.kill().unwrap();
        assert!(!process.wait(Duration::from_millis(10)).unwrap());
        process.kill().unwrap();
        assert!(process.wait(Duration::from_secs(10)).unwrap());
        child.wait().unwrap();
        assert!(process.open().unwrap().is_none());
    }
}

//! The pipe that every process of the build writes to.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, fchmod, fcntl_getfl, fcntl_setfl};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use crate::log::Log;
use crate::spool::Spool;

const PIPE_SIZE: usize = 1 << 20;

/// One pipe for the whole build: what a command leaves in the background goes on writing to it, and is read,
/// when its command is over.
#[derive(Debug)]
pub(crate) struct Capture {
    read: OwnedFd,
    write: OwnedFd,
}

impl Capture {
    /// Makes the pipe and the thread that reads it into the log.
    pub(crate) fn start(log: Arc<Log>, spool: Arc<Spool>) -> io::Result<Arc<Self>> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        // Readers must not wait while they hold the log; writers are the build's processes, which may.
        fcntl_setfl(&read, fcntl_getfl(&read)? | OFlags::NONBLOCK)?;
        // A small pipe is only slower.
        let _ = fcntl_setpipe_size(&write, PIPE_SIZE);
        // `run-as` users open /dev/stderr, which is this pipe.
        let _ = fchmod(&write, Mode::from_raw_mode(0o622));
        let capture = Arc::new(Self { read, write });
        let reader = Arc::clone(&capture);
        std::thread::Builder::new().name("capture".into()).spawn(move || {
            loop {
                spool.wait_below_cap();
                let ready = poll(&mut [PollFd::new(&reader.read, PollFlags::IN)], None);
                if ready.is_ok() {
                    // Somebody else may have drained the pipe in between.
                    let _ = log.read_output(&reader.read, usize::MAX);
                }
            }
        })?;
        Ok(capture)
    }

    /// A process's end of the pipe.
    pub(crate) fn stdio(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.write.try_clone()?))
    }

    /// Brings what is in the pipe now into the log, and no more: a background process may never fall silent.
    pub(crate) fn drain(&self, log: &Log) {
        let mut left = rustix::io::ioctl_fionread(&self.read).unwrap_or(0);
        while left > 0 {
            let limit = usize::try_from(left).unwrap_or(usize::MAX);
            match log.read_output(&self.read, limit) {
                Ok(read) if read > 0 => left = left.saturating_sub(read as u64),
                Err(rustix::io::Errno::INTR) => {}
                _ => break,
            }
        }
    }
}

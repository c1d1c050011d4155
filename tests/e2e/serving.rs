//! The program as it serves.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Anything in these tests is over by then, on a machine that does other work too.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// A process; killed when dropped.
pub(crate) struct Serving {
    child: Child,
    log: PathBuf,
    /// Where in the log it began.
    begin: u64,
}

impl Serving {
    /// Starts a process that says what it has to say at the end of this file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let begin = file.metadata().unwrap().len();
        let child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Self { child, log: log.to_owned(), begin }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has said this.
    pub(crate) fn wait_for(&self, text: &str) {
        let end = Instant::now() + LIMIT;
        loop {
            let mut said = String::new();
            let mut file = File::open(&self.log).unwrap();
            file.seek(SeekFrom::Start(self.begin)).unwrap();
            file.read_to_string(&mut said).unwrap();
            if said.contains(text) {
                return;
            }
            assert!(Instant::now() < end, "`{text}` was awaited in vain: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end; its exit status.
    pub(crate) fn ended(&mut self) -> i32 {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! The program as a process: started, watched, signalled, and what came of it.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};

use super::{COMMAND_LIMIT, LOOK_AGAIN};

/// The program, before it is started.
pub(crate) struct Run {
    pub(super) command: Command,
    pub(super) limit: Duration,
}

impl Run {
    /// One more argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// More arguments.
    pub(crate) fn args<I: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = I>) -> Self {
        self.command.args(arguments);
        self
    }

    /// A variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Standard output goes to this file.
    pub(crate) fn stdout_to(mut self, file: fs::File) -> Self {
        self.command.stdout(file);
        self
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let stdout = child.stdout.take().map(Stream::follow);
        let stderr = child.stderr.take().map(Stream::follow);
        Running {
            child,
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
            limit: self.limit,
        }
    }

    /// Runs it to its end.
    pub(crate) fn finish(self) -> Finished {
        self.start().finish()
    }
}

/// What a process has written so far.
#[derive(Clone, Default)]
pub(crate) struct Stream(Arc<(Mutex<Written>, Condvar)>);

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    is_open: bool,
}

impl Stream {
    fn follow(mut from: impl Read + Send + 'static) -> Self {
        let stream = Self::default();
        stream.lock().is_open = true;
        let to = stream.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let read = from.read(&mut buffer).unwrap_or(0);
                let mut written = to.lock();
                written.bytes.extend_from_slice(&buffer[..read]);
                written.is_open = read > 0;
                to.0.1.notify_all();
                if read == 0 {
                    break;
                }
            }
        });
        stream
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    /// Waits until `is_there` says so or the stream ends; whether it said so.
    fn wait(&self, limit: Duration, is_there: impl Fn(&Written) -> bool) -> bool {
        let (written, _) = self
            .0
            .1
            .wait_timeout_while(self.lock(), limit, |written| written.is_open && !is_there(written))
            .unwrap_or_else(PoisonError::into_inner);
        is_there(&written)
    }
}

/// The program while it runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    limit: Duration,
}

impl Running {
    /// Waits until standard output has this text.
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait_on(&self.stdout, text);
    }

    /// Waits until standard error has this text.
    pub(crate) fn wait_for_stderr(&self, text: &str) {
        self.wait_on(&self.stderr, text);
    }

    fn wait_on(&self, stream: &Stream, text: &str) {
        let found = stream
            .wait(self.limit, |written| memchr::memmem::find(&written.bytes, text.as_bytes()).is_some());
        assert!(found, "`{text}` was awaited in vain:\n{}", self.so_far());
    }

    fn so_far(&self) -> Finished {
        Finished { status: None, stdout: self.stdout.bytes(), stderr: self.stderr.bytes() }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Finished {
        self.child.kill().unwrap();
        let status = self.child.wait().ok();
        self.stdout.wait(COMMAND_LIMIT, |written| !written.is_open);
        Finished { status, ..self.so_far() }
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Finished {
        let child = &mut self.child;
        let end = Instant::now() + self.limit;
        // Both streams end with the process; a file as standard output has none to wait for.
        for stream in [&self.stdout, &self.stderr] {
            stream.wait(end.saturating_duration_since(Instant::now()), |written| !written.is_open);
        }
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > end => break None,
                None => std::thread::sleep(LOOK_AGAIN),
            }
        };
        let finished = Finished { status, ..self.so_far() };
        assert!(status.is_some(), "not over after {:?}:\n{finished}", self.limit);
        finished
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the program did.
pub(crate) struct Finished {
    status: Option<ExitStatus>,
    /// Its standard output, as bytes.
    pub(crate) stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Finished {
    /// Its exit status; -1 when a signal ended it.
    pub(crate) fn code(&self) -> i32 {
        self.status.and_then(|status| status.code()).unwrap_or(-1)
    }

    /// Its standard output.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard error.
    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Fails unless it exited so.
    #[track_caller]
    pub(crate) fn exited(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{self}");
        self
    }

    /// Fails unless standard output has each of these texts, in this order.
    #[track_caller]
    pub(crate) fn printed(self, texts: &[&str]) -> Self {
        let text = normalise(&self.text());
        let mut from = 0;
        for wanted in texts {
            match text[from..].find(wanted) {
                Some(at) => from += at + wanted.len(),
                None => panic!("no `{wanted}` after byte {from} of\n{text}\nstderr:\n{}", self.errors()),
            }
        }
        self
    }

    /// Fails when standard output has this text.
    #[track_caller]
    pub(crate) fn did_not_print(self, text: &str) -> Self {
        assert!(!self.text().contains(text), "`{text}` must not be in\n{self}");
        self
    }

    /// Fails unless standard error has exactly one line that begins with `error`, and each of these texts.
    #[track_caller]
    pub(crate) fn explained(self, texts: &[&str]) -> Self {
        let errors = self.errors();
        let count = errors.lines().filter(|line| line.starts_with("error")).count();
        assert_eq!(count, 1, "one error in\n{self}");
        for wanted in texts {
            assert!(errors.contains(wanted), "no `{wanted}` in\n{self}");
        }
        assert!(!errors.contains("panicked"), "{self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shorten =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(20_000)..]).into_owned();
        write!(
            f,
            "status {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.status,
            shorten(&self.stdout),
            shorten(&self.stderr)
        )
    }
}

/// A log without what differs from one build to the next: times, ids, the digits of the source directory.
pub(crate) fn normalise(log: &str) -> String {
    static CHANGING: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
        [
            (r"\[Container\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} ", "[Container] "),
            (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
            (r"/codebuild/output/src\d+/", "/codebuild/output/srcN/"),
            (r"took \d+\.\d+ seconds", "took N seconds"),
        ]
        .map(|(pattern, replacement)| (Regex::new(pattern).unwrap(), replacement))
    });
    CHANGING
        .iter()
        .fold(log.to_owned(), |text, (pattern, with)| pattern.replace_all(&text, *with).into_owned())
}

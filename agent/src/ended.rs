//! Waiting for a command, and how its end is told.

use std::time::{Duration, Instant};

use runspan_agent_protocol::{Exit, StopReason};
use rustix::process::Pid;

use crate::exit_of;
use crate::processes::Waited;
use crate::shared::Shared;

/// Time between TERM and KILL for a step whose own time is over.
const STEP_GRACE: Duration = Duration::from_secs(5);

/// Waits for a command; ends everything when the build is to end, and the command when its own `time` is over.
pub(crate) fn wait(shared: &Shared, request: u64, pid: Pid, time: Option<Duration>) -> Exit {
    let Shared { processes, control, .. } = shared;
    let own_end = time.and_then(|time| Instant::now().checked_add(time));
    let until = control.deadline().into_iter().chain(own_end).min();
    match processes.wait(pid, until, || control.ended(request)) {
        Waited::Exited(status) => exit_of(status),
        Waited::Interrupted(_) | Waited::TimeOver => match control.ended(request) {
            Some(reason) => {
                processes.end_all(|| control.kill_at(request));
                processes.forget(pid);
                Exit::Ended(reason)
            }
            None => {
                processes.end_group(pid, STEP_GRACE);
                Exit::Ended(StopReason::TimedOut)
            }
        },
    }
}

/// A command that was running: tells of its failure in the log, and finds out whether it was killed for want of memory.
#[derive(Debug)]
pub(crate) struct Watched<'a> {
    shared: &'a Shared,
    shown: &'a str,
    request: u64,
    memory_limit: Option<u64>,
    oom_kills: u64,
}

impl<'a> Watched<'a> {
    /// Before the command starts; `shown` is what the log calls it.
    pub(crate) fn new(shared: &'a Shared, request: u64, shown: &'a str, memory_limit: Option<u64>) -> Self {
        Self { shared, shown, request, memory_limit, oom_kills: shared.cgroup.oom_kills() }
    }

    /// After its output is in the log; `time` is what it was given.
    pub(crate) fn ended(&self, exit: Exit, time: Option<Duration>) -> Exit {
        let Shared { log, cgroup, .. } = self.shared;
        let shown = self.shown.trim_end_matches('\n');
        if let Some(how) = self.how(&exit, time) {
            log.line(&format!("Command did not exit successfully {shown} {how}"));
        }
        let killed = matches!(exit, Exit::Status(_) | Exit::Signal(_)) && !exit.is_success();
        if killed && cgroup.oom_kills() > self.oom_kills {
            let limit = self.memory_limit.or_else(|| cgroup.memory_limit());
            let text = limit.map_or("out of memory".into(), |limit| format!("memory limit {}", size(limit)));
            log.line(&format!("`{}` was killed: {text}", shown.trim_end()));
            Exit::OutOfMemory { limit }
        } else {
            exit
        }
    }

    fn how(&self, exit: &Exit, time: Option<Duration>) -> Option<String> {
        Some(match exit {
            Exit::Status(0) => return None,
            Exit::Status(status) => format!("exit status {status}"),
            Exit::Signal(signal) => format!("killed by signal {signal}{}", signal_name(*signal)),
            Exit::OutOfMemory { .. } => "killed for want of memory".into(),
            Exit::Ended(StopReason::Stopped) => "ended: the build was stopped".into(),
            Exit::Ended(StopReason::TimedOut) if self.shared.control.ended(self.request).is_none() => {
                let seconds = time.unwrap_or_default().as_secs();
                format!("ended: the step's {seconds} seconds are over")
            }
            Exit::Ended(StopReason::TimedOut) => "ended: the build's time is over".into(),
            Exit::NotStarted(reason) => format!("not started: {reason}"),
        })
    }
}

fn size(bytes: u64) -> String {
    let (unit, name) = if bytes < 1 << 30 { (1 << 20, "MiB") } else { (1 << 30, "GiB") };
    format!("{:.1} {name}", bytes as f64 / f64::from(unit))
}

const fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        14 => " (SIGALRM)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

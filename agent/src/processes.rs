//! Every process of the build: started, reaped, waited for and ended here.

use std::collections::{HashMap, HashSet};
use std::io;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use runspan_agent_protocol::StopReason;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group,
    wait, waitid,
};

/// As PID 1 we may be given children we did not start; that is how often we look when we have none.
const IDLE_LOOK: Duration = Duration::from_secs(1);
/// How long we go on killing: only a process stuck in the kernel takes longer.
const KILL_TIME: Duration = Duration::from_secs(10);
const KILL_ROUND: Duration = Duration::from_millis(10);

/// What came first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waited {
    /// The process ended.
    Exited(WaitStatus),
    /// The build is to end.
    Interrupted(StopReason),
    /// The time is over.
    TimeOver,
}

/// All processes below the agent. One thread reaps them all, so that no exit status is stolen.
#[derive(Debug)]
pub(crate) struct Processes {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Children somebody waits for, and how they ended.
    watched: HashMap<Pid, Option<WaitStatus>>,
    /// We have no children; since orphans become ours, there are no processes at all.
    childless: bool,
}

impl Processes {
    /// Starts the reaper.
    pub(crate) fn start() -> io::Result<Arc<Self>> {
        let processes = Arc::new(Self { state: Mutex::default(), changed: Condvar::new() });
        let reaper = Arc::clone(&processes);
        std::thread::Builder::new().name("reaper".into()).spawn(move || reaper.reap_forever())?;
        Ok(processes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process. The lock is held meanwhile, so the reaper cannot take a child that nobody knows yet, nor
    /// one whose start failed and which the standard library reaps itself.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Pid> {
        let mut state = self.state();
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the kernel gave an impossible process id"))?;
        state.watched.insert(pid, None);
        state.childless = false;
        drop(state);
        self.changed.notify_all();
        Ok(pid)
    }

    /// Waits for a process, for `interrupted`, or for the time.
    pub(crate) fn wait(
        &self,
        pid: Pid,
        until: Option<Instant>,
        interrupted: impl Fn() -> Option<StopReason>,
    ) -> Waited {
        let mut state = self.state();
        loop {
            if let Some(Some(status)) = state.watched.get(&pid) {
                let status = *status;
                state.watched.remove(&pid);
                return Waited::Exited(status);
            }
            if let Some(reason) = interrupted() {
                return Waited::Interrupted(reason);
            }
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Waited::TimeOver,
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Nobody waits for this process any more.
    pub(crate) fn forget(&self, pid: Pid) {
        self.state().watched.remove(&pid);
    }

    /// Makes waiting threads look at their conditions again.
    pub(crate) fn wake(&self) {
        drop(self.state());
        self.changed.notify_all();
    }

    /// Ends every process: TERM, and KILL at the time that `kill_at` says. Returns when there are none.
    pub(crate) fn end_all(&self, kill_at: impl Fn() -> Instant) {
        signal_all(Signal::TERM);
        // A stopped process cannot act on TERM.
        signal_all(Signal::CONT);
        let mut state = self.state();
        while !state.childless {
            let left = kill_at().saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.kill_all();
    }

    /// Kills every process, however it was forked. Returns when there are none.
    pub(crate) fn kill_all(&self) {
        let since = Instant::now();
        loop {
            signal_all(Signal::KILL);
            let state = self.state();
            let (state, _) = self
                .changed
                .wait_timeout_while(state, KILL_ROUND, |state| !state.childless)
                .unwrap_or_else(PoisonError::into_inner);
            if state.childless || since.elapsed() > KILL_TIME {
                return;
            }
        }
    }

    /// Ends one process and its group: TERM, then KILL after `grace`.
    pub(crate) fn end_group(&self, pid: Pid, grace: Duration) {
        // The group may be gone already.
        let _ = kill_process_group(pid, Signal::TERM);
        let _ = kill_process_group(pid, Signal::CONT);
        let waited = self.wait(pid, Some(Instant::now() + grace), || None);
        let _ = kill_process_group(pid, Signal::KILL);
        if !matches!(waited, Waited::Exited(_)) {
            self.wait(pid, Some(Instant::now() + KILL_TIME), || None);
            self.forget(pid);
        }
    }

    fn reap_forever(&self) {
        loop {
            // Only a look: taking the status is done under the lock.
            match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => self.reap(),
                Err(rustix::io::Errno::CHILD) => self.wait_for_children(),
                Err(_) => {}
            }
        }
    }

    fn reap(&self) {
        let mut state = self.state();
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(slot) = state.watched.get_mut(&pid) {
                *slot = Some(status);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn wait_for_children(&self) {
        let mut state = self.state();
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        // Again under the lock: nobody can start a child between this look and the wait.
        state.childless = matches!(waitid(WaitId::All, look), Err(rustix::io::Errno::CHILD));
        self.changed.notify_all();
        let _woken = self.changed.wait_timeout_while(state, IDLE_LOOK, |state| state.childless);
    }
}

/// Sends a signal to every process of the build.
fn signal_all(signal: Signal) {
    if getpid().is_init() {
        // kill(-1): everything in the namespace but us, in one step of the kernel.
        let _ = kill_process_group(Pid::INIT, signal);
    } else {
        for pid in descendants() {
            let _ = kill_process(pid, signal);
        }
    }
}

/// All processes below us, where we are not PID 1 but the subreaper of what we start.
fn descendants() -> HashSet<Pid> {
    let mut parents: Vec<(Pid, Pid)> = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(pid) = id else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // `pid (name) state parent …`, and the name may hold anything.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let parent = after_name.split_ascii_whitespace().nth(1).and_then(|field| field.parse().ok());
        if let Some(parent) = parent.and_then(Pid::from_raw) {
            parents.push((pid, parent));
        }
    }
    let mut found = HashSet::new();
    let mut looking = vec![getpid()];
    while let Some(parent) = looking.pop() {
        for (pid, _) in parents.iter().filter(|(_, of)| *of == parent) {
            if found.insert(*pid) {
                looking.push(*pid);
            }
        }
    }
    found
}

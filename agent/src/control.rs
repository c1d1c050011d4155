//! What ends or holds up a build from outside: stops, its deadline, pauses.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use runspan_agent_protocol::{Event, Pause, Stop, StopReason};

use crate::log::Log;

/// Time between TERM and KILL when the build's own deadline has passed.
const DEADLINE_GRACE: Duration = Duration::from_secs(5);

/// Stops, deadline and pauses of the attempt.
#[derive(Debug, Default)]
pub(crate) struct Control {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The last stop: it ends requests with a smaller id than its own.
    stop: Option<Ordered>,
    deadline: Option<Instant>,
    /// Grows with every resume.
    resumes: u64,
    /// Pauses that wait for a resume.
    paused: usize,
    /// The transfer under way, which a stop must cut.
    transfer: Option<UnixStream>,
}

#[derive(Clone, Copy, Debug)]
struct Ordered {
    request: u64,
    reason: StopReason,
    kill_at: Instant,
}

impl Control {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the build's time.
    pub(crate) fn set_deadline(&self, time: Duration) {
        self.state().deadline = Instant::now().checked_add(time);
    }

    /// When the build's time is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.state().deadline
    }

    /// Ends every request before this one. A second stop can only shorten the grace of the first.
    pub(crate) fn stop(&self, request: u64, stop: Stop) {
        let mut state = self.state();
        let mut kill_at = Instant::now() + Duration::from_millis(stop.grace_ms.min(u64::from(u32::MAX)));
        if let Some(before) = state.stop.filter(|before| before.kill_at > Instant::now()) {
            kill_at = kill_at.min(before.kill_at);
        }
        state.stop = Some(Ordered { request, reason: stop.reason, kill_at });
        if let Some(transfer) = &state.transfer {
            let _ = transfer.shutdown(Shutdown::Both);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whether, and why, this request must end.
    pub(crate) fn ended(&self, request: u64) -> Option<StopReason> {
        let state = self.state();
        if let Some(stop) = state.stop.filter(|stop| stop.request > request) {
            return Some(stop.reason);
        }
        state.deadline.is_some_and(|deadline| deadline <= Instant::now()).then_some(StopReason::TimedOut)
    }

    /// When processes of this request, which must end, are to be killed.
    pub(crate) fn kill_at(&self, request: u64) -> Instant {
        let state = self.state();
        let stop = state.stop.filter(|stop| stop.request > request).map(|stop| stop.kill_at);
        let deadline = state.deadline.map(|deadline| deadline + DEADLINE_GRACE);
        stop.into_iter().chain(deadline).min().unwrap_or_else(Instant::now)
    }

    /// Registers the transfer under way; that of a request that must end is cut at once.
    pub(crate) fn set_transfer(&self, request: u64, transfer: UnixStream) {
        self.state().transfer = Some(transfer);
        if self.ended(request).is_some()
            && let Some(transfer) = &self.state().transfer
        {
            let _ = transfer.shutdown(Shutdown::Both);
        }
    }

    /// The transfer is over.
    pub(crate) fn clear_transfer(&self) {
        self.state().transfer = None;
    }

    /// Ends all pauses.
    pub(crate) fn resume(&self) {
        self.state().resumes += 1;
        self.changed.notify_all();
    }

    /// Waits for a resume, or until the request must end; tells both in the log. `gone` says that whoever
    /// paused is not there any more.
    pub(crate) fn pause(&self, request: u64, why: Pause, log: &Log, gone: impl Fn() -> bool) {
        let mut state = self.state();
        let before = state.resumes;
        state.paused += 1;
        if state.paused == 1 {
            drop(state);
            log.event(Event::Paused(why));
            state = self.state();
        }
        while state.resumes == before {
            drop(state);
            if self.ended(request).is_some() || gone() {
                state = self.state();
                break;
            }
            // The wait is cut into pieces to notice the deadline and a partner that went away.
            let piece = Duration::from_millis(200);
            state = self.state();
            if state.resumes == before {
                state = self.changed.wait_timeout(state, piece).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.paused -= 1;
        let last = state.paused == 0;
        drop(state);
        if last {
            log.event(Event::Resumed);
        }
    }
}

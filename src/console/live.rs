//! The live view: what a build is doing right now, on stderr, only on a terminal.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use runspan_agent_protocol::Sample;
use runspan_engine::journal::StoredEvent;
use runspan_engine::{Event, Progress};

use super::size;

/// A view that may be shown; every clone is the same one.
#[derive(Clone)]
pub(crate) struct Live(Option<Arc<View>>);

struct View {
    bars: MultiProgress,
    status: ProgressBar,
    pull: Mutex<Option<ProgressBar>>,
    now: Mutex<Now>,
    log_here: bool,
}

/// What the status line says.
#[derive(Default)]
struct Now {
    phase: &'static str,
    command: String,
    usage: String,
    sample: Option<(Timestamp, Sample)>,
}

impl Live {
    /// None, whatever the terminal.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// On stderr when that is a terminal.
    pub(crate) fn on_terminal() -> Self {
        if !io::stderr().is_terminal() {
            return Self::none();
        }
        let bars = MultiProgress::new();
        let status =
            bars.add(ProgressBar::new_spinner().with_style(style("{spinner} {elapsed:>4} {wide_msg}")));
        status.enable_steady_tick(Duration::from_millis(200));
        Self(Some(Arc::new(View {
            bars,
            status,
            pull: Mutex::default(),
            now: Mutex::default(),
            log_here: io::stdout().is_terminal(),
        })))
    }

    /// Whether the log goes to the terminal of this view.
    pub(crate) fn shares_terminal(&self) -> bool {
        self.0.as_ref().is_some_and(|view| view.log_here)
    }

    /// Does something that writes to the terminal.
    pub(crate) fn aside(&self, write: impl FnOnce()) {
        match &self.0 {
            Some(view) if view.log_here => view.bars.suspend(write),
            _ => write(),
        }
    }

    /// Says something above the view.
    pub(crate) fn note(&self, text: &str) {
        match &self.0 {
            Some(view) => view.bars.suspend(|| super::note(text)),
            None => super::note(text),
        }
    }

    /// Leaves the terminal to somebody else, or comes back.
    pub(crate) fn hide(&self, hidden: bool) {
        if let Some(view) = &self.0 {
            let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
            let _gone = if hidden { view.bars.clear() } else { Ok(()) };
            view.bars.set_draw_target(target);
        }
    }

    /// Shows how the container is being placed.
    pub(crate) fn placing(&self, progress: &Progress) {
        let Some(view) = &self.0 else { return };
        let mut pull = view.pull.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Pulling { done, total } => {
                let bar = pull.get_or_insert_with(|| {
                    view.bars.add(ProgressBar::new(0).with_style(style(
                        "  pulling the image {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}",
                    )))
                });
                if let Some(total) = total {
                    bar.set_length(*total);
                }
                bar.set_position(*done);
            }
            // The build's record says it.
            Progress::Warning(_) => {}
            Progress::Starting => {
                if let Some(bar) = pull.take() {
                    bar.finish_and_clear();
                }
                view.status.set_message("starting the container");
            }
        }
    }

    /// Shows what an event changes.
    pub(crate) fn event(&self, event: &StoredEvent) {
        let Some(view) = &self.0 else { return };
        let mut now = view.now.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.event {
            Event::PhaseStarted { phase } => {
                now.phase = phase.name();
                now.command.clear();
            }
            Event::CommandStarted { command, .. } => {
                now.command = command.lines().next().unwrap_or_default().to_owned();
            }
            Event::StepStarted { name, .. } => name.clone_into(&mut now.command),
            Event::CommandEnded { .. } | Event::StepEnded { .. } => now.command.clear(),
            Event::Paused { .. } => "paused".clone_into(&mut now.command),
            Event::Sample(sample) => {
                now.usage = usage(now.sample, (event.time, *sample));
                now.sample = Some((event.time, *sample));
            }
            _ => return,
        }
        let parts = [now.phase, &now.usage, &now.command];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        view.status.set_message(parts.join("  "));
    }

    /// Takes the view away.
    pub(crate) fn finish(&self) {
        if let Some(view) = &self.0 {
            view.status.finish_and_clear();
            let _gone = view.bars.clear();
        }
    }
}

/// Processor and memory use, from two samples.
fn usage(before: Option<(Timestamp, Sample)>, (time, sample): (Timestamp, Sample)) -> String {
    let memory = size(sample.memory_bytes);
    let percent = before.and_then(|(then, before)| {
        let elapsed = time.as_microsecond().checked_sub(then.as_microsecond())?;
        let used = sample.cpu_us.checked_sub(before.cpu_us)?;
        (elapsed > 0).then(|| used * 100 / elapsed.unsigned_abs())
    });
    match percent {
        Some(percent) => format!("cpu {percent}% mem {memory}"),
        None => format!("mem {memory}"),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_told_from_two_samples() {
        let at = |second, cpu_us| {
            let sample = Sample { cpu_us, memory_bytes: 3 << 20, ..Sample::default() };
            (Timestamp::from_second(second).unwrap(), sample)
        };
        assert_eq!(usage(None, at(1, 5)), "mem 3.0 MiB");
        assert_eq!(usage(Some(at(1, 0)), at(3, 3_000_000)), "cpu 150% mem 3.0 MiB");
        assert_eq!(usage(Some(at(1, 9)), at(1, 9)), "mem 3.0 MiB");
    }
}

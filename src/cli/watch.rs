//! Runs a build of this process to its end: shows it, passes on signals, opens shells when it pauses.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use runspan_agent_protocol::Pause;
use runspan_engine::build::{Build, BuildId};
use runspan_engine::journal::{Journal, Position, StoredEvent};
use runspan_engine::sinks::undelivered;
use runspan_engine::{BuildHandle, Control, Event, Outcome, Supervisor};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use super::builds::said;
use super::executor::{Chosen, connect};
use super::{explain, shell};
use crate::config::Config;
use crate::console::{self, Follower, JsonLines, Length, Live, LogText, Silence, Sink, headline, summary};
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::ports::ports;

/// The agent, as every container gets it.
static AGENT: &[u8] = include_bytes!(env!("RUNSPAN_AGENT_BINARY"));
/// What tells this agent from other versions of it.
const AGENT_HASH: &str = env!("RUNSPAN_AGENT_HASH");
/// Leftovers of dead supervisors do not hold up a new build for longer.
const SWEEP_PATIENCE: Duration = Duration::from_secs(3);
/// Sinks that do not answer do not hold up the end of a build for longer.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// What a build prints.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct OutputArgs {
    /// Print log and events as JSON, one object a line.
    #[arg(long, conflicts_with = "quiet")]
    pub(super) json: bool,
    /// Print no log, only how the build ended.
    #[arg(long)]
    pub(super) quiet: bool,
}

/// Everything that supervising builds takes.
pub(super) struct Session {
    pub(super) journal: Arc<Journal>,
    pub(super) supervisor: Supervisor,
    pub(super) output: OutputArgs,
    pub(super) live: Live,
}

impl Session {
    /// On this machine, with this state.
    pub(super) async fn open(
        config: &Config,
        journal: Arc<Journal>,
        executor: impl Into<Chosen>,
        output: OutputArgs,
    ) -> Result<Self, Failure> {
        let agent = journal.home().install_agent(AGENT_HASH, AGENT).map_err(|error| {
            Failure::machine(format!("the agent cannot be put into {}", journal.home().root().display()))
                .because(&error)
                .help("make room there, or set RUNSPAN_HOME to another directory")
        })?;
        let live = if output.quiet { Live::none() } else { Live::on_terminal() };
        let placing = live.clone();
        let executor = connect(executor.into(), config, &journal).await?;
        let supervisor = Supervisor::new(Arc::clone(&journal), executor, agent, config.region.clone())
            .with_progress(Arc::new(move |_, progress| placing.placing(&progress)))
            .with_actions(config.actions())
            .with_ports(ports(config, &journal));
        Ok(Self { journal, supervisor, output, live })
    }

    /// Ends what dead supervisors left, as far as that is quickly done.
    pub(super) async fn sweep(&self) {
        match tokio::time::timeout(SWEEP_PATIENCE, self.supervisor.sweep()).await {
            Ok(Ok(lines)) => lines.iter().for_each(|line| self.live.note(&format!("note: {line}"))),
            Ok(Err(error)) => self.live.note(&format!("warning: leftovers were not looked for: {error}")),
            Err(_) => self.live.note("warning: leftovers of earlier builds remain; see `runspan doctor`"),
        }
    }

    /// Does this work, and [`Self::sweep`]s: before it where a dead build may hold a network or a lease that the work
    /// needs, else at its side.
    pub(super) async fn sweeping<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        if self.journal.unfinished()?.is_empty() {
            return Ok(tokio::join!(work, self.sweep()).0);
        }
        self.sweep().await;
        Ok(work.await)
    }

    /// Gives sinks the time to take what is left, and says what they did not.
    pub(super) async fn drain(&self) {
        let couriers = self.supervisor.couriers();
        couriers.drain(DRAIN_PATIENCE).await;
        // What an earlier build left behind may go by now; it holds up nobody.
        let _later = tokio::time::timeout(DRAIN_PATIENCE, couriers.retry(None)).await;
        match undelivered(&self.journal) {
            Ok(left) => left.iter().for_each(|left| console::note(&format!("note: {}", said(left)))),
            Err(error) => console::note(&format!("warning: what is not delivered is not known: {error}")),
        }
    }

    /// Follows a build, and those that are tried in its place, to the end.
    pub(super) async fn to_the_end(&self, mut handle: BuildHandle) -> Result<Exit, Failure> {
        let mut signals = Signals::new()?;
        loop {
            let id = handle.id.clone();
            let (outcome, interrupted) = self.watch(handle, &mut signals).await?;
            self.live.finish();
            self.conclude(&outcome.build);
            match outcome.retry {
                Some(request) if !interrupted => {
                    console::note(&format!("note: build {id} is tried again"));
                    handle = self.supervisor.start(*request)?;
                }
                _ if interrupted => return Ok(Exit::Stopped),
                _ => return Ok(Exit::of(&outcome.build)),
            }
        }
    }

    /// Follows one build; also whether somebody interrupted it.
    async fn watch(&self, handle: BuildHandle, signals: &mut Signals) -> Result<(Outcome, bool), Failure> {
        let BuildHandle { id, position, control, mut outcome } = handle;
        let (pauses, mut paused) = mpsc::unbounded_channel();
        let sink =
            Attentive { inner: self.sink(&id), live: self.live.clone(), quiet: self.output.quiet, pauses };
        let (done, over) = watch::channel(false);
        let mut shown = self.show(&id, position, over, Box::new(sink));
        let mut interrupts = 0_u32;
        let mut enter: Option<oneshot::Receiver<()>> = None;
        let ended = loop {
            tokio::select! {
                ended = &mut outcome => break ended,
                () = signals.next() => {
                    interrupts += 1;
                    if !self.interrupt(&control, interrupts) {
                        return Err(Failure::stopped(&id));
                    }
                }
                Some(reason) = paused.recv() => {
                    if self.tell_of_pause(&id, reason) {
                        enter.get_or_insert_with(line_on_stdin);
                    }
                }
                Ok(()) = async { match &mut enter { Some(enter) => enter.await, None => std::future::pending().await } } => {
                    enter = None;
                    self.open_shell(&id).await;
                    control.resume();
                }
            }
        };
        let _gone = done.send(true);
        tokio::select! {
            // What is still to be printed waits for whoever reads it.
            shown = &mut shown => shown.map_err(|error| Failure::of(&error))??,
            () = signals.next() => interrupts += 1,
        }
        let outcome = ended.map_err(|error| Failure::of(&error))??;
        Ok((outcome, interrupts > 0))
    }

    /// Shows a build on a thread of its own, so that a slow terminal holds up nobody.
    pub(super) fn show(
        &self,
        id: &BuildId,
        mut position: watch::Receiver<Position>,
        mut over: watch::Receiver<bool>,
        mut sink: Box<dyn Sink>,
    ) -> tokio::task::JoinHandle<Result<(), Failure>> {
        let mut follower = Follower::new(Arc::clone(&self.journal), id.uuid());
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            loop {
                let now = *position.borrow_and_update();
                if follower.advance(Length::Known(now.log), &mut *sink)? {
                    return Ok(());
                }
                let more = runtime.block_on(async {
                    tokio::select! {
                        changed = position.changed() => changed.is_ok(),
                        _ = over.changed() => false,
                    }
                });
                if !more {
                    let last = position.borrow().log;
                    follower.advance(Length::Known(last), &mut *sink)?;
                    return Ok(());
                }
            }
        })
    }

    fn sink(&self, id: &BuildId) -> Box<dyn Sink> {
        match self.output {
            OutputArgs { json: true, .. } => Box::new(JsonLines::new(id.clone(), self.live.clone())),
            OutputArgs { quiet: true, .. } => Box::new(Silence),
            OutputArgs { .. } => Box::new(LogText::new(self.live.clone())),
        }
    }

    /// Answers a signal; false when there is nothing left to be done than to leave.
    fn interrupt(&self, control: &Control, count: u32) -> bool {
        match count {
            1 => {
                self.live.note("note: stopping the build; once more to kill it");
                control.stop();
            }
            2 => {
                self.live.note("note: killing the build; once more to leave it to the next sweep");
                control.kill();
            }
            _ => return false,
        }
        true
    }

    /// Says how to get in; whether the user can do so right here.
    fn tell_of_pause(&self, id: &BuildId, reason: Pause) -> bool {
        let why = match reason {
            Pause::Breakpoint => "at a breakpoint",
            Pause::Failure => "after a failed command",
        };
        let here = io::stdin().is_terminal() && io::stderr().is_terminal();
        let enter = if here { "\n      Enter opens it here." } else { "" };
        self.live.note(&format!(
            "note: the build waits {why}. A shell inside: runspan shell {id}\n      \
             `codebuild-resume` in it lets the build go on.{enter}"
        ));
        here
    }

    async fn open_shell(&self, id: &BuildId) {
        self.live.hide(true);
        let (directory, attempt) = (self.journal.home().build(id.uuid()).run(), id.uuid().to_owned());
        if let Err(error) = shell::open(directory, attempt, None).await {
            console::complain(&error);
        }
        self.live.hide(false);
    }

    /// Says how a build ended, and when it could not begin, why.
    fn conclude(&self, build: &Build) {
        let directory = self.journal.home().build(build.id.uuid());
        let stored = self.journal.find(build.id.as_str()).ok().flatten();
        let request = stored.map(|stored| stored.request);
        let why = request.as_ref().and_then(|request| explain::explain(build, request));
        let silent = self.output.json && !io::stderr().is_terminal();
        let text = match &why {
            _ if silent => String::new(),
            None if !self.output.quiet => {
                let reports = request.and_then(|request| request.reports_dir);
                summary(build, &directory.log(), &reports.unwrap_or_else(|| directory.reports()))
            }
            _ => headline(build),
        };
        for said in [text, why.unwrap_or_default()].iter().filter(|said| !said.is_empty()) {
            console::note(said.trim_end());
        }
    }
}

/// Reads a line of the terminal, on a thread that nobody waits for.
fn line_on_stdin() -> oneshot::Receiver<()> {
    let (entered, enter) = oneshot::channel();
    std::thread::spawn(move || {
        if io::stdin().read_line(&mut String::new()).is_ok_and(|read| read > 0) {
            let _gone = entered.send(());
        }
    });
    enter
}

/// Passes everything on, says warnings, and tells of pauses.
struct Attentive {
    inner: Box<dyn Sink>,
    live: Live,
    quiet: bool,
    pauses: mpsc::UnboundedSender<Pause>,
}

impl Sink for Attentive {
    fn log(&mut self, bytes: &[u8]) {
        self.inner.log(bytes);
    }

    fn event(&mut self, event: &StoredEvent) {
        self.inner.event(event);
        match &event.event {
            Event::Paused { reason } => {
                let _gone = self.pauses.send(*reason);
            }
            Event::Warning { message } if !self.quiet => {
                // What is said of the buildspec is rendered already.
                let mark = if message.starts_with("warning") { "" } else { "warning: " };
                self.live.note(&format!("{mark}{}", message.trim_end()));
            }
            _ => {}
        }
    }

    fn flush(&mut self) {
        self.inner.flush();
    }
}

/// What ends a program: Ctrl-C, TERM, a terminal that is gone.
pub(super) struct Signals([Signal; 3]);

impl Signals {
    /// From now on these signals end nothing by themselves.
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::machine("signals cannot be listened for").because(&error))
        };
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// The next one.
    pub(super) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

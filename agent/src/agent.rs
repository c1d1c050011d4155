//! The main thread: requests, one at a time, in order.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use runspan_agent_protocol::{Configure, Event, Reply, Request, Verb, layout};
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, set_child_subreaper, set_dumpable_behavior, umask};

use crate::build::Build;
use crate::capture::Capture;
use crate::carried;
use crate::cgroup::Cgroup;
use crate::control::Control;
use crate::error::AgentError;
use crate::files::{Remembered, Unpacked};
use crate::layout::Layout;
use crate::link::{Link, Message};
use crate::log::Log;
use crate::processes::Processes;
use crate::shared::Shared;
use crate::spool::Spool;
use crate::{clearing, credentials, files, helpers, phase, service, signals, steps, terminal, transfer};

/// How long the end of the spool may take to be acknowledged.
const FLUSH_TIME: Duration = Duration::from_secs(5);
/// How long removing the build's files may take; whoever waits for our end waits a little longer.
const CLEAR_TIME: Duration = Duration::from_secs(3);

/// How an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was told to finish.
    Finished,
    /// Its supervisor never came back.
    Orphaned,
}

/// The main thread's state.
#[derive(Debug)]
struct Agent {
    shared: Arc<Shared>,
    build: Option<Build>,
    orphan_seconds: Arc<AtomicU64>,
    /// Id of the running request.
    current: Arc<AtomicU64>,
    /// The cache, as it was unpacked.
    remembered: Option<Remembered>,
}

/// Runs the agent until it is told to finish, or orphaned.
pub(crate) fn run(layout: Layout, attempt: String) -> Result<Ending, AgentError> {
    // Nobody of the build may look into our memory, which holds its secrets.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(AgentError::system("forbid looking into the agent's memory"))?;
    // Where we are not PID 1, orphans come to us all the same.
    set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(AgentError::system("become the reaper of orphans"))?;
    umask(Mode::from_raw_mode(0o022));
    let run_dir = layout.run_dir();
    carried::make_dir(&run_dir)?;
    let (spool, writer) =
        Spool::create(&layout.spool()).map_err(AgentError::file("make the spool", layout.spool()))?;
    let log = Arc::new(Log::new(writer));
    let capture = Capture::start(Arc::clone(&log), Arc::clone(&spool))
        .map_err(AgentError::system("start reading output"))?;
    let processes = Processes::start().map_err(AgentError::system("start reaping processes"))?;
    let cgroup = Cgroup::find(Path::new("/"));
    log.event(Event::Ready { memory_limit: cgroup.memory_limit() });
    let shared = Arc::new(Shared {
        attempt,
        layout,
        spool,
        log,
        capture,
        processes,
        control: Control::default(),
        cgroup,
        session: std::sync::Mutex::default(),
    });
    signals::listen(&shared.log).map_err(AgentError::system("listen to signals"))?;
    terminal::listen(&shared).map_err(AgentError::file("listen at", shared.layout.shell_socket()))?;
    let (sender, messages) = channel();
    let orphan_seconds = Link::start(Arc::clone(&shared), sender)
        .map_err(AgentError::system("start the line to the supervisor"))?;
    // While the line is made; what cannot be done is said when the build is configured.
    let _said_later = helpers::install(&shared.layout);
    Ok(Agent { shared, build: None, orphan_seconds, current: Arc::default(), remembered: None }
        .serve(&messages))
}

impl Agent {
    fn serve(mut self, messages: &Receiver<Message>) -> Ending {
        loop {
            match messages.recv() {
                Ok(Message::Request(Request { id, verb: Verb::Finish })) => {
                    self.end_processes();
                    self.clear();
                    self.done(id, Ok(Reply::Nothing));
                    self.shared.spool.flush(FLUSH_TIME);
                    return Ending::Finished;
                }
                Ok(Message::Request(request)) => {
                    self.current.store(request.id, Ordering::Relaxed);
                    let result = self.carry_out(request.id, request.verb);
                    let Shared { control, processes, .. } = &*self.shared;
                    if control.ended(request.id).is_some() {
                        // Whatever ended first, nothing outlives a stop.
                        processes.end_all(|| control.kill_at(request.id));
                        self.shared.capture.drain(&self.shared.log);
                    }
                    self.done(request.id, result);
                }
                Ok(Message::Orphaned(seconds)) => {
                    self.end_processes();
                    self.shared.log.line(&format!(
                        "No supervisor came back for {seconds} seconds: the agent ended the build"
                    ));
                    return Ending::Orphaned;
                }
                // The line's thread ends only after it told us.
                Err(_) => return Ending::Orphaned,
            }
        }
    }

    fn done(&self, request: u64, result: Result<Reply, AgentError>) {
        let result = result.map_err(|error| error.to_string());
        self.shared.log.event(Event::Done { request, result });
    }

    fn end_processes(&self) {
        self.shared.processes.kill_all();
        self.shared.capture.drain(&self.shared.log);
        self.shared.log.end_output();
    }

    /// Removes the build's files where they go anyway: with a container, whose first process we are.
    fn clear(&self) {
        if rustix::process::getpid().is_init() {
            clearing::empty(&self.shared.layout.place(layout::SHARED), Instant::now() + CLEAR_TIME);
        }
    }

    fn carry_out(&mut self, id: u64, verb: Verb) -> Result<Reply, AgentError> {
        let shared = Arc::clone(&self.shared);
        match verb {
            Verb::Configure(order) => self.configure(&order).map(|()| Reply::Nothing),
            Verb::Log(lines) => {
                lines.iter().for_each(|line| shared.log.line(line));
                Ok(Reply::Nothing)
            }
            Verb::ReadFile { path, max_bytes } => read_file(PathBuf::from(path), max_bytes).map(Reply::File),
            Verb::SetEnvironment(variables) => {
                let build = self.build()?;
                build.set_environment(&variables)?;
                shared.set_session(build.session());
                Ok(Reply::Nothing)
            }
            Verb::RunPhase(order) => {
                let end = phase::run(&shared, self.build()?, id, &order);
                shared.set_session(self.build()?.session());
                Ok(Reply::Phase(end))
            }
            Verb::PrepareSteps(order) => steps::prepare(&shared, &order).map(|()| Reply::Nothing),
            Verb::RunStep(order) => {
                let report = steps::run(&shared, self.build()?, id, *order);
                shared.set_session(self.build()?.session());
                Ok(Reply::Step(Box::new(report)))
            }
            Verb::Tell(events) => {
                events.into_iter().for_each(|event| shared.log.event(event));
                Ok(Reply::Nothing)
            }
            Verb::HashFiles(patterns) => {
                let digest = files::hash_of(&patterns, &self.build()?.rules.source_dir);
                digest
                    .map(|digest| Reply::Texts(vec![digest]))
                    .map_err(|error| AgentError::Files(error.to_string()))
            }
            Verb::Mask(texts) => Ok(Reply::Texts(shared.log.masked(&texts))),
            Verb::Evaluate(texts) => {
                let Build { environment, state, succeeding, .. } = self.build()?;
                let expand = |text: &String| {
                    state.expand(&shared, environment, *succeeding, text, || shared.control.ended(id))
                };
                texts.iter().map(expand).collect::<Result<_, _>>().map(Reply::Texts)
            }
            Verb::Export(names) => {
                let Build { environment, state, .. } = self.build()?;
                let saved = state.variables(&shared, environment)?;
                let value = |name: String| {
                    let value = saved.get(&name)?.to_string_lossy().into_owned();
                    Some((name, value))
                };
                Ok(Reply::Variables(names.into_iter().filter_map(value).collect()))
            }
            Verb::OfferService { beyond_loopback } => service::offer(&shared, beyond_loopback)
                .map(|address| Reply::Texts(vec![address.to_string()]))
                .map_err(AgentError::system("listen for the local service")),
            Verb::Unpack(order) => {
                let Unpacked { files, bytes, remembered } = transfer::unpack(&shared, id, &order)?;
                if !order.remember.is_empty() {
                    self.remembered = remembered;
                }
                Ok(Reply::Unpacked { files, bytes })
            }
            Verb::Collect(order) => {
                let session = self.build()?.session();
                transfer::collect(&shared, id, &order, &session, self.remembered.as_ref())
            }
            // Taken on the line's thread, or by `serve`.
            Verb::Stop(_) | Verb::Resume | Verb::Finish => Ok(Reply::Nothing),
        }
    }

    fn build(&mut self) -> Result<&mut Build, AgentError> {
        self.build.as_mut().ok_or(AgentError::NotConfigured)
    }

    fn configure(&mut self, order: &Configure) -> Result<(), AgentError> {
        if self.build.is_some() {
            return Err(AgentError::ConfiguredAlready);
        }
        let shared = &self.shared;
        // First of all: no error text of what follows may show a secret.
        shared.log.add_secrets(&order.mask)?;
        self.orphan_seconds.store(order.orphan_seconds, Ordering::Relaxed);
        shared.control.set_deadline(Duration::from_secs(order.timeout_seconds));
        let mut build = Build::configure(order, &shared.layout)?;
        if order.offers.credentials {
            let uri =
                credentials::listen(shared).map_err(AgentError::system("serve the role's credentials"))?;
            build.environment.put(credentials::URI_VARIABLE, uri);
        }
        if order.offers.git_logins {
            helpers::GIT_SETTINGS.iter().for_each(|(name, value)| build.environment.put(name, value));
        }
        shared.set_session(build.session());
        let socket = shared.layout.helper_socket();
        helpers::listen(shared, &self.current).map_err(AgentError::file("listen at", socket))?;
        if order.sample_interval_ms > 0 {
            sample_every(shared, Duration::from_millis(order.sample_interval_ms))?;
        }
        self.build = Some(build);
        Ok(())
    }
}

fn sample_every(shared: &Arc<Shared>, interval: Duration) -> Result<(), AgentError> {
    let shared = Arc::clone(shared);
    let sample = move || {
        let mut peak = 0;
        loop {
            let sample = shared.cgroup.sample(peak);
            peak = sample.memory_peak_bytes;
            shared.log.event(Event::Sample(sample));
            std::thread::sleep(interval);
        }
    };
    std::thread::Builder::new()
        .name("samples".into())
        .spawn(sample)
        .map(drop)
        .map_err(AgentError::system("start measuring resources"))
}

fn read_file(path: PathBuf, limit: u64) -> Result<Option<Vec<u8>>, AgentError> {
    let file = match File::open(&path) {
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        opened => opened.map_err(AgentError::file("open", &path))?,
    };
    let mut bytes = Vec::new();
    // One more than allowed, to notice; the size in the inode may lie (`/proc`).
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(AgentError::file("read", &path))?;
    if bytes.len() as u64 > limit { Err(AgentError::TooLarge { path, limit }) } else { Ok(Some(bytes)) }
}

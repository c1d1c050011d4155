//! Making a sandbox, step by step; all of it or nothing, also when the caller stops waiting.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use runspan_agent_protocol::{Program, layout};
use runspan_engine::{Company, Container, ExecutorError, Limits, Progress, Volume};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::cgroup::Hierarchy;
use crate::executor::{Sandboxes, blocking, other};
use crate::host::{self, Shown};
use crate::image::{Image, ImageConfig, Lease};
use crate::network::Given;
use crate::process::Process;
use crate::spec::{Bind, Go, Ids, Report, Root, Spec};
use crate::state::{self, Place, Record, boot};
use crate::{init, limits};

/// The search path of programs where an image names none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the root is made of.
pub(crate) enum Rooms {
    /// The machine's own.
    Host,
    /// An image's layers.
    Image(Box<Image>),
}

/// What a sandbox is made from.
pub(crate) struct Plan {
    pub(crate) container: Container,
    pub(crate) rooms: Rooms,
    /// All is made, and nothing started.
    pub(crate) is_rehearsal: bool,
}

/// A sandbox that runs.
pub(crate) struct Placed {
    pub(crate) first: Process,
    /// Why root inside is root outside, where it is.
    pub(crate) same_ids: Option<String>,
}

/// A sandbox being made; removed again unless it comes to life.
pub(crate) struct Placing<'a> {
    sandboxes: &'a Sandboxes,
    place: Place,
    record: Record,
    network: Arc<Given>,
    root: String,
    hold: Hold,
    is_settled: bool,
}

/// Keeps what is made on threads of its own from being made after it was given up.
#[derive(Clone, Default)]
struct Hold(Arc<Mutex<bool>>);

impl Hold {
    fn work<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let given_up = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *given_up { Err(io::Error::other("it was given up")) } else { work() }
    }

    /// Waits for what is being made.
    fn give_up(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

impl<'a> Placing<'a> {
    /// Makes the sandbox and waits for its agent to run; the first process.
    pub(crate) async fn carry_out(
        sandboxes: &'a Sandboxes,
        plan: Plan,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Placed, ExecutorError> {
        let root = plan.container.root.to_string();
        let (networks, asked) = (sandboxes.networks.clone(), plan.container.network);
        let refused = |reason| ExecutorError::Start { image: root.clone(), reason };
        let chosen = blocking("choosing a network", move || Ok(networks.choose(asked))).await?;
        let (mut network, warning) = chosen.map_err(|error| refused(error.to_string()))?;
        let mut place = sandboxes.state.place(&plan.container.attempt);
        if let Company::Beside(beside) = &plan.container.company {
            let gone = || refused("the build's own sandbox is gone".into());
            network = network.shared_by(place.record().first.ok_or_else(gone)?);
            place = place.of(Some(&beside.name));
        } else if let Some(warning) = warning {
            // Of companions, it has been said.
            progress(Progress::Warning(warning));
        }
        let network = Arc::new(network);
        let mut placing = Self {
            sandboxes,
            place,
            record: Record::default(),
            network,
            root,
            hold: Hold::default(),
            is_settled: false,
        };
        let placed = placing.make(plan, progress).await;
        placing.is_settled = true;
        if placed.is_err() {
            let (sandboxes, place, hold) = (sandboxes.clone(), placing.place.clone(), placing.hold.clone());
            let remove = move || {
                hold.give_up();
                sandboxes.remove(&place)
            };
            // A sweep finds what cannot be removed now.
            let _left = blocking("removing the sandbox", remove).await;
        }
        placed
    }

    async fn make(
        &mut self,
        plan: Plan,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Placed, ExecutorError> {
        let limits = plan.container.limits;
        let Prepared { spec, image: _kept, warnings } = self.prepare(plan).await?;
        for warning in warnings {
            progress(Progress::Warning(warning));
        }
        let mut line = self.start()?;
        let holding = self.hold_to(limits)?;
        line.order(&spec).await?;
        self.follow(line, holding, progress).await
    }

    async fn prepare(&mut self, plan: Plan) -> Result<Prepared, ExecutorError> {
        let (place, network, hold) = (self.place.clone(), Arc::clone(&self.network), self.hold.clone());
        let ahead = Arc::clone(&self.sandboxes.ahead);
        let work = move || {
            let shown = || ahead.shown.take().unwrap_or_else(host::shown);
            hold.work(|| prepare(&place, plan, &network, shown))
        };
        let (prepared, record) = blocking("preparing a sandbox", work).await?;
        self.record = record;
        Ok(prepared)
    }

    fn start(&mut self) -> Result<Line, ExecutorError> {
        let failed = |error| other("starting the sandbox's first process", &error);
        let ahead = self.sandboxes.ahead.first.take();
        let mut child = ahead.unwrap_or_else(|| first_process(&self.sandboxes.program)).map_err(failed)?;
        let id = child.id().ok_or_else(|| failed(io::Error::other("it ended at once")))?;
        let first = Process::of(id).map_err(failed)?;
        first.share_time().map_err(failed)?;
        self.record.first = Some(first);
        self.place.save(&self.record).map_err(failed)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(orders), Some(reports)) => Ok(Line { orders, reports: BufReader::new(reports).lines() }),
            _ => Err(failed(io::Error::other("it has no standard streams"))),
        }
    }

    /// Makes the control groups, with their limits, and puts the first process, and so all that comes of it, into them;
    /// the limits that are missed. The kernel may take longer for it than the process for its root, so that neither
    /// waits for the other.
    fn hold_to(&self, limits: Limits) -> Result<Holding, ExecutorError> {
        let (groups, first, hold) = (self.record.groups.clone(), self.first()?, self.hold.clone());
        Ok(spawn_blocking(move || {
            hold.work(|| {
                groups.create()?;
                let missed = limits::apply(&groups, limits);
                groups.join(first)?;
                Ok(missed)
            })
        }))
    }

    fn first(&self) -> Result<Process, ExecutorError> {
        let missing =
            || other("looking at the sandbox's processes", &io::Error::other("there is no first one"));
        self.record.first.ok_or_else(missing)
    }

    async fn follow(
        &mut self,
        mut line: Line,
        holding: Holding,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Placed, ExecutorError> {
        let mut holding = Some(holding);
        let mut same_ids = None;
        let failed = |error| other("looking at the sandbox's processes", &error);
        let first = self.first()?;
        loop {
            match line.hear().await? {
                Some(Report::Namespaces) => {
                    let (network, attempt) = (Arc::clone(&self.network), self.place.attempt().to_owned());
                    let hold = self.hold.clone();
                    let join = move || hold.work(|| Ok(network.join(&attempt, first)));
                    let joined = blocking("joining the sandbox to its network", join).await?;
                    let resolv_conf = joined.map_err(|reason| self.refused(reason))?;
                    if let Some(holding) = holding.take() {
                        let held = holding.await.map_err(io::Error::other).flatten();
                        let missed = held.map_err(|error| self.refused(error.to_string()))?;
                        unlimited(missed)
                            .into_iter()
                            .for_each(|warning| progress(Progress::Warning(warning)));
                    }
                    line.order(&Go { resolv_conf }).await?;
                }
                Some(Report::SameIds(why)) => same_ids = Some(why),
                Some(Report::Failed(reason)) => return Err(self.refused(reason)),
                Some(Report::Started(id)) => {
                    // It may have ended already.
                    self.record.agent = Process::of(id).ok();
                    self.place.save(&self.record).map_err(failed)?;
                    return Ok(Placed { first, same_ids });
                }
                None => return Err(self.refused("its first process ended without a word".into())),
            }
        }
    }

    fn refused(&self, reason: String) -> ExecutorError {
        ExecutorError::Start { image: self.root.clone(), reason }
    }
}

impl Drop for Placing<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            let (sandboxes, place, hold) = (self.sandboxes.clone(), self.place.clone(), self.hold.clone());
            std::thread::spawn(move || {
                hold.give_up();
                // Nobody waits for it, and a sweep finds what cannot be removed now.
                let _left = sandboxes.remove(&place);
            });
        }
    }
}

/// Starts a first process, which waits for its orders.
pub(crate) fn first_process(program: &Path) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg0(init::NAME).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// The line to a first process.
struct Line {
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Line {
    async fn order(&mut self, order: &(impl serde::Serialize + Sync)) -> Result<(), ExecutorError> {
        let told = async {
            let mut line = serde_json::to_vec(order)?;
            line.push(b'\n');
            self.orders.write_all(&line).await
        };
        match told.await {
            // What it died of may still be heard.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(other("telling the sandbox's first process", &error))
            }
            _ => Ok(()),
        }
    }

    async fn hear(&mut self) -> Result<Option<Report>, ExecutorError> {
        let failed = |error| other("hearing from the sandbox's first process", &error);
        let line = self.reports.next_line().await.map_err(failed)?;
        line.map(|line| serde_json::from_str(&line).map_err(|error| failed(error.into()))).transpose()
    }
}

/// Control groups being made and joined; the limits that are missed.
type Holding = JoinHandle<io::Result<Vec<&'static str>>>;

/// What the first process is told and given, and what could not be done as asked.
struct Prepared {
    spec: Spec,
    /// Keeps its layers until the first process does.
    image: Option<Lease>,
    warnings: Vec<String>,
}

/// Everything on the disk.
fn prepare(
    place: &Place,
    plan: Plan,
    network: &Given,
    shown: impl FnOnce() -> io::Result<Vec<Shown>>,
) -> io::Result<(Prepared, Record)> {
    let Plan { container, rooms, is_rehearsal } = plan;
    place.create()?;
    let mut record = Record { boot: boot(), ..Record::default() };
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let ids = if user.is_root() {
        let first = place.take_ids()?;
        record.ids = Some(first);
        Ids::Shifted(first)
    } else {
        Ids::User { uid: user.as_raw(), gid: group.as_raw() }
    };
    if let Some(hierarchy) = Hierarchy::find().filter(Hierarchy::is_ours) {
        record.groups = hierarchy.groups(&place.name());
    }
    // Written before they are made, so that whoever finds the one knows of the other.
    place.save(&record)?;
    let (root, image, config) = match rooms {
        Rooms::Host => (Root::Host(shown()?), None, ImageConfig::default()),
        Rooms::Image(image) => (Root::Layers(image.layers), Some(image.lease), image.config),
    };
    let mut warnings = Vec::new();
    if container.tuning.read_only {
        warnings.push("`--read-only` has no effect in a sandbox".into());
    }
    if !container.tuning.ulimits.is_empty() {
        warnings.push("`--ulimit` has no effect in a sandbox".into());
    }
    let own_name = container.tuning.hostname.clone();
    let hostname = own_name.unwrap_or_else(|| init::hostname(place.attempt()).to_owned());
    let environment = environment(&hostname, &config.env);
    let arguments = match container.company {
        Company::Beside(_) => vec!["--companion".into(), serde_json::to_string(&program(config))?],
        Company::Alone | Company::Expected => vec!["--attempt".into(), container.attempt.clone()],
    };
    let spec = Spec {
        dir: place.path(),
        root,
        ids,
        network: network.kind(),
        hostname,
        hosts: container.tuning.hosts.clone(),
        arguments,
        dropped: container.tuning.dropped_capabilities.clone(),
        cgroups: record.groups.joined.clone(),
        processes: container.limits.pids,
        binds: if is_rehearsal { vec![own_disk(place)] } else { binds(&container, place)? },
        environment,
        lease: image.as_ref().and_then(Lease::path).map(Path::to_owned),
        is_rehearsal,
    };
    Ok((Prepared { spec, image, warnings }, record))
}

/// What is said of limits that are missed.
fn unlimited(mut missed: Vec<&'static str>) -> Option<String> {
    // Another limit of the kernel stands in for that one.
    missed.retain(|limit| *limit != limits::PROCESSES);
    (!missed.is_empty())
        .then(|| format!("no {} limit holds the build; see `runspan doctor`", missed.join(" and no ")))
}

/// Stands for what a build has of the state directory, where owners may not be mapped.
fn own_disk(place: &Place) -> Bind {
    Bind { host: place.path().join("disk"), container: layout::RUN_DIR.into(), writable: true }
}

fn binds(container: &Container, place: &Place) -> io::Result<Vec<Bind>> {
    let bind = |host: &Path, container: &str, writable| Bind {
        host: host.to_owned(),
        container: container.into(),
        writable,
    };
    let mut binds =
        vec![bind(&container.run_dir, layout::RUN_DIR, true), bind(&container.agent, layout::AGENT, false)];
    let shares_files = match &container.company {
        Company::Alone => false,
        Company::Expected => true,
        Company::Beside(beside) => beside.shares_files,
    };
    // What several have is kept with the one that they all go with.
    let host = place.of(None);
    if shares_files {
        binds.push(bind(&host.directory("shared")?, layout::SHARED, true));
    }
    // What lies deeper comes later.
    binds.extend(container.mounts.iter().map(|mount| bind(&mount.host, &mount.container, mount.writable)));
    for (number, Volume { name, path, read_only }) in container.tuning.volumes.iter().enumerate() {
        let directory = match name {
            Some(name) => host.directory(&format!("volumes/{}", state::safe(name)))?,
            None => place.directory(&format!("own-volumes/{number}"))?,
        };
        binds.push(bind(&directory, path, !read_only));
    }
    for (number, (path, _)) in container.tuning.tmpfs.iter().enumerate() {
        binds.push(bind(&place.directory(&format!("own-volumes/t{number}"))?, path, true));
    }
    Ok(binds)
}

/// What an image runs by itself.
fn program(config: ImageConfig) -> Program {
    let ImageConfig { user, working_dir, entrypoint, cmd, health, .. } = config;
    Program { entrypoint, command: cmd, user, directory: working_dir, health }
}

/// What a container engine gives a process; the image's own variables win.
fn environment(hostname: &str, variables: &[String]) -> Vec<(String, String)> {
    let given = [("PATH", PATH), ("HOSTNAME", hostname), ("HOME", "/root")];
    let own = variables.iter().filter_map(|variable| variable.split_once('='));
    given.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

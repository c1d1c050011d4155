//! Making a sandbox, step by step; all of it or nothing, also when the caller stops waiting.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use runspan_agent_protocol::layout;
use runspan_engine::{Container, ExecutorError, Progress};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::cgroup::Hierarchy;
use crate::executor::{Sandboxes, blocking, other};
use crate::network::Given;
use crate::process::Process;
use crate::spec::{Bind, Go, Ids, Report, Root, Spec};
use crate::state::{Place, Record, boot};
use crate::{host, init, limits};

/// The search path of programs where an image names none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the root is made of.
#[derive(Clone, Debug)]
pub(crate) enum Rooms {
    /// The machine's own.
    Host,
    /// Directories over one another, the lowest first.
    Layers(Vec<PathBuf>),
}

/// What a sandbox is made from.
pub(crate) struct Plan {
    pub(crate) container: Container,
    pub(crate) rooms: Rooms,
    /// Variables of the image.
    pub(crate) variables: Vec<(String, String)>,
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
    is_settled: bool,
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
        let (network, warning) = chosen.map_err(|error| refused(error.to_string()))?;
        let place = sandboxes.state.place(&plan.container.attempt);
        if let Some(warning) = warning {
            progress(Progress::Warning(warning));
        }
        let network = Arc::new(network);
        let mut placing =
            Self { sandboxes, place, record: Record::default(), network, root, is_settled: false };
        let placed = placing.make(plan, progress).await;
        placing.is_settled = true;
        if placed.is_err() {
            let (sandboxes, place) = (sandboxes.clone(), placing.place.clone());
            // A sweep finds what cannot be removed now.
            let _left = blocking("removing the sandbox", move || sandboxes.remove(&place)).await;
        }
        placed
    }

    async fn make(
        &mut self,
        plan: Plan,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Placed, ExecutorError> {
        let (spec, warnings) = self.prepare(plan).await?;
        for warning in warnings {
            progress(Progress::Warning(warning));
        }
        let mut line = self.start()?;
        line.order(&spec).await?;
        self.follow(line).await
    }

    async fn prepare(&mut self, plan: Plan) -> Result<(Spec, Vec<String>), ExecutorError> {
        let (place, network) = (self.place.clone(), Arc::clone(&self.network));
        let (spec, record, warnings) =
            blocking("preparing a sandbox", move || prepare(&place, plan, &network)).await?;
        self.record = record;
        Ok((spec, warnings))
    }

    fn start(&mut self) -> Result<Line, ExecutorError> {
        let failed = |error| other("starting the sandbox's first process", &error);
        let mut child = Command::new(&self.sandboxes.program)
            .arg0(init::NAME)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let id = child.id().ok_or_else(|| failed(io::Error::other("it ended at once")))?;
        self.record.first = Some(Process::of(id).map_err(failed)?);
        self.place.save(&self.record).map_err(failed)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(orders), Some(reports)) => Ok(Line { orders, reports: BufReader::new(reports).lines() }),
            _ => Err(failed(io::Error::other("it has no standard streams"))),
        }
    }

    async fn follow(&mut self, mut line: Line) -> Result<Placed, ExecutorError> {
        let mut same_ids = None;
        let failed = |error| other("looking at the sandbox's processes", &error);
        let first = self.record.first.ok_or_else(|| failed(io::Error::other("there is no first one")))?;
        loop {
            match line.hear().await? {
                Some(Report::Namespaces) => {
                    let (network, attempt) = (Arc::clone(&self.network), self.place.attempt().to_owned());
                    let join = move || Ok(network.join(&attempt, first));
                    let joined = blocking("joining the sandbox to its network", join).await?;
                    let resolv_conf = joined.map_err(|reason| self.refused(reason))?;
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
            let (sandboxes, place) = (self.sandboxes.clone(), self.place.clone());
            // Nobody waits for it, and a sweep finds what cannot be removed now.
            std::thread::spawn(move || drop(sandboxes.remove(&place)));
        }
    }
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

/// Everything on the disk and among control groups; what could not be done as asked is said.
fn prepare(place: &Place, plan: Plan, network: &Given) -> io::Result<(Spec, Record, Vec<String>)> {
    let Plan { container, rooms, variables, is_rehearsal } = plan;
    place.create()?;
    let mut record =
        Record { boot: boot(), has_network: matches!(network, Given::Private(_)), ..Record::default() };
    let ids = if rustix::process::geteuid().is_root() {
        let first = place.take_ids()?;
        record.ids = Some(first);
        Ids::Shifted(first)
    } else {
        Ids::User { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    };
    if let Some(hierarchy) = Hierarchy::find().filter(Hierarchy::is_ours) {
        record.groups = hierarchy.groups(place.attempt());
    }
    // Written first, so that whoever finds the one knows of the other.
    place.save(&record)?;
    record.groups.create()?;
    let mut missing = limits::apply(&record.groups, container.limits);
    // Another limit of the kernel stands in for that one.
    missing.retain(|limit| *limit != limits::PROCESSES);
    let warning = (!missing.is_empty())
        .then(|| format!("no {} limit holds the build; see `runspan doctor`", missing.join(" and no ")));
    let root = match rooms {
        Rooms::Host => Root::Host(host::shown(&host::mount_points()?)),
        Rooms::Layers(layers) => Root::Layers(layers),
    };
    let spec = Spec {
        attempt: container.attempt.clone(),
        dir: place.path(),
        root,
        ids,
        own_network: network.is_own(),
        cgroups: record.groups.joined.clone(),
        processes: container.limits.pids,
        binds: if is_rehearsal { Vec::new() } else { binds(&container) },
        is_rehearsal,
        environment: environment(place.attempt(), variables),
    };
    Ok((spec, record, warning.into_iter().collect()))
}

fn binds(container: &Container) -> Vec<Bind> {
    let bind = |host: &Path, container: &str, writable| Bind {
        host: host.to_owned(),
        container: container.into(),
        writable,
    };
    let own = [bind(&container.run_dir, layout::RUN_DIR, true), bind(&container.agent, layout::AGENT, false)];
    let mounts = container.mounts.iter();
    own.into_iter().chain(mounts.map(|mount| bind(&mount.host, &mount.container, mount.writable))).collect()
}

/// What a container engine gives a process; the image's own variables win.
fn environment(attempt: &str, variables: Vec<(String, String)>) -> Vec<(String, String)> {
    let given = [("PATH", PATH), ("HOSTNAME", init::hostname(attempt)), ("HOME", "/root")];
    given.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(variables).collect()
}

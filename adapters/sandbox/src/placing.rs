//! Making a sandbox, step by step; all of it or nothing, also when the caller stops waiting.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use runspan_agent_protocol::layout;
use runspan_engine::{Container, ExecutorError, Progress};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::cgroup::Hierarchy;
use crate::executor::{PATH, blocking, other};
use crate::process::Process;
use crate::spec::{Bind, Go, Ids, Report, Root, Spec};
use crate::state::{Place, Record, State, boot};
use crate::{host, init, limits, remove};

/// What the root is made of.
pub(crate) enum Rooms {
    /// The machine's own.
    Host,
    /// Directories over one another, the lowest first.
    Layers(Vec<PathBuf>),
}

/// A sandbox whose first process runs.
pub(crate) struct Placing {
    place: Place,
    root: String,
    record: Record,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
    warnings: Vec<String>,
    is_placed: bool,
}

impl Placing {
    pub(crate) async fn begin(
        state: &State,
        program: &Path,
        container: &Container,
        rooms: Rooms,
        own_network: bool,
        variables: Vec<(String, String)>,
    ) -> Result<Self, ExecutorError> {
        let place = state.place(&container.attempt);
        let asked = container.clone();
        let made = place.clone();
        let prepared = blocking("preparing a sandbox", move || {
            prepare(&made, &asked, rooms, own_network, variables).inspect_err(|_| {
                // A sweep finds what cannot be removed now.
                let _left = remove::remove(&made);
            })
        });
        let Prepared { spec, record, warnings } = prepared.await?;
        let discard = Discard(Some(place.clone()));
        let failed = |error| other("starting the sandbox's first process", &error);
        let mut child = Command::new(program)
            .arg0(init::NAME)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut record = record;
        let id = child.id().ok_or_else(|| failed(io::Error::other("it ended at once")))?;
        record.first = Some(Process::of(id).map_err(failed)?);
        place.save(&record).map_err(failed)?;
        let (Some(orders), Some(reports)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::Error::other("it has no standard streams")));
        };
        discard.keep();
        let reports = BufReader::new(reports).lines();
        let root = container.root.to_string();
        let mut placing = Self { place, root, record, orders, reports, warnings, is_placed: false };
        placing.order(&spec).await?;
        Ok(placing)
    }

    /// Waits for the agent to run.
    pub(crate) async fn finish(
        mut self,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Process, ExecutorError> {
        for warning in std::mem::take(&mut self.warnings) {
            progress(Progress::Warning(warning));
        }
        loop {
            match self.hear().await? {
                Report::Namespaces => {
                    let resolv_conf = std::fs::read_to_string("/etc/resolv.conf").ok();
                    self.order(&Go { resolv_conf }).await?;
                }
                Report::SameIds(_) => {}
                Report::Failed(reason) => return Err(self.refused(reason)),
                Report::Started(id) => {
                    let failed = |error| other("looking at the agent", &error);
                    self.record.agent = Some(Process::of(id).map_err(failed)?);
                    self.place.save(&self.record).map_err(failed)?;
                    self.is_placed = true;
                    let first = self.record.first;
                    return first.ok_or_else(|| self.refused("it has no first process".into()));
                }
            }
        }
    }

    async fn order(&mut self, order: &(impl serde::Serialize + Sync)) -> Result<(), ExecutorError> {
        let told = async {
            let mut line = serde_json::to_vec(order)?;
            line.push(b'\n');
            self.orders.write_all(&line).await?;
            self.orders.flush().await
        };
        match told.await {
            Ok(()) => Ok(()),
            // What it died of may still be heard.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(other("telling the sandbox's first process", &error)),
        }
    }

    async fn hear(&mut self) -> Result<Report, ExecutorError> {
        let failed = |error| other("hearing from the sandbox's first process", &error);
        let line = self.reports.next_line().await.map_err(failed)?;
        let Some(line) = line else {
            return Err(self.refused("its first process ended without a word".into()));
        };
        serde_json::from_str(&line).map_err(|error| failed(error.into()))
    }

    fn refused(&self, reason: String) -> ExecutorError {
        ExecutorError::Start { image: self.root.clone(), reason }
    }
}

impl Drop for Placing {
    fn drop(&mut self) {
        if !self.is_placed {
            drop(Discard(Some(self.place.clone())));
        }
    }
}

/// Removes a sandbox that nobody will have, on a thread that nobody waits for.
struct Discard(Option<Place>);

impl Discard {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Discard {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            std::thread::spawn(move || {
                // A sweep finds what cannot be removed now.
                let _left = remove::remove(&place);
            });
        }
    }
}

struct Prepared {
    spec: Spec,
    record: Record,
    warnings: Vec<String>,
}

fn prepare(
    place: &Place,
    container: &Container,
    rooms: Rooms,
    own_network: bool,
    variables: Vec<(String, String)>,
) -> io::Result<Prepared> {
    place.create()?;
    let mut record = Record { boot: boot(), ..Record::default() };
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
    let missing = limits::apply(&record.groups, container.limits);
    let mut warnings = Vec::new();
    let asked: Vec<_> = missing.into_iter().filter(|limit| *limit != "process").collect();
    if !asked.is_empty() {
        warnings.push(format!("no {} limit holds the build; see `runspan doctor`", asked.join(" and no ")));
    }
    let root = match rooms {
        Rooms::Host => Root::Host(host::shown(&host::mount_points()?)),
        Rooms::Layers(layers) => Root::Layers(layers),
    };
    let bind = |host: &Path, container: &str, writable| Bind {
        host: host.to_owned(),
        container: container.into(),
        writable,
    };
    let mut binds =
        vec![bind(&container.run_dir, layout::RUN_DIR, true), bind(&container.agent, layout::AGENT, false)];
    binds.extend(container.mounts.iter().map(|mount| bind(&mount.host, &mount.container, mount.writable)));
    let mut environment = vec![
        ("PATH".to_owned(), PATH.to_owned()),
        ("HOSTNAME".to_owned(), init::hostname(place.attempt()).to_owned()),
        ("HOME".to_owned(), "/root".to_owned()),
    ];
    environment.extend(variables);
    let spec = Spec {
        attempt: container.attempt.clone(),
        dir: place.path(),
        root,
        ids,
        own_network,
        cgroups: record.groups.joined.clone(),
        binds,
        environment,
    };
    Ok(Prepared { spec, record, warnings })
}

//! Containers beside the build's own: placed, noted and removed. What runs in them is asked for by a step of the build.

use std::net::IpAddr;

use runspan_agent_protocol::layout;

use super::EngineError;
use super::driver::Driver;
use super::provision::PIDS;
use crate::executor::{
    Beside, Company, Container, ExecutorError, Limits, Mount, Network, Placement, RegistryLogin, RootFs,
    Tuning,
};
use crate::lifecycle::PhaseOutcome;
use crate::plan::compute;
use crate::private;
use crate::steps::{Asked, hosts};

/// A companion to be.
pub(super) struct Companion {
    /// Its name among the build's companions: letters and digits.
    pub(super) name: String,
    pub(super) root: RootFs,
    pub(super) login: Option<RegistryLogin>,
    pub(super) limits: Limits,
    pub(super) tuning: Tuning,
    /// Whether it sees the sources, and what steps work with.
    pub(super) shares_files: bool,
}

impl Driver {
    /// What the build's own container sees of its companions.
    pub(super) fn companions_mount(&self) -> Result<Mount, EngineError> {
        let host = self.dir.companions();
        private::directory(&host)
            .map_err(|source| EngineError::State { build: self.build.id.to_string(), source })?;
        Ok(Mount { host, container: layout::COMPANIONS.into(), writable: false })
    }

    /// Names that mean the network of the build, in its own container and beside it.
    pub(super) fn names_of_companions(&self, own: &Asked) -> Vec<(String, IpAddr)> {
        let mut names = own.aliases.clone();
        let mut all = own.tuning.hosts.clone();
        for (name, service) in self.request.job.iter().flat_map(|job| &job.services) {
            names.push(name.clone());
            // One that cannot be read fails when it is to be started.
            if let Ok(asked) = Asked::read(service) {
                names.extend(asked.aliases);
                all.extend(asked.tuning.hosts);
            }
        }
        names.retain(|name| Some(name) != own.tuning.hostname.as_ref());
        names.dedup();
        all.extend(hosts(names));
        all
    }

    /// The limits of the build, which hold for each companion too.
    pub(super) fn limits(&self) -> Limits {
        let size = compute(&self.request).ok().flatten();
        Limits { memory_bytes: size.map(|(memory, _)| memory), cpus: size.map(|(_, cpus)| cpus), pids: PIDS }
    }

    /// Places a companion, unless a supervisor before this one did. The outer error is what ended the build meanwhile.
    pub(super) async fn accompany(
        &mut self,
        host: &Placement,
        companion: Companion,
    ) -> Result<Result<(), String>, PhaseOutcome> {
        let Companion { name, root, login, limits, tuning, shares_files } = companion;
        let record = self.dir.companion_record(&name);
        if record.exists() {
            return Ok(Ok(()));
        }
        let run_dir = self.dir.companions().join(&name);
        if let Err(error) = private::directory(&run_dir) {
            return Ok(Err(format!("cannot make {}: {error}", run_dir.display())));
        }
        let container = Container {
            attempt: self.build.id.uuid().to_owned(),
            root,
            registry_login: login,
            limits,
            privileged: false,
            engine_socket: false,
            network: match self.request.grants.host_network {
                true => Network::PrivateOrHost,
                false => Network::Private,
            },
            run_dir,
            agent: self.supervisor.agent.clone(),
            mounts: Vec::new(),
            tuning,
            company: Company::Beside(Beside { host: host.clone(), name, shares_files }),
        };
        let executor = std::sync::Arc::clone(&self.supervisor.executor);
        let report = self.report();
        // A call that is cut short leaves what it made to the build's end, which removes all companions.
        let placed = self.interruptible(executor.place(&container, &report)).await?;
        let noted = placed.map_err(|error| said(&error)).and_then(|placement| {
            let text = serde_json::to_vec(&placement).map_err(|error| error.to_string())?;
            std::fs::write(&record, text).map_err(|error| format!("{}: {error}", record.display()))
        });
        Ok(noted)
    }

    /// Removes a companion; what cannot be removed now goes with the build.
    pub(super) async fn part_from(&self, name: &str) {
        let record = self.dir.companion_record(name);
        let placement =
            std::fs::read(&record).ok().and_then(|text| serde_json::from_slice::<Placement>(&text).ok());
        if let Some(placement) = placement {
            let _left = self.supervisor.executor.collect(&placement).await;
        }
        let _gone = std::fs::remove_file(record);
    }
}

/// What is wrong with a companion, in the words of whoever made it.
fn said(error: &ExecutorError) -> String {
    error.to_string().replace("Unable to pull customer's container image. CannotPullContainerError: ", "")
}

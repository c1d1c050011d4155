//! A build's container without the real agent: its PID 1 is a script that the test gives.

use std::io::Write as _;
use std::{
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicU32, Ordering},
};

use bollard::Docker;
use runspan_docker::DockerExecutor;
use runspan_engine::{
    Company, Container, Executor, ExecutorError, Limits, Network, Placement, RootFs, Tuning,
};
use tempfile::TempDir;

pub(crate) const BUSYBOX: &str = "runspan-test/busybox";
pub(crate) const DEBIAN: &str = "runspan-test/debian";

/// The engine of this environment (DOCKER_HOST counts), if it answers and has the image.
pub(crate) async fn engine(image: &str) -> Option<DockerExecutor> {
    let missing = match DockerExecutor::connect().await {
        Err(error) => error.to_string(),
        Ok(executor) => match raw().inspect_image(image).await {
            Ok(_) => return Some(executor),
            Err(error) => format!("{image}: {error}; run tests/images/make"),
        },
    };
    assert_ne!(std::env::var("RUNSPAN_REQUIRE_SERVICES").as_deref(), Ok("1"), "{missing}");
    drop(writeln!(std::io::stderr(), "SKIPPED: {missing}"));
    None
}

/// The same engine, to look at what the executor made.
pub(crate) fn raw() -> Docker {
    Docker::connect_with_defaults().unwrap()
}

/// Whether the engine is podman, whose seccomp profile and volume labels are its own.
pub(crate) async fn is_podman() -> bool {
    let version = raw().version().await.unwrap();
    version.components.iter().flatten().any(|part| part.name.starts_with("Podman"))
}

/// A container that is asked for, and its run directory.
pub(crate) struct Case {
    pub(crate) asked: Container,
    dir: TempDir,
}

impl Case {
    /// PID 1 runs `script` with the image's shell.
    pub(crate) fn new(script: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().unwrap();
        let run_dir = dir.path().join("run");
        std::fs::create_dir(&run_dir).unwrap();
        let agent = dir.path().join("agent");
        std::fs::write(&agent, format!("#!/bin/sh\nexec >/codebuild/run/out 2>&1\n{script}\n")).unwrap();
        std::fs::set_permissions(&agent, PermissionsExt::from_mode(0o755)).unwrap();
        let attempt = format!("dockertest-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let asked = Container {
            attempt,
            root: RootFs::Image(BUSYBOX.into()),
            registry_login: None,
            limits: Limits { memory_bytes: Some(256 << 20), cpus: Some(1.0), pids: 200 },
            privileged: false,
            engine_socket: false,
            network: Network::None,
            run_dir,
            agent,
            mounts: Vec::new(),
            tuning: Tuning::default(),
            company: Company::Alone,
        };
        Self { asked, dir }
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(self.asked.run_dir.join("out")).unwrap_or_default()
    }

    pub(crate) async fn place(&self, executor: &DockerExecutor) -> Result<Placement, ExecutorError> {
        executor.place(&self.asked, &|_| ()).await
    }

    /// Places, waits for the end and collects; what PID 1 wrote, and its exit code.
    pub(crate) async fn run(&self, executor: &DockerExecutor) -> (String, Option<i64>) {
        let placement = self.place(executor).await.unwrap();
        let end = executor.observe(&placement).await.unwrap();
        executor.collect(&placement).await.unwrap();
        assert_eq!(left_of(&self.asked.attempt).await, Vec::<String>::new());
        (self.output(), end.exit_code)
    }
}

/// What the engine has that carries this attempt's label.
pub(crate) async fn left_of(attempt: &str) -> Vec<String> {
    use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions, ListVolumesOptions};
    let label = format!("{}={attempt}", runspan_docker::ATTEMPT_LABEL);
    let filters = Some([("label".to_owned(), vec![label])].into());
    let docker = raw();
    let containers = ListContainersOptions { all: true, filters: filters.clone(), ..Default::default() };
    let containers = docker.list_containers(Some(containers)).await.unwrap();
    let networks =
        docker.list_networks(Some(ListNetworksOptions { filters: filters.clone() })).await.unwrap();
    let volumes = docker.list_volumes(Some(ListVolumesOptions { filters })).await.unwrap();
    let containers = containers.into_iter().filter_map(|one| Some(format!("container {}", one.id?)));
    let networks = networks.into_iter().filter_map(|one| Some(format!("network {}", one.name?)));
    let volumes = volumes.volumes.into_iter().flatten().map(|one| format!("volume {}", one.name));
    containers.chain(networks).chain(volumes).collect()
}

//! The executor that suits each build: the sandbox, or a container engine where only that will do.

use runspan_docker::DockerExecutor;
use runspan_engine::{
    Check, CheckState, Company, Container, ContainerEnd, Executor, ExecutorError, Placement, Progress, RootFs,
};
use runspan_sandbox::SandboxExecutor;
use tokio::sync::OnceCell;

use super::executor::{DOCKER, Networks, Unreachable, docker};

/// Both, the container engine only once something needs it.
pub(super) struct Auto {
    sandbox: SandboxExecutor,
    docker: OnceCell<Result<DockerExecutor, Unreachable>>,
    networks: Networks,
    /// Whether the engine is swept too.
    sweeps_docker: bool,
}

impl Auto {
    pub(super) fn new(sandbox: SandboxExecutor, networks: Networks, sweeps_docker: bool) -> Self {
        Self { sandbox, docker: OnceCell::new(), networks, sweeps_docker }
    }

    async fn engine(&self) -> Result<&Result<DockerExecutor, Unreachable>, ExecutorError> {
        self.docker.get_or_try_init(|| docker(&self.networks)).await
    }

    async fn docker(&self) -> Result<&dyn Executor, ExecutorError> {
        Ok(match self.engine().await? {
            Ok(docker) => docker,
            Err(unreachable) => unreachable,
        })
    }

    /// Rights over the machine are an engine's to give, and it may have images that nobody else has.
    async fn needs_docker(&self, container: &Container) -> Result<bool, ExecutorError> {
        if let Company::Beside(beside) = &container.company {
            return Ok(beside.host.executor == DOCKER);
        }
        if container.privileged || container.engine_socket {
            return Ok(true);
        }
        match &container.root {
            RootFs::Image(name) if !self.sandbox.has_image(name) => match self.engine().await? {
                Ok(docker) => docker.has_image(name).await,
                Err(_) => Ok(false),
            },
            _ => Ok(false),
        }
    }

    /// Whoever placed a build does the rest.
    async fn of(&self, placement: &Placement) -> Result<&dyn Executor, ExecutorError> {
        if placement.executor == DOCKER { self.docker().await } else { Ok(&self.sandbox) }
    }
}

#[async_trait::async_trait]
impl Executor for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    async fn place(
        &self,
        container: &Container,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Placement, ExecutorError> {
        if self.needs_docker(container).await? {
            self.docker().await?.place(container, progress).await
        } else {
            self.sandbox.place(container, progress).await
        }
    }

    async fn observe(&self, placement: &Placement) -> Result<ContainerEnd, ExecutorError> {
        self.of(placement).await?.observe(placement).await
    }

    async fn cancel(&self, placement: &Placement) -> Result<(), ExecutorError> {
        self.of(placement).await?.cancel(placement).await
    }

    async fn collect(&self, placement: &Placement) -> Result<(), ExecutorError> {
        self.of(placement).await?.collect(placement).await
    }

    async fn sweep(
        &self,
        is_live: &(dyn for<'a> Fn(&'a str) -> bool + Send + Sync),
    ) -> Result<Vec<String>, ExecutorError> {
        let mut lines = self.sandbox.sweep(is_live).await?;
        if self.sweeps_docker || self.docker.initialized() {
            lines.extend(self.docker().await?.sweep(is_live).await?);
        }
        Ok(lines)
    }

    /// Either will do, so an engine that does not answer is no more than a loss.
    async fn check(&self) -> Vec<Check> {
        let mut checks = self.sandbox.check().await;
        if let Ok(docker) = self.docker().await {
            checks.extend(docker.check().await.into_iter().map(|check| match check.state {
                CheckState::Bad { remedy } => Check { state: CheckState::Warning { remedy }, ..check },
                _ => check,
            }));
        }
        checks
    }
}

//! An executor for what happens before there is a container.

use async_trait::async_trait;
use runspan_engine::{Check, Container, ContainerEnd, Executor, ExecutorError, Placement, Progress};

/// Has no container, now or ever.
pub(crate) struct Bare {
    /// Keeps whoever asks for one waiting; else says that there is none.
    pub(crate) waits: bool,
}

#[async_trait]
impl Executor for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    async fn place(
        &self,
        _: &Container,
        _: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Placement, ExecutorError> {
        if self.waits {
            std::future::pending().await
        }
        Err(ExecutorError::Image { reason: "there is none".into() })
    }

    async fn observe(&self, _: &Placement) -> Result<ContainerEnd, ExecutorError> {
        std::future::pending().await
    }

    async fn cancel(&self, _: &Placement) -> Result<(), ExecutorError> {
        Ok(())
    }

    async fn collect(&self, _: &Placement) -> Result<(), ExecutorError> {
        Ok(())
    }

    async fn sweep(
        &self,
        _: &(dyn for<'a> Fn(&'a str) -> bool + Send + Sync),
    ) -> Result<Vec<String>, ExecutorError> {
        Ok(Vec::new())
    }

    async fn check(&self) -> Vec<Check> {
        Vec::new()
    }
}

//! The calls.

mod artifacts;
mod blobs;
mod caches;
mod caches_v1;
mod caller;
mod refusals;
mod twirp;
mod upstream;

use std::sync::Arc;

use axum::Router;

use crate::error::StorageError;
use crate::storage::{Artifacts, Service};

type App = Arc<Service>;

/// All of them. What is not here goes on to GitHub.
pub(crate) fn router(service: App) -> Router {
    let own = Router::new().merge(caches::routes()).merge(caches_v1::routes()).merge(blobs::routes());
    let own = match service.artifacts {
        Artifacts::Local => own.merge(artifacts::routes()),
        Artifacts::GitHub => own,
    };
    own.fallback(upstream::forward).with_state(service)
}

/// Work that waits for the disk.
async fn on_disk<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Service) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let service = Arc::clone(app);
    let done = tokio::task::spawn_blocking(move || work(&service)).await;
    done.unwrap_or_else(|error| Err(StorageError::Broken(error.to_string())))
}

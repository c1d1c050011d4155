//! The state as HTTP. Every file is one of GitHub's services.

mod api;
mod apps;
mod artifacts;
mod blobs;
mod broker;
mod caches;
mod caller;
mod checks;
mod codeload;
mod connection_data;
mod control;
mod feed;
mod git;
mod jit;
mod launch;
mod oauth;
mod pools;
mod refusals;
mod registration;
mod results;
mod run_service;
mod runners;
mod signed;
mod tenant_queue;
mod timelines;
mod wire;

use axum::{Router, http::StatusCode, routing::get};

use crate::server::App;

/// Everything that is served.
pub(crate) fn router(app: App) -> Router {
    let api = Router::new()
        .merge(api::routes())
        .merge(apps::routes())
        .merge(checks::routes())
        .merge(registration::routes())
        .merge(runners::routes());
    let tenant = Router::new()
        .merge(connection_data::routes())
        .merge(pools::routes())
        .merge(tenant_queue::routes())
        .merge(timelines::routes());
    Router::new()
        .nest("/api/v3", api)
        .nest("/_services/pipelines/{tenant}", tenant)
        .nest("/broker", broker::routes())
        .nest("/_fake", control::routes())
        .merge(artifacts::routes())
        .merge(blobs::routes())
        .merge(caches::routes())
        .merge(codeload::routes())
        .merge(feed::routes())
        .merge(git::routes())
        .merge(launch::routes())
        .merge(oauth::routes())
        .merge(results::routes())
        .merge(run_service::routes())
        .route("/health", get(StatusCode::OK))
        .route("/ready", get(StatusCode::OK))
        .route("/_dns", get(StatusCode::OK))
        .with_state(app)
}

//! Builds.

use runspan_engine::build::AutoRetry;
use runspan_engine::journal::Stored;
use serde_json::{Value, json};

use super::Input;
use super::projects::name_of;
use crate::answer;
use crate::api::{Api, INITIATOR};
use crate::error::ApiError;
use crate::pages;
use crate::request::is_buildable;

impl Api {
    pub(crate) fn start_build(&self, input: &Input, caller: &str) -> Result<Value, ApiError> {
        let request = self.request(input, caller)?;
        is_buildable(&request.project)?;
        let id = self.dispatcher.start(request)?;
        Ok(json!({ "build": self.shown(id.as_str())? }))
    }

    pub(crate) fn retry_build(&self, input: &Input, caller: &str) -> Result<Value, ApiError> {
        let Stored { build, mut request, .. } = self.stored(input.required("id"))?;
        // Others may have more than this service grants.
        if !request.initiator.starts_with(INITIATOR) {
            return Err(ApiError::invalid(format!(
                "Build {} was not begun by this service; `runspan builds retry` runs it again",
                build.id
            )));
        }
        if let Some(name) = request.lost_secret() {
            return Err(ApiError::invalid(format!("the build's secret {name} was never written down")));
        }
        request.retry = AutoRetry::default();
        request.batch = None;
        request.initiator = format!("{INITIATOR}{caller}");
        request.idempotency_token = input.text("idempotencyToken").map(str::to_owned);
        let id = self.dispatcher.start(request)?;
        Ok(json!({ "build": self.shown(id.as_str())? }))
    }

    /// A build that is over is answered as it is.
    pub(crate) fn stop_build(&self, input: &Input) -> Result<Value, ApiError> {
        let stored = self.stored(input.required("id"))?;
        if !stored.build.build_complete {
            self.dispatcher.stop(&stored.build.id)?;
        }
        Ok(json!({ "build": self.answered(&stored)? }))
    }

    pub(crate) fn batch_get_builds(&self, input: &Input) -> Result<Value, ApiError> {
        let (mut builds, mut missing) = (Vec::new(), Vec::new());
        for id in input.texts("ids") {
            match self.journal.build(id_of(id))? {
                Some(stored) => builds.push(self.answered(&stored)?),
                None => missing.push(id),
            }
        }
        Ok(json!({ "builds": builds, "buildsNotFound": missing }))
    }

    pub(crate) fn batch_delete_builds(&self, input: &Input) -> Result<Value, ApiError> {
        let (mut deleted, mut kept) = (Vec::new(), Vec::new());
        for id in input.texts("ids") {
            let status = match self.journal.build(id_of(id))? {
                None => "BUILD_NOT_FOUND",
                Some(stored) if self.journal.delete_build(stored.build.id.uuid())? => {
                    deleted.push(stored.build.arn);
                    continue;
                }
                Some(_) => "BUILD_IN_PROGRESS",
            };
            kept.push(json!({ "id": id, "statusCode": status }));
        }
        Ok(json!({ "buildsDeleted": deleted, "buildsNotDeleted": kept }))
    }

    pub(crate) fn list_builds(&self, input: &Input) -> Result<Value, ApiError> {
        let span = pages::span(input)?;
        Ok(pages::answer("ids", self.journal.build_ids(None, pages::and_one(span))?, span))
    }

    pub(crate) fn list_builds_for_project(&self, input: &Input) -> Result<Value, ApiError> {
        let name = name_of(input.required("projectName"));
        let span = pages::span(input)?;
        let ids = self.journal.build_ids(Some(name), pages::and_one(span))?;
        if ids.is_empty() {
            // Builds outlive their project.
            self.project_record(name)?;
        }
        Ok(pages::answer("ids", ids, span))
    }

    fn stored(&self, id: &str) -> Result<Stored, ApiError> {
        let id = id_of(id);
        if !id.contains(':') {
            return Err(ApiError::invalid("Invalid build ID provided"));
        }
        self.journal.build(id)?.ok_or_else(|| {
            ApiError::not_found(format!("Build cannot be found: {}", self.arn(&format!("build/{id}"))))
        })
    }

    fn shown(&self, id: &str) -> Result<Value, ApiError> {
        self.answered(&self.stored(id)?)
    }

    fn answered(&self, stored: &Stored) -> Result<Value, ApiError> {
        answer::build(&stored.build, &stored.request, &self.settings.region)
    }
}

/// The id that an ARN ends with.
pub(super) fn id_of(id_or_arn: &str) -> &str {
    let found = [":build/", ":build-batch/"].iter().find_map(|kind| id_or_arn.split_once(kind));
    found.map_or(id_or_arn, |(_, id)| id)
}

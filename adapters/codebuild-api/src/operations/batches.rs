//! Batches.

use runspan_engine::batch::BuildBatch;
use serde_json::{Value, json};

use super::Input;
use super::builds::id_of;
use super::projects::name_of;
use crate::answer;
use crate::api::{Api, INITIATOR};
use crate::error::ApiError;
use crate::pages;
use crate::request::is_buildable;

impl Api {
    pub(crate) fn start_build_batch(&self, input: &Input, caller: &str) -> Result<Value, ApiError> {
        let request = self.request(input, caller)?;
        is_buildable(&request.project)?;
        let id = self.dispatcher.start_batch(request, None)?;
        Ok(json!({ "buildBatch": self.shown_batch(id.as_str())? }))
    }

    /// Another batch; of `RETRY_FAILED_BUILDS` it builds only what did not succeed.
    pub(crate) fn retry_build_batch(&self, input: &Input, caller: &str) -> Result<Value, ApiError> {
        let batch = self.batch(input.required("id"))?;
        if !batch.complete {
            return Err(ApiError::invalid(format!("Build batch {} is in progress", batch.id)));
        }
        // Others may have more than this service grants.
        let request = self.journal.batch_request(batch.id.uuid())?;
        let request = request.filter(|request| request.initiator.starts_with(INITIATOR));
        let mut request = request.ok_or_else(|| {
            ApiError::invalid(format!("Build batch {} was not begun by this service", batch.id))
        })?;
        request.initiator = format!("{INITIATOR}{caller}");
        request.idempotency_token = input.text("idempotencyToken").map(str::to_owned);
        let after = (input.text("retryType") == Some("RETRY_FAILED_BUILDS")).then_some(&batch);
        let id = self.dispatcher.start_batch(request, after)?;
        Ok(json!({ "buildBatch": self.shown_batch(id.as_str())? }))
    }

    pub(crate) fn stop_build_batch(&self, input: &Input) -> Result<Value, ApiError> {
        let batch = self.batch(input.required("id"))?;
        if !batch.complete {
            self.dispatcher.stop_batch(&batch.id)?;
        }
        Ok(json!({ "buildBatch": self.answered_batch(&batch)? }))
    }

    pub(crate) fn delete_build_batch(&self, input: &Input) -> Result<Value, ApiError> {
        let (mut deleted, mut kept) = (Vec::new(), Vec::new());
        let mut status = "BUILD_BATCH_NOT_DELETED";
        if let Some(batch) = self.found(input.required("id"))?
            && self.journal.delete_batch(batch.id.uuid())?
        {
            status = "SUCCEEDED";
            for build in self.journal.builds_of_batch(&batch.arn)? {
                let arn = self.arn(&format!("build/{build}"));
                if self.journal.delete_build(build.uuid())? {
                    deleted.push(arn);
                } else {
                    kept.push(json!({ "id": arn, "statusCode": "BUILD_IN_PROGRESS" }));
                }
            }
        }
        Ok(json!({ "statusCode": status, "buildsDeleted": deleted, "buildsNotDeleted": kept }))
    }

    pub(crate) fn batch_get_build_batches(&self, input: &Input) -> Result<Value, ApiError> {
        let (mut batches, mut missing) = (Vec::new(), Vec::new());
        for id in input.texts("ids") {
            match self.found(id)? {
                Some(batch) => batches.push(self.answered_batch(&batch)?),
                None => missing.push(id),
            }
        }
        Ok(json!({ "buildBatches": batches, "buildBatchesNotFound": missing }))
    }

    pub(crate) fn list_build_batches(&self, input: &Input) -> Result<Value, ApiError> {
        let project = input.text("projectName").map(name_of);
        if let Some(name) = project {
            self.project_record(name)?;
        }
        let span = pages::span(input)?;
        let status = input.value("filter").and_then(|filter| filter["status"].as_str());
        Ok(pages::answer("ids", self.journal.batch_ids(project, status, pages::and_one(span))?, span))
    }

    fn found(&self, id: &str) -> Result<Option<BuildBatch>, ApiError> {
        // The journal also finds a batch by the beginning of its uuid.
        Ok(self.journal.find_batch(id_of(id))?.filter(|batch| batch.id.as_str() == id_of(id)))
    }

    fn batch(&self, id: &str) -> Result<BuildBatch, ApiError> {
        if !id.contains(':') {
            return Err(ApiError::invalid("Invalid build batch ID provided"));
        }
        self.found(id)?.ok_or_else(|| {
            let arn = self.arn(&format!("build-batch/{}", id_of(id)));
            ApiError::not_found(format!("Build batch cannot be found: {arn}"))
        })
    }

    fn shown_batch(&self, id: &str) -> Result<Value, ApiError> {
        self.answered_batch(&self.batch(id)?)
    }

    fn answered_batch(&self, batch: &BuildBatch) -> Result<Value, ApiError> {
        answer::batch(batch, self.journal.batch_request(batch.id.uuid())?.as_ref())
    }
}

//! What this machine does not have: lists of it are empty, and whoever wants one is told what there is instead.

use serde_json::{Value, json};

use super::Input;
use crate::api::Api;
use crate::error::ApiError;

const NO_FLEETS: &str = "this service has no fleets: builds run on this machine, as many at once as \
                         `runspan serve --max-builds` says; leave the fleet out";
const NO_SANDBOXES: &str = "this service has no sandboxes: `runspan shell BUILD` opens a shell in a build that \
                            runs, and `runspan run DIR` builds a directory";

/// Why an operation of CodeBuild's is not to be had here.
pub(crate) fn reason(operation: &str) -> Option<&'static str> {
    match operation {
        "CreateFleet" | "UpdateFleet" | "DeleteFleet" => Some(NO_FLEETS),
        "StartSandbox"
        | "StopSandbox"
        | "StartSandboxConnection"
        | "StartCommandExecution"
        | "BatchGetCommandExecutions"
        | "ListCommandExecutionsForSandbox" => Some(NO_SANDBOXES),
        _ => None,
    }
}

impl Api {
    pub(crate) fn batch_get_fleets(input: &Input) -> Value {
        json!({ "fleets": [], "fleetsNotFound": input.value("names") })
    }

    pub(crate) fn batch_get_sandboxes(input: &Input) -> Value {
        json!({ "sandboxes": [], "sandboxesNotFound": input.value("ids") })
    }

    pub(crate) fn list_sandboxes_for_project(&self, input: &Input) -> Result<Value, ApiError> {
        self.project_record(input.required("projectName"))?;
        Ok(json!({ "ids": [] }))
    }
}

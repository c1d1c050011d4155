//! The calls of a job worker, as far as this one makes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use runspan_agent_protocol::Secret;
use runspan_aws::{Account, Keys, Service, pipeline};
use runspan_engine::ports::Place;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::PipelineError;
use crate::outcome::JobResult;

/// What may have arrived is not sent again blindly: a second try is answered as if the job were another's.
const CODEPIPELINE: Service = Service::new("CodePipeline", "codepipeline", "CodePipeline_20150709").once();
/// Of each kind an action may have so many.
const MAX_ARTIFACTS: u8 = 5;

/// A custom action's type, which pipelines name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionType {
    /// `Build` or `Test`.
    pub category: String,
    /// Its name.
    pub provider: String,
    /// Its version.
    pub version: String,
}

impl Default for ActionType {
    fn default() -> Self {
        Self { category: "Build".into(), provider: "Runspan".into(), version: "1".into() }
    }
}

impl ActionType {
    fn id(&self) -> Value {
        let Self { category, provider, version } = self;
        json!({ "category": category, "owner": "Custom", "provider": provider, "version": version })
    }
}

/// Whether an action type had to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was.
    Now,
    /// It was there.
    Before,
}

/// One job, with the credentials for its artifacts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// What tells this offer from others of the same job.
    pub(crate) nonce: String,
    pub(crate) pipeline: String,
    pub(crate) configuration: BTreeMap<String, String>,
    pub(crate) inputs: Vec<Artifact>,
    pub(crate) outputs: Vec<Artifact>,
    pub(crate) keys: Option<Keys>,
    /// What outputs are encrypted with, when it is not the account's own key.
    pub(crate) encryption_key: Option<String>,
    /// Of a job that was handed back: what we said then.
    pub(crate) continuation: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) revision: Option<String>,
}

/// CodePipeline, for one account.
#[derive(Clone, Debug)]
pub struct Api {
    account: Arc<Account>,
}

impl Api {
    /// Of this account.
    pub const fn new(account: Arc<Account>) -> Self {
        Self { account }
    }

    /// Makes an action type, unless it is there. `execution_url` is where a build can be looked at, with
    /// `{ExternalExecutionId}` for its id.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub async fn create(
        &self,
        action_type: &ActionType,
        execution_url: Option<&str>,
    ) -> Result<Created, PipelineError> {
        if self.exists(action_type).await? {
            return Ok(Created::Before);
        }
        let property = |name: &str, required: bool, description: &str| {
            json!({
                "name": name, "required": required, "key": required, "secret": false, "queryable": required,
                "type": "String", "description": description,
            })
        };
        let ActionType { category, provider, version } = action_type;
        let mut new = json!({
            "category": category, "provider": provider, "version": version,
            "configurationProperties": [
                property("ProjectName", true, "The project of the worker that builds."),
                property("PrimarySource", false, "The input artifact with the buildspec, of several."),
                property("BuildspecOverride", false, "A buildspec's path in the source, or its text."),
                property("BatchEnabled", false, "Whether the buildspec's batch is built: true or false."),
                property("CombineArtifacts", false, "Whether a batch has one output artifact: true or false."),
                property("ServiceRoleArnOverride", false, "Who builds are, in place of the project's role."),
                property("EnvironmentVariables", false, "A JSON list, as CodeBuild's action takes it."),
            ],
            "inputArtifactDetails": { "minimumCount": 1, "maximumCount": MAX_ARTIFACTS },
            "outputArtifactDetails": { "minimumCount": 0, "maximumCount": MAX_ARTIFACTS },
        });
        if let Some(url) = execution_url {
            let entity = url.split("{ExternalExecutionId}").next().unwrap_or(url);
            new["settings"] = json!({ "entityUrlTemplate": entity, "executionUrlTemplate": url });
        }
        match self.call::<Value>(pipeline::CREATE_CUSTOM_ACTION_TYPE, &new).await {
            Ok(_) => Ok(Created::Now),
            // Another machine was quicker.
            Err(_) if self.exists(action_type).await? => Ok(Created::Before),
            Err(error) => Err(error),
        }
    }

    async fn exists(&self, action_type: &ActionType) -> Result<bool, PipelineError> {
        let mut page = json!({ "actionOwnerFilter": "Custom" });
        loop {
            let listed: Listed = self.call(pipeline::LIST_ACTION_TYPES, &page).await?;
            if listed.action_types.iter().any(|known| known.id == *action_type) {
                return Ok(true);
            }
            match listed.next_token {
                Some(token) => page["nextToken"] = token.into(),
                None => return Ok(false),
            }
        }
    }

    /// Removes an action type; pipelines that use it fail from then on.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub async fn delete(&self, action_type: &ActionType) -> Result<(), PipelineError> {
        let ActionType { category, provider, version } = action_type;
        let which = json!({ "category": category, "provider": provider, "version": version });
        self.call::<Value>(pipeline::DELETE_CUSTOM_ACTION_TYPE, &which).await.map(drop)
    }

    /// Jobs that nobody has acknowledged, for this project.
    pub(crate) async fn poll(
        &self,
        action_type: &ActionType,
        project: &str,
        most: usize,
    ) -> Result<Vec<Job>, PipelineError> {
        let query = json!({ "ProjectName": project });
        let request = json!({ "actionTypeId": action_type.id(), "maxBatchSize": most, "queryParam": query });
        let polled: Polled = self.call(pipeline::POLL_FOR_JOBS, &request).await?;
        Ok(polled
            .jobs
            .into_iter()
            .map(|offer| Job { nonce: offer.nonce, ..job(offer.id, offer.data) })
            .collect())
    }

    /// Whether the job is ours now.
    pub(crate) async fn acknowledge(&self, id: &str, nonce: &str) -> Result<bool, PipelineError> {
        let request = json!({ "jobId": id, "nonce": nonce });
        let answer: Value = match self.call(pipeline::ACKNOWLEDGE_JOB, &request).await {
            Err(PipelineError::Aws(error))
                if matches!(error.code(), "InvalidNonceException" | "JobNotFoundException") =>
            {
                return Ok(false);
            }
            answer => answer?,
        };
        Ok(answer["status"] == "InProgress")
    }

    /// A job as it stands, with credentials that were made now.
    pub(crate) async fn details(&self, id: &str) -> Result<Job, PipelineError> {
        let answer: Detailed = self.call(pipeline::GET_JOB_DETAILS, &json!({ "jobId": id })).await?;
        Ok(job(id.to_owned(), answer.job_details.data))
    }

    /// Gives a job back, to be given to us again.
    pub(crate) async fn hand_back(&self, id: &str, build: &str, summary: &str) -> Result<(), PipelineError> {
        let request = json!({
            "jobId": id,
            "continuationToken": build,
            "executionDetails": { "summary": summary, "externalExecutionId": build },
        });
        self.call::<Value>(pipeline::PUT_JOB_SUCCESS_RESULT, &request).await.map(drop)
    }

    /// Ends a job.
    pub(crate) async fn end(&self, id: &str, result: &JobResult) -> Result<(), PipelineError> {
        let (action, request) = match result {
            JobResult::Success { build, summary, variables } => (
                pipeline::PUT_JOB_SUCCESS_RESULT,
                json!({
                    "jobId": id,
                    "executionDetails": {
                        "summary": summary, "externalExecutionId": build, "percentComplete": 100,
                    },
                    "outputVariables": variables,
                }),
            ),
            JobResult::Failure { build, kind, message } => {
                let mut details = json!({ "type": kind.name(), "message": message });
                if let Some(build) = build {
                    details["externalExecutionId"] = build.as_str().into();
                }
                (pipeline::PUT_JOB_FAILURE_RESULT, json!({ "jobId": id, "failureDetails": details }))
            }
        };
        self.call::<Value>(action, &request).await.map(drop)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        action: &'static str,
        body: &Value,
    ) -> Result<T, PipelineError> {
        let answer = self.account.json(CODEPIPELINE, action, body).await?;
        serde_json::from_value(answer)
            .map_err(|error| PipelineError::Malformed { operation: action, reason: error.to_string() })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    action_types: Vec<KnownType>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct KnownType {
    id: ActionType,
}

#[derive(Deserialize)]
struct Polled {
    #[serde(default)]
    jobs: Vec<Offer>,
}

#[derive(Deserialize)]
struct Offer {
    id: String,
    nonce: String,
    data: JobData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detailed {
    job_details: Details,
}

#[derive(Deserialize)]
struct Details {
    data: JobData,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JobData {
    action_configuration: ActionConfiguration,
    pipeline_context: PipelineContext,
    input_artifacts: Vec<ArtifactData>,
    output_artifacts: Vec<ArtifactData>,
    artifact_credentials: Option<Credentials>,
    continuation_token: Option<String>,
    encryption_key: Option<EncryptionKey>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ActionConfiguration {
    configuration: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PipelineContext {
    pipeline_name: String,
}

#[derive(Deserialize)]
struct ArtifactData {
    name: String,
    #[serde(default)]
    revision: Option<String>,
    location: Location,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    s3_location: S3Location,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Location {
    bucket_name: String,
    object_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
}

#[derive(Deserialize)]
struct EncryptionKey {
    id: String,
}

fn job(id: String, data: JobData) -> Job {
    let artifacts = |all: Vec<ArtifactData>| {
        all.into_iter()
            .map(|artifact| {
                let S3Location { bucket_name, object_key } = artifact.location.s3_location;
                Artifact {
                    name: artifact.name,
                    place: Place::new(bucket_name, object_key),
                    revision: artifact.revision.filter(|revision| !revision.is_empty()),
                }
            })
            .collect()
    };
    Job {
        id,
        nonce: String::new(),
        pipeline: data.pipeline_context.pipeline_name,
        configuration: data.action_configuration.configuration,
        inputs: artifacts(data.input_artifacts),
        outputs: artifacts(data.output_artifacts),
        keys: data.artifact_credentials.map(|given| Keys {
            access_key_id: given.access_key_id,
            secret_access_key: given.secret_access_key,
            session_token: given.session_token,
        }),
        encryption_key: data.encryption_key.map(|key| key.id),
        continuation: data.continuation_token,
    }
}

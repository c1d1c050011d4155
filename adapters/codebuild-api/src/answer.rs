//! Records as CodeBuild's API gives them: times in seconds, and nothing that it does not have.

use jiff::Timestamp;
use runspan_engine::batch::BuildBatch;
use runspan_engine::build::{Build, LOCAL_ACCOUNT};
use runspan_engine::request::BuildRequest;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// A time as AWS's JSON protocol writes it.
pub(crate) fn seconds(time: Timestamp) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium are exact")]
    let seconds = time.as_millisecond() as f64 / 1000.0;
    seconds.into()
}

/// Members whose values are times.
const TIMES: [&str; 6] = ["startTime", "endTime", "requestedOn", "created", "expired", "lastModified"];

/// The same with times in seconds.
pub(crate) fn with_seconds(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let time = value.as_str().filter(|_| TIMES.contains(&name.as_str()));
                    match time.and_then(|time| time.parse().ok()) {
                        Some(time) => *value = seconds(time),
                        None => walk(value),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    value
}

/// A build.
pub(crate) fn build(build: &Build, request: &BuildRequest, region: &str) -> Result<Value, ApiError> {
    let mut record = members(build)?;
    // Ours alone.
    record.remove("reports");
    record.remove("batchIdentifier");
    record.insert("artifacts".into(), artifact(record.get("artifacts")));
    if let Some(Value::Array(all)) = record.get_mut("secondaryArtifacts") {
        for one in all {
            *one = artifact(Some(one));
        }
    }
    let logs = &build.logs;
    let (group, stream) = (&logs.group_name, &logs.stream_name);
    if let Some(Value::Object(shown)) = record.get_mut("logs") {
        shown.entry("cloudWatchLogsArn").or_insert_with(|| {
            format!("arn:aws:logs:{region}:{LOCAL_ACCOUNT}:log-group:{group}:log-stream:{stream}").into()
        });
        shown.insert("cloudWatchLogs".into(), json!({ "status": "ENABLED", "groupName": group }));
    }
    let mut environment = members(&request.project.environment)?;
    environment.retain(|_, value| !value.is_null());
    environment.extend(members(&build.environment)?);
    environment.insert("environmentVariables".into(), variables(build)?);
    record.insert("environment".into(), environment.into());
    record.extend(of_request(request));
    Ok(with_seconds(record.into()))
}

/// A batch.
pub(crate) fn batch(batch: &BuildBatch, request: Option<&BuildRequest>) -> Result<Value, ApiError> {
    let mut record = members(batch)?;
    record.remove("reports");
    let current = batch.phases.last().map(|phase| serde_json::to_value(phase.phase_type));
    if let Some(Ok(current)) = current {
        record.insert("currentPhase".into(), current);
    }
    let arns = batch.reports.iter().filter_map(|report| report.pointer("/report/arn")).cloned();
    record.insert("reportArns".into(), arns.collect());
    record.insert("artifacts".into(), artifact(record.get("artifacts")));
    for group in record.get_mut("buildGroups").and_then(Value::as_array_mut).into_iter().flatten() {
        group["priorBuildSummaryList"] = json!([]);
        if let Some(Value::Object(summary)) = group.get_mut("currentBuildSummary") {
            let made = summary.get("primaryArtifact").and_then(|made| made["location"].as_str());
            let kind = if made.is_some_and(|place| !place.is_empty()) { "S3" } else { "NO_ARTIFACTS" };
            let location = made.unwrap_or_default().to_owned();
            summary.insert("primaryArtifact".into(), json!({ "type": kind, "location": location }));
            summary.remove("secondaryArtifacts");
        }
    }
    if let Some(request) = request {
        record.insert("initiator".into(), request.initiator.as_str().into());
        record.insert("source".into(), members(&request.source)?.into());
        let mut environment = members(&request.project.environment)?;
        environment.retain(|_, value| !value.is_null());
        record.insert("environment".into(), environment.into());
        record.insert("cache".into(), members(&request.project.cache)?.into());
        if let Some(config) = &request.project.build_batch_config {
            let mut config = members(config)?;
            config.retain(|_, value| !value.is_null());
            record.insert("buildBatchConfig".into(), config.into());
        }
        if let Some(version) = &request.source_version {
            record.insert("sourceVersion".into(), version.as_str().into());
        }
        record.insert("debugSessionEnabled".into(), request.debug_session.into());
        let minutes = request.project.timeout_in_minutes;
        record.insert("buildTimeoutInMinutes".into(), minutes.into());
        record.extend(of_request(request));
    }
    Ok(with_seconds(record.into()))
}

/// What builds and batches have of their request.
fn of_request(request: &BuildRequest) -> Map<String, Value> {
    let mut record = Map::new();
    let versions = request.secondary_sources.iter().filter_map(|(source, version)| {
        Some(json!({ "sourceIdentifier": source.source_identifier.as_ref()?, "sourceVersion": version.as_ref()? }))
    });
    let versions: Vec<Value> = versions.collect();
    if !versions.is_empty() {
        record.insert("secondarySourceVersions".into(), versions.into());
    }
    for (name, value) in
        [("serviceRole", &request.project.service_role), ("encryptionKey", &request.project.encryption_key)]
    {
        if let Some(value) = value {
            record.insert(name.into(), value.as_str().into());
        }
    }
    record
}

/// `BuildArtifacts`, which even a build without any has.
fn artifact(made: Option<&Value>) -> Value {
    let mut members = made.and_then(Value::as_object).cloned().unwrap_or_default();
    for ours in ["files", "bytes", "link"] {
        members.remove(ours);
    }
    members.entry("location").or_insert_with(|| "".into());
    members.into()
}

/// Every variable once, as the build has it.
fn variables(build: &Build) -> Result<Value, ApiError> {
    let mut all = Map::new();
    for variable in &build.environment.environment_variables {
        all.insert(variable.name.clone(), members(variable)?.into());
    }
    Ok(all.into_iter().map(|(_, variable)| variable).collect())
}

fn members(value: &impl Serialize) -> Result<Map<String, Value>, ApiError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => Err(ApiError::failure(format!("a record is no structure: {other}"))),
        Err(error) => Err(ApiError::failure(error.to_string())),
    }
}

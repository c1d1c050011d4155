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
    artifacts(&mut record);
    let logs = &build.logs;
    let (group, stream) = (&logs.group_name, &logs.stream_name);
    if let Some(Value::Object(shown)) = record.get_mut("logs") {
        shown.entry("cloudWatchLogsArn").or_insert_with(|| {
            format!("arn:aws:logs:{region}:{LOCAL_ACCOUNT}:log-group:{group}:log-stream:{stream}").into()
        });
        shown.insert("cloudWatchLogs".into(), json!({ "status": "ENABLED", "groupName": group }));
        shown.insert("s3Logs".into(), members(&request.project.logs_config.s3_logs)?.into());
    }
    let mut environment = members(&request.project.environment)?;
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
    artifacts(&mut record);
    for group in record.get_mut("buildGroups").and_then(Value::as_array_mut).into_iter().flatten() {
        group["priorBuildSummaryList"] = json!([]);
        if let Some(Value::Object(summary)) = group.get_mut("currentBuildSummary") {
            let primary = resolved(summary.get("primaryArtifact").unwrap_or(&Value::Null));
            summary.insert("primaryArtifact".into(), primary);
            if let Some(Value::Array(secondary)) = summary.get_mut("secondaryArtifacts") {
                secondary.iter_mut().for_each(|made| *made = resolved(made));
            }
        }
    }
    if let Some(request) = request {
        record.insert("initiator".into(), request.initiator.as_str().into());
        record.insert("source".into(), members(&request.source)?.into());
        record.insert("environment".into(), members(&request.project.environment)?.into());
        record.insert("cache".into(), members(&request.project.cache)?.into());
        if let Some(config) = &request.project.build_batch_config {
            record.insert("buildBatchConfig".into(), members(config)?.into());
        }
        if let Some(version) = &request.source_version {
            record.insert("sourceVersion".into(), version.as_str().into());
        }
        record.insert("debugSessionEnabled".into(), request.debug_session.into());
        if let Some(minutes) = request.project.timeout_in_minutes {
            record.insert("buildTimeoutInMinutes".into(), minutes.into());
        }
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

/// Makes what a record has of artifacts into CodeBuild's.
fn artifacts(record: &mut Map<String, Value>) {
    record.insert("artifacts".into(), artifact(record.get("artifacts")));
    if let Some(Value::Array(secondary)) = record.get_mut("secondaryArtifacts") {
        secondary.iter_mut().for_each(|made| *made = artifact(Some(made)));
    }
}

/// `ResolvedArtifact`.
fn resolved(made: &Value) -> Value {
    let location = made["location"].as_str().unwrap_or_default();
    let kind = if location.is_empty() { "NO_ARTIFACTS" } else { "S3" };
    match made["artifactIdentifier"].as_str() {
        Some(identifier) => json!({ "type": kind, "location": location, "identifier": identifier }),
        None => json!({ "type": kind, "location": location }),
    }
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

/// The members that have a value.
fn members(value: &impl Serialize) -> Result<Map<String, Value>, ApiError> {
    match serde_json::to_value(value).map(without_nulls) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => Err(ApiError::failure(format!("a record is no structure: {other}"))),
        Err(error) => Err(ApiError::failure(error.to_string())),
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_shown_as_codebuild_shows_one() {
        let artifact = |identifier: Value| {
            json!({ "location": "arn:aws:s3:::b/k", "files": 3, "bytes": 9, "link": "https://x",
                    "artifactIdentifier": identifier })
        };
        let kept: Build = serde_json::from_value(json!({
            "id": "web:u", "arn": "arn:b", "buildNumber": 7, "startTime": "2026-01-01T00:00:00.25Z",
            "currentPhase": "BUILD", "buildStatus": "IN_PROGRESS", "projectName": "web",
            "phases": [{ "phaseType": "SUBMITTED", "startTime": "2026-01-01T00:00:00.25Z" }],
            "source": { "type": "NO_SOURCE", "buildspec": "2026-01-01T00:00:00Z" },
            "artifacts": artifact(Value::Null), "secondaryArtifacts": [artifact("two".into())],
            "cache": {}, "environment": {
                "type": "LINUX_CONTAINER", "image": "i", "computeType": "c", "privilegedMode": false,
                "environmentVariables": [
                    { "name": "A", "value": "project", "type": "PLAINTEXT" },
                    { "name": "startTime", "value": "2026-01-01T00:00:00Z", "type": "PLAINTEXT" },
                    { "name": "A", "value": "override", "type": "PLAINTEXT" },
                ],
            },
            "logs": { "groupName": "/aws/codebuild/web", "streamName": "u", "deepLink": "https://x" },
            "timeoutInMinutes": 60, "queuedTimeoutInMinutes": 480, "buildComplete": false, "initiator": "me",
            "reports": [{ "ours": true }], "batchIdentifier": "ours",
            "autoRetryConfig": { "autoRetryLimit": 0, "autoRetryNumber": 0 },
            "debugSession": { "sessionEnabled": false },
        }))
        .unwrap();
        let shown = build(&kept, &BuildRequest::default(), "us-east-1").unwrap();
        assert_eq!(
            (&shown["startTime"], &shown["phases"][0]["startTime"]),
            (&json!(1_767_225_600.25), &json!(1_767_225_600.25))
        );
        assert_eq!(shown["source"]["buildspec"], "2026-01-01T00:00:00Z", "a text is no time");
        assert_eq!(
            shown["environment"]["environmentVariables"],
            json!([
                { "name": "A", "value": "override", "type": "PLAINTEXT" },
                { "name": "startTime", "value": "2026-01-01T00:00:00Z", "type": "PLAINTEXT" },
            ])
        );
        assert_eq!(
            shown["logs"]["cloudWatchLogsArn"],
            "arn:aws:logs:us-east-1:000000000000:log-group:/aws/codebuild/web:log-stream:u"
        );
        assert_eq!(shown["artifacts"], json!({ "location": "arn:aws:s3:::b/k" }));
        assert_eq!(
            shown["secondaryArtifacts"][0],
            json!({ "location": "arn:aws:s3:::b/k", "artifactIdentifier": "two" })
        );
        assert!(shown.get("reports").is_none() && shown.get("batchIdentifier").is_none(), "{shown}");
        assert_eq!(
            resolved(&artifact("two".into())),
            json!({ "type": "S3", "location": "arn:aws:s3:::b/k", "identifier": "two" })
        );
    }
}

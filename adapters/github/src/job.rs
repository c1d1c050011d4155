//! A job as GitHub sends it: what the wire needs is read here, the rest is kept as it came for the translator.

use runspan_agent_protocol::Secret;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::GitHubError;

/// A job.
#[derive(Clone, Debug)]
pub struct JobMessage {
    /// The workflow run's plan.
    pub plan_id: Uuid,
    /// The job.
    pub job_id: Uuid,
    /// Its name, with the matrix's values.
    pub display_name: String,
    /// Where it is renewed and completed.
    pub run_service_url: String,
    /// Where steps, logs and summaries are told.
    pub results_url: Option<String>,
    /// Where actions are resolved.
    pub launch_url: Option<String>,
    /// Where live log lines go.
    pub feed_url: Option<String>,
    /// The job's own token.
    pub token: Secret,
    /// Everything, for the translator.
    pub message: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    plan: Plan,
    job_id: Uuid,
    #[serde(default)]
    job_display_name: String,
    resources: Resources,
    #[serde(default)]
    variables: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    plan_id: Uuid,
}

#[derive(Deserialize)]
struct Resources {
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    name: String,
    url: String,
    authorization: Authorization,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Authorization {
    parameters: Parameters,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    access_token: Secret,
}

impl JobMessage {
    /// Reads a job.
    ///
    /// # Errors
    /// [`GitHubError::Malformed`]; its message holds nothing of the job's values.
    pub fn read(bytes: &[u8]) -> Result<Self, GitHubError> {
        let wrong = |reason: String| GitHubError::Malformed { doing: "reading a job", reason };
        let at = |error: serde_json::Error| {
            wrong(format!("unexpected JSON at line {}, column {}", error.line(), error.column()))
        };
        let message: Value = serde_json::from_slice(bytes).map_err(at)?;
        Self::of(message)
    }

    /// Reads a job that was kept.
    pub(crate) fn of(message: Value) -> Result<Self, GitHubError> {
        let wrong = |reason: String| GitHubError::Malformed { doing: "reading a job", reason };
        let raw = Raw::deserialize(&message)
            .map_err(|_| wrong("a member that every job has is missing or of another kind".into()))?;
        let endpoint = raw
            .resources
            .endpoints
            .into_iter()
            .find(|endpoint| endpoint.name.eq_ignore_ascii_case("SystemVssConnection"))
            .ok_or_else(|| wrong("it names no service".into()))?;
        let variable = |name: &str| {
            let value = raw.variables.get(name)?.get("value")?.as_str()?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        let data = |name: &str| {
            let value = endpoint.data.get(name)?.as_str()?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        Ok(Self {
            plan_id: raw.plan.plan_id,
            job_id: raw.job_id,
            display_name: raw.job_display_name,
            results_url: variable("system.github.results_endpoint").or_else(|| data("ResultsServiceUrl")),
            launch_url: variable("system.github.launch_endpoint"),
            feed_url: data("FeedStreamUrl"),
            run_service_url: endpoint.url,
            token: endpoint.authorization.parameters.access_token,
            message,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_says_where_its_services_are() {
        let (plan, job) = (Uuid::new_v4(), Uuid::new_v4());
        let message = json!({
            "plan": {"planId": plan}, "jobId": job, "jobDisplayName": "build (1)",
            "variables": {"system.github.results_endpoint": {"value": "https://r/"}},
            "resources": {"endpoints": [{
                "name": "SystemVssConnection", "url": "https://run/1/",
                "authorization": {"parameters": {"AccessToken": "hush"}},
                "data": {"FeedStreamUrl": "wss://feed", "ResultsServiceUrl": "https://other/"},
            }]},
        });
        let read = JobMessage::read(message.to_string().as_bytes()).unwrap();
        assert_eq!((read.plan_id, read.job_id, read.token.reveal()), (plan, job, "hush"));
        assert_eq!(read.results_url.as_deref(), Some("https://r/"));
        assert_eq!((read.feed_url.as_deref(), read.launch_url), (Some("wss://feed"), None));
    }

    #[test]
    fn what_is_wrong_is_said_without_values() {
        let said = |text: &str| JobMessage::read(text.as_bytes()).unwrap_err().to_string();
        assert!(said("{\"token\": \"hush\",}").contains("line 1"));
        let said = said(r#"{"plan": {"planId": "hush"}, "jobId": 1, "resources": {"endpoints": []}}"#);
        assert!(said.contains("missing") && !said.contains("hush"), "{said}");
    }
}

//! A build's record, as `builds show --format json` prints it.

use std::collections::BTreeMap;

use serde_json::Value;

/// A build record in the shape of CodeBuild's `Build`.
pub(crate) struct Record(pub(crate) Value);

impl Record {
    /// `buildStatus`.
    pub(crate) fn status(&self) -> &str {
        self.0["buildStatus"].as_str().unwrap_or_default()
    }

    /// Each phase with its status, as in `BUILD FAILED`.
    pub(crate) fn phases(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let phases = self.0["phases"].as_array().cloned().unwrap_or_default();
        phases
            .iter()
            .map(|phase| format!("{} {}", text(&phase["phaseType"]), text(&phase["phaseStatus"])))
            .collect()
    }

    /// Status code and message of a phase.
    pub(crate) fn context(&self, phase: &str) -> (String, String) {
        let found = self.0["phases"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|found| found["phaseType"] == phase)
            .unwrap_or_else(|| panic!("no phase {phase} in {self}"));
        let context = &found["contexts"][0];
        let text = |member: &str| context[member].as_str().unwrap_or_default().to_owned();
        (text("statusCode"), text("message"))
    }

    /// `exportedEnvironmentVariables`.
    pub(crate) fn exported(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.0["exportedEnvironmentVariables"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|variable| (text(&variable["name"]), text(&variable["value"])))
            .collect()
    }

    /// The report of a group, named as in the buildspec.
    pub(crate) fn report(&self, group: &str) -> &Value {
        let ending = format!("-{group}");
        self.0["reports"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|report| report["reportGroupArn"].as_str().is_some_and(|arn| arn.ends_with(&ending)))
            .unwrap_or_else(|| panic!("no report of {group} in {self}"))
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

//! Webhooks of projects: kept as they are described. Whoever receives deliveries finds their rules with the project.

use aws_lc_rs::rand;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Input;
use crate::answer::seconds;
use crate::api::Api;
use crate::error::ApiError;
use crate::keys::hex;

impl Api {
    pub(crate) fn create_webhook(&self, input: &Input) -> Result<Value, ApiError> {
        let name = input.required("projectName");
        let mut project = self.project_record(name)?;
        if project.contains_key("webhook") {
            let arn = self.arn(&format!("project/{name}"));
            return Err(ApiError::exists(format!("Webhook already exists: {arn}")));
        }
        if !input.flag("manualCreation") {
            return Err(ApiError::invalid(
                "manualCreation: this service makes no webhooks at hosts; make it there by hand and say true",
            ));
        }
        let mut webhook = Map::from_iter([("status".to_owned(), "ACTIVE".into())]);
        describe(&mut webhook, input)?;
        webhook.insert("secret".into(), secret()?.into());
        webhook.insert("lastModifiedSecret".into(), seconds(Timestamp::now()));
        project.insert("webhook".into(), webhook.clone().into());
        self.save_project(name, &project)?;
        // The secret is shown this once.
        Ok(json!({ "webhook": webhook }))
    }

    pub(crate) fn update_webhook(&self, input: &Input) -> Result<Value, ApiError> {
        let name = input.required("projectName");
        let mut project = self.project_record(name)?;
        let Some(Value::Object(mut webhook)) = project.remove("webhook") else {
            return Err(self.no_webhook(name));
        };
        describe(&mut webhook, input)?;
        let rotates = input.flag("rotateSecret");
        if rotates {
            webhook.insert("secret".into(), secret()?.into());
            webhook.insert("lastModifiedSecret".into(), seconds(Timestamp::now()));
        }
        project.insert("webhook".into(), webhook.clone().into());
        self.save_project(name, &project)?;
        if !rotates {
            webhook.remove("secret");
        }
        Ok(json!({ "webhook": webhook }))
    }

    pub(crate) fn delete_webhook(&self, input: &Input) -> Result<Value, ApiError> {
        let name = input.required("projectName");
        let mut project = self.project_record(name)?;
        project.remove("webhook").ok_or_else(|| self.no_webhook(name))?;
        self.save_project(name, &project)?;
        Ok(json!({}))
    }

    fn no_webhook(&self, name: &str) -> ApiError {
        ApiError::not_found(format!("Webhook cannot be found: {}", self.arn(&format!("project/{name}"))))
    }
}

/// Takes what a request says of a webhook.
fn describe(webhook: &mut Map<String, Value>, input: &Input) -> Result<(), ApiError> {
    if input.text("branchFilter").is_some_and(|filter| !filter.is_empty())
        && input.value("filterGroups").is_some()
    {
        return Err(ApiError::invalid("branchFilter and filterGroups cannot be given together"));
    }
    for group in input.value("filterGroups").and_then(Value::as_array).into_iter().flatten() {
        let mut filters = group.as_array().into_iter().flatten();
        if !filters.any(|filter| filter["type"] == "EVENT") {
            return Err(ApiError::invalid("Each filter group must have at least one EVENT filter"));
        }
    }
    let members = [
        "branchFilter",
        "filterGroups",
        "buildType",
        "manualCreation",
        "scopeConfiguration",
        "pullRequestBuildPolicy",
    ];
    for name in members {
        if let Some(value) = input.value(name) {
            webhook.insert(name.to_owned(), value.clone());
        }
    }
    Ok(())
}

fn secret() -> Result<String, ApiError> {
    let mut bytes = [0; 20];
    rand::fill(&mut bytes).map_err(|_| ApiError::failure("this machine gives no random numbers"))?;
    Ok(hex(&bytes))
}

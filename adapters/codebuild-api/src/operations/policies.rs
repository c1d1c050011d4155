//! Who else may use a project or a group of reports. It is kept with it and shown: here every key may do everything.

use serde_json::{Value, json};

use super::Input;
use crate::api::Api;
use crate::error::ApiError;

/// The member of a record that holds its policy; no record of CodeBuild's has it.
const POLICY: &str = "resourcePolicy";

impl Api {
    pub(crate) fn put_resource_policy(&self, input: &Input) -> Result<Value, ApiError> {
        let (arn, policy) = (input.required("resourceArn"), input.required("policy"));
        if !matches!(serde_json::from_str(policy), Ok(Value::Object(_))) {
            return Err(ApiError::invalid("Invalid policy: it must be a JSON object"));
        }
        let mut record = self.holder(arn)?;
        record[POLICY] = policy.into();
        self.save_holder(arn, record)?;
        Ok(json!({ "resourceArn": arn }))
    }

    pub(crate) fn get_resource_policy(&self, input: &Input) -> Result<Value, ApiError> {
        let arn = input.required("resourceArn");
        match self.holder(arn)?[POLICY].as_str() {
            Some(policy) => Ok(json!({ "policy": policy })),
            None => Err(ApiError::not_found(format!("Resource policy cannot be found: {arn}"))),
        }
    }

    /// As CodeBuild does, it does not mind that there is no policy.
    pub(crate) fn delete_resource_policy(&self, input: &Input) -> Result<Value, ApiError> {
        let arn = input.required("resourceArn");
        self.save_holder(arn, without_policy(self.holder(arn)?))?;
        Ok(json!({}))
    }

    fn holder(&self, arn: &str) -> Result<Value, ApiError> {
        if arn.contains(":report-group/") {
            self.group(arn)
        } else if arn.contains(":project/") {
            self.project_record(arn).map(Value::Object)
        } else {
            Err(ApiError::invalid(format!("Invalid resource ARN: {arn}")))
        }
    }

    fn save_holder(&self, arn: &str, record: Value) -> Result<(), ApiError> {
        match record {
            Value::Object(project) if arn.contains(":project/") => self.save_project(arn, &project),
            group => self.save_group(&group),
        }
    }
}

/// A record as others see it.
pub(super) fn without_policy(mut record: Value) -> Value {
    if let Value::Object(members) = &mut record {
        members.remove(POLICY);
    }
    record
}

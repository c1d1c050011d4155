//! Logins for git hosts.

use runspan_agent_protocol::Secret;
use serde_json::{Value, json};

use super::Input;
use crate::api::Api;
use crate::credentials::SourceCredential;
use crate::error::ApiError;

impl Api {
    pub(crate) fn import_source_credentials(&self, input: &Input) -> Result<Value, ApiError> {
        let (server, kind) = (input.required("serverType"), input.required("authType"));
        let username = input.text("username");
        match (kind, server) {
            ("BASIC_AUTH", "BITBUCKET") if username.is_none() => {
                return Err(ApiError::invalid("username is required for BASIC_AUTH"));
            }
            ("BASIC_AUTH", "BITBUCKET") | ("PERSONAL_ACCESS_TOKEN", _) => {}
            _ => {
                return Err(ApiError::invalid(format!(
                    "authType: this service takes PERSONAL_ACCESS_TOKEN, and BASIC_AUTH for BITBUCKET; not {kind} for {server}"
                )));
            }
        }
        let credential = SourceCredential {
            server_type: server.to_owned(),
            auth_type: kind.to_owned(),
            username: username.map(str::to_owned),
            token: Secret::new(input.required("token")),
        };
        let replace = input.value("shouldOverwrite") != Some(&Value::Bool(false));
        let arn = self.token_arn(server);
        if !self.credentials.put(credential, replace)? {
            return Err(ApiError::exists(format!("Credential already exists: {arn}")));
        }
        Ok(json!({ "arn": arn }))
    }

    pub(crate) fn list_source_credentials(&self) -> Result<Value, ApiError> {
        let all = self.credentials.list()?;
        let shown = all.iter().map(|one| {
            json!({
                "arn": self.token_arn(&one.server_type),
                "serverType": one.server_type,
                "authType": one.auth_type,
            })
        });
        Ok(json!({ "sourceCredentialsInfos": shown.collect::<Vec<_>>() }))
    }

    pub(crate) fn delete_source_credentials(&self, input: &Input) -> Result<Value, ApiError> {
        let arn = input.required("arn");
        let all = self.credentials.list()?;
        let found = all.iter().find(|one| self.token_arn(&one.server_type) == arn);
        match found {
            Some(one) if self.credentials.remove(&one.server_type)? => Ok(json!({ "arn": arn })),
            _ => Err(ApiError::not_found(format!("Credential cannot be found: {arn}"))),
        }
    }

    fn token_arn(&self, server: &str) -> String {
        self.arn(&format!("token/{}", server.to_lowercase()))
    }
}

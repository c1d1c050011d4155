//! What a job may do.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use runspan_agent_protocol::Secret;
use serde::Deserialize;

const READ: u8 = 1;
const WRITE: u8 = 2;

/// A job and what it may do.
#[derive(Clone, Debug)]
pub struct Grant {
    /// `owner/name`.
    pub repository: String,
    /// The run, as GitHub's services name it: `workflow_run_backend_id`.
    pub run: String,
    /// The job, as they name it: `workflow_job_run_backend_id`.
    pub job: String,
    /// The scopes of its caches, in the order in which they are searched.
    pub scopes: Vec<Scope>,
    /// GitHub's own service, for what is not answered here.
    pub upstream: Option<Upstream>,
}

/// Caches of a branch, a tag or a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// As in `refs/heads/main`.
    pub reference: String,
    /// Whether caches may be taken from it.
    pub can_read: bool,
    /// Whether caches may be put into it.
    pub can_write: bool,
}

/// GitHub's own service.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its address, with a slash at the end.
    pub url: String,
    /// The job's own token.
    pub token: Secret,
}

impl Scope {
    /// The scopes that GitHub wrote into a job's token: it knows what the event may be trusted with.
    pub fn of_token(token: &str) -> Option<Vec<Self>> {
        #[derive(Deserialize)]
        struct Claims {
            ac: String,
        }
        #[derive(Deserialize)]
        struct Access {
            #[serde(rename = "Scope")]
            scope: String,
            #[serde(rename = "Permission")]
            permission: u8,
        }
        let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Claims = serde_json::from_slice(&payload).ok()?;
        let all: Vec<Access> = serde_json::from_str(&claims.ac).ok()?;
        let scope = |Access { scope, permission }| Self {
            reference: scope,
            can_read: permission & READ != 0,
            can_write: permission & WRITE != 0,
        };
        Some(all.into_iter().map(scope).collect())
    }

    /// What GitHub documents, for a token that says nothing: the event's own ref, and to read the base of a pull
    /// request and the default branch.
    pub fn of_event(reference: &str, base: Option<&str>, default_branch: Option<&str>) -> Vec<Self> {
        let mut all =
            vec![Self { reference: reference.to_owned(), can_read: true, can_write: !reference.is_empty() }];
        for branch in [base, default_branch].into_iter().flatten().filter(|branch| !branch.is_empty()) {
            let reference = format!("refs/heads/{branch}");
            if all.iter().all(|scope| scope.reference != reference) {
                all.push(Self { reference, can_read: true, can_write: false });
            }
        }
        all
    }

    /// The claim that clients read.
    pub(crate) fn claim(all: &[Self]) -> String {
        let access = |scope: &Self| {
            let permission = u8::from(scope.can_read) * READ + u8::from(scope.can_write) * WRITE;
            serde_json::json!({"Scope": scope.reference, "Permission": permission})
        };
        serde_json::Value::from_iter(all.iter().map(access)).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_those_of_the_token() {
        let claims = r#"{"ac":"[{\"Scope\":\"refs/pull/7/merge\",\"Permission\":3},{\"Scope\":\"refs/heads/main\",\"Permission\":1}]"}"#;
        let token = format!("x.{}.y", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let scopes = Scope::of_token(&token).unwrap();
        assert_eq!(scopes, Scope::of_event("refs/pull/7/merge", Some("main"), Some("main")));
        assert_eq!(
            Scope::claim(&scopes),
            r#"[{"Permission":3,"Scope":"refs/pull/7/merge"},{"Permission":1,"Scope":"refs/heads/main"}]"#
        );
        assert_eq!(Scope::of_token("gibberish"), None);
    }
}

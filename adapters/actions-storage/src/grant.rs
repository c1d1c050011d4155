//! What a job may do.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use runspan_agent_protocol::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;

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
    /// The job's own token, by which it is known here as well: clients read their ids and scopes from it.
    pub token: Secret,
    /// GitHub's own service, for what is not answered here; its address.
    pub upstream: Option<String>,
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

impl Grant {
    /// The run and the job, as GitHub's services name them, by what is written in the job's token.
    pub fn ids_of_token(token: &str) -> Option<(String, String)> {
        #[derive(Deserialize)]
        struct Claims {
            scp: String,
        }
        let claims: Claims = claims(token)?;
        let mut parts =
            claims.scp.split(' ').find_map(|scope| scope.strip_prefix("Actions.Results:"))?.split(':');
        Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
    }
}

/// What a token says of itself; it came from GitHub with the job, so that nobody has to prove it.
fn claims<T: DeserializeOwned>(token: &str) -> Option<T> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
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
        let claims: Claims = claims(token)?;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_those_of_the_token() {
        let claims = r#"{"ac":"[{\"Scope\":\"refs/pull/7/merge\",\"Permission\":3},{\"Scope\":\"refs/heads/main\",\"Permission\":1}]","scp":"Actions.Example Actions.Results:run:job"}"#;
        let token = format!("x.{}.y", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let scopes = Scope::of_token(&token).unwrap();
        assert_eq!(scopes, Scope::of_event("refs/pull/7/merge", Some("main"), Some("main")));
        assert_eq!(Grant::ids_of_token(&token), Some(("run".to_owned(), "job".to_owned())));
        assert_eq!((Scope::of_token("gibberish"), Grant::ids_of_token("a.b.c")), (None, None));
    }
}

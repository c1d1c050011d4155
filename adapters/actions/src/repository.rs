//! Archives of actions' repositories, kept by their commit.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runspan_engine::steps::{ActionArchive, ActionRef};
use serde::Deserialize;

use crate::fetch::{Fetcher, Wanted};
use crate::{Settings, SourceError};

const SETTING: &str = "RUNSPAN_ACTIONS_URL";

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

/// The archive of an action's repository at its version.
pub(crate) async fn archive(
    settings: &Settings,
    fetcher: &Fetcher,
    action: &ActionRef,
    known: Option<&ActionArchive>,
) -> Result<PathBuf, SourceError> {
    let ActionRef { owner, name, version, .. } = action;
    let api = settings.api.trim_end_matches('/');
    let bearer = settings.token.as_ref().map(|token| format!("Bearer {}", token.reveal()));
    let known = known.filter(|known| is_commit(&known.sha) && !known.url.is_empty());
    let commit = match known {
        Some(known) => known.sha.to_ascii_lowercase(),
        None if is_commit(version) => version.to_ascii_lowercase(),
        None => {
            let url = format!("{api}/repos/{owner}/{name}/commits/{}", segment(version));
            let accept = Some("application/vnd.github+json");
            let wanted = Wanted { url, authorization: bearer.clone(), accept, setting: SETTING };
            let answer = fetcher.get(&wanted).await?;
            let odd = |reason: String| SourceError::Odd { url: wanted.url.clone(), what: "commit", reason };
            let commit: Commit = answer.json().await.map_err(|error| odd(error.to_string()))?;
            if !is_commit(&commit.sha) {
                return Err(odd(format!("{:?} is none", commit.sha)));
            }
            commit.sha.to_ascii_lowercase()
        }
    };
    let directory = settings.cache.join("archives").join(format!("{owner}_{name}"));
    let path = directory.join(format!("{commit}.tar.gz"));
    if path.is_file() {
        return Ok(path);
    }
    let wanted = match known {
        Some(known) => {
            let login = |token: &str| format!("Basic {}", STANDARD.encode(format!("x-access-token:{token}")));
            let authorization = known.token.as_ref().map(|token| login(token.reveal()));
            Wanted { url: known.url.clone(), authorization, accept: None, setting: SETTING }
        }
        None => {
            let url = format!("{api}/repos/{owner}/{name}/tarball/{commit}");
            Wanted { url, authorization: bearer, accept: None, setting: SETTING }
        }
    };
    let file = fetcher.download(&wanted, &directory).await?;
    // Whoever fetched the same meanwhile has the same file.
    file.persist(&path).map_err(|error| SourceError::cache(&path)(error.error))?;
    Ok(path)
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A text as one segment of a path.
fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_one_segment() {
        assert_eq!(segment("releases/v1 ä"), "releases%2Fv1%20%C3%A4");
        assert!(is_commit(&"a".repeat(40)) && !is_commit("v4") && !is_commit(&"g".repeat(40)));
    }
}

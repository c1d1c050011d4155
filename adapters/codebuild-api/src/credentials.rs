//! Logins for git hosts, one a kind of host, as `ImportSourceCredentials` gives them.

use std::path::Path;

use runspan_agent_protocol::Secret;
use runspan_engine::ports::SourceLogins;
use runspan_engine::project::SourceType;
use runspan_engine::source::GitLogin;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::private_file::PrivateFile;

/// Every login of this machine for git hosts.
#[derive(Clone, Debug)]
pub struct SourceCredentials {
    file: PrivateFile,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SourceCredential {
    pub(crate) server_type: String,
    pub(crate) auth_type: String,
    pub(crate) username: Option<String>,
    pub(crate) token: Secret,
}

impl SourceCredentials {
    /// Those of a state directory.
    pub fn of(home: &Path) -> Self {
        Self { file: PrivateFile::new(home.join("source-credentials.json")) }
    }

    pub(crate) fn list(&self) -> Result<Vec<SourceCredential>, StoreError> {
        self.file.read()
    }

    /// Keeps a login in the place of another of its kind; false when there is one that is not to be replaced.
    pub(crate) fn put(&self, credential: SourceCredential, replace: bool) -> Result<bool, StoreError> {
        self.file.change(|all: &mut Vec<SourceCredential>| {
            let same = |other: &SourceCredential| other.server_type == credential.server_type;
            if all.iter().any(same) && !replace {
                return false;
            }
            all.retain(|other| !same(other));
            all.push(credential);
            true
        })
    }

    pub(crate) fn remove(&self, server_type: &str) -> Result<bool, StoreError> {
        self.file.change(|all: &mut Vec<SourceCredential>| {
            let before = all.len();
            all.retain(|other| other.server_type != server_type);
            all.len() < before
        })
    }
}

impl SourceLogins for SourceCredentials {
    fn login(&self, host: SourceType, url: &str) -> Option<GitLogin> {
        if !host.takes_token(url) {
            return None;
        }
        // A file that cannot be read is no login; the host will say that one is needed.
        let found = self.list().ok()?.into_iter().find(|one| one.server_type == host.name())?;
        let username = found.username.unwrap_or_else(|| host.token_user().to_owned());
        Some(GitLogin { username, password: found.token })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_goes_to_its_own_host_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let credentials = SourceCredentials::of(home.path());
        assert!(credentials.login(SourceType::Github, "https://github.com/a/b").is_none());
        let token = |kind: &str, token: &str| SourceCredential {
            server_type: kind.into(),
            auth_type: "PERSONAL_ACCESS_TOKEN".into(),
            username: None,
            token: Secret::new(token),
        };
        assert!(credentials.put(token("GITHUB", "first"), false).unwrap());
        assert!(!credentials.put(token("GITHUB", "second"), false).unwrap());
        assert!(credentials.put(token("GITHUB_ENTERPRISE", "own"), false).unwrap());
        let login = |kind, url: &str| {
            credentials.login(kind, url).map(|login| (login.username, login.password.reveal().to_owned()))
        };
        let of = |user: &str, token: &str| Some((user.to_owned(), token.to_owned()));
        assert_eq!(login(SourceType::Github, "https://github.com/a/b"), of("x-access-token", "first"));
        for other in
            ["https://evil.example/a/b", "http://github.com/a/b", "https://github.com.evil.example/a"]
        {
            assert_eq!(login(SourceType::Github, other), None, "{other}");
        }
        assert_eq!(login(SourceType::GithubEnterprise, "https://ghe.example/a"), of("x-access-token", "own"));
        assert_eq!(login(SourceType::Bitbucket, "https://bitbucket.org/a/b"), None);
        assert!(credentials.put(token("GITHUB", "second"), true).unwrap());
        assert_eq!(login(SourceType::Github, "https://github.com/a/b"), of("x-access-token", "second"));
        let file = std::fs::metadata(home.path().join("source-credentials.json")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert!(credentials.remove("GITHUB").unwrap() && !credentials.remove("GITHUB").unwrap());
    }
}

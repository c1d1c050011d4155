//! What a runner is registered with: a URL of GitHub's, read.

use std::fmt;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::GitHubError;

/// A repository, organisation or enterprise on one of GitHub's hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope {
    url: Url,
    entity: Entity,
}

/// Who owns the runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    /// One repository.
    Repository {
        /// User or organisation.
        owner: String,
        /// Its name.
        name: String,
    },
    /// All repositories of an organisation that its runner group lets in.
    Organization(String),
    /// All organisations of an enterprise that its runner group lets in.
    Enterprise(String),
}

impl Scope {
    /// Reads `https://HOST/OWNER/REPO`, `https://HOST/ORG` or `https://HOST/enterprises/NAME`.
    ///
    /// # Errors
    /// [`GitHubError::Scope`] for anything else.
    pub fn parse(text: &str) -> Result<Self, GitHubError> {
        let wrong = |reason: &str| GitHubError::Scope { url: text.to_owned(), reason: reason.to_owned() };
        let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        let loopback =
            url.host_str().is_some_and(|host| host == "localhost" || host == "127.0.0.1" || host == "[::1]");
        if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
            return Err(wrong("it must begin with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a login does not belong in it; use --token, --pat or --app-id"));
        }
        url.set_query(None);
        url.set_fragment(None);
        let parts: Vec<&str> = url
            .path()
            .trim_end_matches('/')
            .trim_end_matches(".git")
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        let entity = match parts.as_slice() {
            ["enterprises", name] => Entity::Enterprise((*name).to_owned()),
            ["orgs" | "organizations", name] | [name] => Entity::Organization((*name).to_owned()),
            [owner, name] => Entity::Repository { owner: (*owner).to_owned(), name: (*name).to_owned() },
            _ => return Err(wrong("it names no repository, organisation or enterprise")),
        };
        url.set_path(&entity.path());
        Ok(Self { url, entity })
    }

    /// The owner.
    pub const fn entity(&self) -> &Entity {
        &self.entity
    }

    /// The URL without anything that does not matter.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Whether the host is run by GitHub, so that its API is on a host of its own.
    pub fn is_hosted(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        matches!(host, "github.com" | "www.github.com" | "github.localhost")
            || host.ends_with(".ghe.com")
            || host.ends_with(".ghe.localhost")
    }

    /// Where the REST API is, without a slash at the end.
    pub fn api(&self) -> String {
        let host = self.url.host_str().unwrap_or_default().trim_start_matches("www.");
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let scheme = self.url.scheme();
        if self.is_hosted() {
            format!("{scheme}://api.{host}{port}")
        } else {
            format!("{scheme}://{host}{port}/api/v3")
        }
    }

    /// Where the REST API keeps what belongs to the owner.
    pub fn entity_api(&self) -> String {
        let path = match &self.entity {
            Entity::Repository { owner, name } => format!("repos/{owner}/{name}"),
            Entity::Organization(name) => format!("orgs/{name}"),
            Entity::Enterprise(name) => format!("enterprises/{name}"),
        };
        format!("{}/{path}", self.api())
    }
}

impl Entity {
    fn path(&self) -> String {
        match self {
            Self::Repository { owner, name } => format!("/{owner}/{name}"),
            Self::Organization(name) => format!("/{name}"),
            Self::Enterprise(name) => format!("/enterprises/{name}"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url())
    }
}

impl TryFrom<String> for Scope {
    type Error = GitHubError;

    fn try_from(text: String) -> Result<Self, GitHubError> {
        Self::parse(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.url.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_owner_and_api() {
        for (url, api) in [
            ("https://github.com/o/r", "https://api.github.com/repos/o/r"),
            ("https://github.com/o/r.git/", "https://api.github.com/repos/o/r"),
            ("https://www.github.com/o", "https://api.github.com/orgs/o"),
            ("https://github.com/orgs/o", "https://api.github.com/orgs/o"),
            ("https://x.ghe.com/enterprises/e", "https://api.x.ghe.com/enterprises/e"),
            ("https://git.example.org:8443/o/r", "https://git.example.org:8443/api/v3/repos/o/r"),
            ("http://127.0.0.1:9000/o/r", "http://127.0.0.1:9000/api/v3/repos/o/r"),
        ] {
            assert_eq!(Scope::parse(url).unwrap().entity_api(), api, "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused_with_the_reason() {
        for (url, said) in [
            ("github.com/o/r", "relative URL"),
            ("http://github.com/o/r", "https://"),
            ("https://me:secret@github.com/o/r", "login"),
            ("https://github.com/", "names no repository"),
            ("https://github.com/o/r/issues", "names no repository"),
        ] {
            let error = Scope::parse(url).unwrap_err().to_string();
            assert!(error.contains(said), "{url}: {error}");
        }
    }
}

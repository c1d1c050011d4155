//! Logins for registries from Docker's `config.json`. It is only read: a credential helper it names is never run.

use std::{collections::HashMap, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bollard::auth::DockerCredentials;
use runspan_engine::RegistryLogin;
use serde::Deserialize;

/// What `config.json` says of registries.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Logins {
    auths: HashMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl Logins {
    /// Those of a directory such as `~/.docker`; none where there is no readable file.
    pub(crate) fn read(config: &Path) -> Self {
        std::fs::read(config.join("config.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// The login for a registry.
    pub(crate) fn find(&self, registry: &str) -> Option<DockerCredentials> {
        let auth = self.auths.iter().find(|(key, _)| host(key) == hub(registry)).map(|(_, auth)| auth)?;
        let (username, password) = auth.pair()?;
        let identitytoken = Some(&auth.identitytoken).filter(|token| !token.is_empty()).cloned();
        Some(DockerCredentials { identitytoken, ..credentials(registry, username, password) })
    }

    /// The credential helper that `docker` would run for a registry.
    pub(crate) fn helper(&self, registry: &str) -> Option<&str> {
        self.cred_helpers
            .iter()
            .find(|(key, _)| host(key) == hub(registry))
            .map(|(_, helper)| helper)
            .or(self.creds_store.as_ref())
            .map(String::as_str)
            .filter(|helper| !helper.is_empty())
    }
}

impl Auth {
    fn pair(&self) -> Option<(String, String)> {
        if self.auth.is_empty() {
            let named = !self.username.is_empty() || !self.identitytoken.is_empty();
            return named.then(|| (self.username.clone(), self.password.clone()));
        }
        let decoded = String::from_utf8(STANDARD.decode(self.auth.trim()).ok()?).ok()?;
        let (username, password) = decoded.split_once(':')?;
        Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
    }
}

/// A project's own login.
pub(crate) fn given(registry: &str, login: &RegistryLogin) -> DockerCredentials {
    credentials(registry, login.username.clone(), login.password.reveal().to_owned())
}

fn credentials(registry: &str, username: String, password: String) -> DockerCredentials {
    DockerCredentials {
        username: Some(username),
        password: Some(password),
        serveraddress: Some(hub(registry).to_owned()),
        ..DockerCredentials::default()
    }
}

/// Docker Hub goes by several names.
fn hub(host: &str) -> &str {
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

/// Keys are hosts, or addresses as in `https://index.docker.io/v1/`.
fn host(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    hub(key.split('/').next().unwrap_or(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(json: &str) -> Logins {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), json).unwrap();
        Logins::read(dir.path())
    }

    #[test]
    fn a_login_is_found_under_each_spelling_of_its_registry() {
        let logins = logins(
            r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dXNlcjpwOmFzcw=="},
                          "reg.example:5000": {"username": "u", "password": "p"},
                          "token.example": {"auth": "", "identitytoken": "t"}, "broken.example": {"auth": "%%"}}}"#,
        );
        let pair = |registry: &str| {
            let found = logins.find(registry)?;
            Some((found.username?, found.password?))
        };
        assert_eq!(pair("docker.io"), Some(("user".into(), "p:ass".into())));
        assert_eq!(pair("reg.example:5000"), Some(("u".into(), "p".into())));
        assert_eq!(logins.find("token.example").unwrap().identitytoken.as_deref(), Some("t"));
        assert_eq!(pair("broken.example"), None);
        assert_eq!(pair("reg.example"), None);
    }

    #[test]
    fn helpers_are_named_and_never_run() {
        let logins =
            logins(r#"{"credsStore": "desktop", "credHelpers": {"reg.example": "/bin/false; echo"}}"#);
        assert_eq!(logins.helper("reg.example"), Some("/bin/false; echo"));
        assert_eq!(logins.helper("docker.io"), Some("desktop"));
        assert!(logins.find("reg.example").is_none());
    }

    #[test]
    fn a_broken_file_is_no_login() {
        assert!(logins("{").find("docker.io").is_none());
    }
}

//! Logins for registries from Docker's `config.json`. It is only read: a credential helper it names is never run.

use std::{collections::HashMap, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use runspan_agent_protocol::Secret;
use serde::Deserialize;

use crate::RegistryLogin;

/// How one registry knows us.
#[derive(Clone, Debug)]
pub struct Login {
    /// User name and password.
    pub login: RegistryLogin,
    /// A token that stands in for the password where there is one.
    pub identity_token: Option<Secret>,
}

/// What `config.json` says of registries.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Logins {
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
    pub fn read(config: &Path) -> Self {
        std::fs::read(config.join("config.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// The login for a registry.
    pub fn find(&self, registry: &str) -> Option<Login> {
        let auth = self.auths.iter().find(|(key, _)| host(key) == hub(registry)).map(|(_, auth)| auth)?;
        let (username, password) = auth.pair()?;
        let token = Some(&auth.identitytoken).filter(|token| !token.is_empty());
        Some(Login {
            login: RegistryLogin { username, password: Secret::new(password) },
            identity_token: token.map(Secret::new),
        })
    }

    /// The credential helper that `docker` would run for a registry.
    pub fn helper(&self, registry: &str) -> Option<&str> {
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
            let RegistryLogin { username, password } = logins.find(registry)?.login;
            Some((username, password.reveal().to_owned()))
        };
        assert_eq!(pair("docker.io"), Some(("user".into(), "p:ass".into())));
        assert_eq!(pair("reg.example:5000"), Some(("u".into(), "p".into())));
        let token = logins.find("token.example").unwrap().identity_token.unwrap();
        assert_eq!(token.reveal(), "t");
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

//! Where an engine may listen, as the `docker` command finds it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// An address and who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// As in `unix:///var/run/docker.sock`.
    pub(crate) url: String,
    /// Who named it, for messages.
    pub(crate) named_by: String,
}

impl Endpoint {
    pub(crate) fn new(url: impl Into<String>, named_by: impl Into<String>) -> Self {
        Self { url: url.into(), named_by: named_by.into() }
    }

    /// The path of a unix socket.
    pub(crate) fn socket(&self) -> Option<&str> {
        self.url.strip_prefix("unix://")
    }
}

/// The environment, so that tests need not change the process's own.
pub(crate) type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// The endpoints to try, in order: `DOCKER_HOST`, else the current docker context, else the usual sockets of
/// Docker and podman. An explicit choice is the only candidate.
pub(crate) fn candidates(environment: Environment<'_>) -> Result<Vec<Endpoint>, String> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    if let Some(host) = set("DOCKER_HOST") {
        return Ok(vec![Endpoint::new(host, "DOCKER_HOST")]);
    }
    let config = config_dir(environment);
    let context = set("DOCKER_CONTEXT")
        .or_else(|| config.as_deref().and_then(|dir| Config::read(dir).ok()).and_then(|c| c.current_context))
        .filter(|name| name != "default");
    if let Some(name) = context {
        let host = config.as_deref().and_then(|dir| context_host(dir, &name));
        return match host {
            Some(host) => Ok(vec![Endpoint::new(host, format!("docker context {name}"))]),
            None => Err(format!("docker context {name} is not known")),
        };
    }
    let mut sockets = vec!["/var/run/docker.sock".to_owned()];
    if let Some(runtime) = set("XDG_RUNTIME_DIR") {
        sockets.push(format!("{runtime}/docker.sock"));
        sockets.push(format!("{runtime}/podman/podman.sock"));
    }
    sockets.push("/run/podman/podman.sock".to_owned());
    Ok(sockets.into_iter().map(|path| Endpoint::new(format!("unix://{path}"), "default")).collect())
}

/// The directory of Docker's own settings.
pub(crate) fn config_dir(environment: Environment<'_>) -> Option<PathBuf> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")))
}

/// What we read of `config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    current_context: Option<String>,
}

impl Config {
    fn read(dir: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(dir.join("config.json"))?)?)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    name: String,
    endpoints: ContextEndpoints,
}

#[derive(Deserialize)]
struct ContextEndpoints {
    docker: ContextEndpoint,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    host: String,
}

/// The address of a context, from `contexts/meta/<hash>/meta.json`.
fn context_host(config: &Path, name: &str) -> Option<String> {
    std::fs::read_dir(config.join("contexts/meta"))
        .ok()?
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("meta.json")).ok())
        .filter_map(|text| serde_json::from_slice::<Context>(&text).ok())
        .find(|context| context.name == name)
        .map(|context| context.endpoints.docker.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        move |name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    fn urls(environment: Environment<'_>) -> Vec<String> {
        candidates(environment).unwrap().into_iter().map(|endpoint| endpoint.url).collect()
    }

    #[test]
    fn docker_host_is_the_only_candidate() {
        let environment = with(&[("DOCKER_HOST", "unix:///x.sock"), ("DOCKER_CONTEXT", "other")]);
        assert_eq!(urls(&environment), ["unix:///x.sock"]);
    }

    #[test]
    fn docker_comes_before_podman() {
        let environment = with(&[("XDG_RUNTIME_DIR", "/run/user/7"), ("DOCKER_HOST", "")]);
        assert_eq!(
            urls(&environment),
            [
                "unix:///var/run/docker.sock",
                "unix:///run/user/7/docker.sock",
                "unix:///run/user/7/podman/podman.sock",
                "unix:///run/podman/podman.sock"
            ]
        );
    }

    #[test]
    fn the_current_context_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let meta = dir.path().join("contexts/meta/abc");
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(dir.path().join("config.json"), r#"{"currentContext":"lab","auths":{}}"#).unwrap();
        std::fs::write(
            meta.join("meta.json"),
            r#"{"Name":"lab","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://10.0.0.1:2375","SkipTLSVerify":false}}}"#,
        )
        .unwrap();
        let config = dir.path().to_str().unwrap();
        assert_eq!(urls(&with(&[("DOCKER_CONFIG", config)])), ["tcp://10.0.0.1:2375"]);
        assert_eq!(urls(&with(&[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", "default")])).len(), 2);
        let unknown = candidates(&with(&[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", "gone")]));
        assert_eq!(unknown.unwrap_err(), "docker context gone is not known");
    }
}

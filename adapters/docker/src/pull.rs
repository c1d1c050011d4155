//! Makes an image available: the local one, else a pull.

use std::{collections::HashMap, path::Path};

use bollard::{
    auth::DockerCredentials,
    errors::Error,
    models::{CreateImageInfo, HealthConfig, ImageInspect},
    query_parameters::CreateImageOptions,
};
use futures_util::StreamExt;
use runspan_agent_protocol::{Health, HealthChange, HealthChoice, Program, health_command};
use runspan_engine::image::{Curated, ImageName, Login, Logins, Version};
use runspan_engine::{ExecutorError, Progress, RegistryLogin};

use crate::engine::{self, Engine};

/// An image the engine has.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The name to create containers of.
    pub(crate) name: String,
    /// Its id.
    pub(crate) id: String,
    /// Paths it declares as volumes.
    pub(crate) volumes: Vec<String>,
    /// Whether it declares a health check.
    pub(crate) has_health_check: bool,
    /// What it runs by itself.
    pub(crate) program: Program,
}

impl Engine {
    /// The image as configured; pulled when the engine does not have it.
    pub(crate) async fn has(&self, configured: &str) -> Result<bool, ExecutorError> {
        let Ok(configured) = ImageName::parse(configured) else { return Ok(false) };
        if self.local(&configured).await?.is_some() {
            return Ok(true);
        }
        match configured.curated() {
            Some(Curated::Public(public)) => Ok(self.local(&public).await?.is_some()),
            _ => Ok(false),
        }
    }

    pub(crate) async fn image(
        &self,
        configured: &str,
        login: Option<&RegistryLogin>,
        docker_config: Option<&Path>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Image, ExecutorError> {
        let configured = ImageName::parse(configured).map_err(|reason| ExecutorError::Image { reason })?;
        if let Some(image) = self.local(&configured).await? {
            return Ok(image);
        }
        let source = match configured.curated() {
            None => configured,
            Some(Curated::Public(public)) => match self.local(&public).await? {
                Some(image) => return Ok(image),
                None => public,
            },
            Some(Curated::Private) => {
                return Err(ExecutorError::Image { reason: configured.not_published() });
            }
        };
        self.pull(&source, login, docker_config, progress).await?;
        self.local(&source).await?.ok_or_else(|| ExecutorError::Image {
            reason: format!("{source} was pulled and is not there; was it removed meanwhile?"),
        })
    }

    pub(crate) async fn local(&self, name: &ImageName) -> Result<Option<Image>, ExecutorError> {
        match self.docker.inspect_image(&name.to_string()).await {
            Ok(found) => Ok(Some(Image::new(name, found))),
            Err(error) if engine::status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.failure(&format!("looking for image {name}"), &error)),
        }
    }

    async fn pull(
        &self,
        name: &ImageName,
        login: Option<&RegistryLogin>,
        docker_config: Option<&Path>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), ExecutorError> {
        let registry = name.registry();
        let logins = docker_config.map(Logins::read).unwrap_or_default();
        let login = login.map(|login| Login { login: login.clone(), identity_token: None });
        let credentials = login.or_else(|| logins.find(registry)).map(|login| credentials(registry, login));
        let anonymous = credentials.is_none();
        let version = match &name.version {
            Some(Version::Tag(version) | Version::Digest(version)) => version.clone(),
            // Without a tag the engine would pull every tag there is.
            None => "latest".into(),
        };
        let options = CreateImageOptions {
            from_image: Some(name.repository.clone()),
            tag: Some(version),
            ..CreateImageOptions::default()
        };
        let mut layers = Layers::default();
        let mut stream = self.docker.create_image(Some(options), None, credentials);
        while let Some(step) = stream.next().await {
            match step {
                Ok(info) => {
                    if layers.apply(info) {
                        progress(layers.progress());
                    }
                }
                Err(error)
                    if engine::is_unreachable(&error) && !matches!(error, Error::RequestTimeoutError) =>
                {
                    return Err(self.failure(&format!("pulling {name}"), &error));
                }
                Err(error) => {
                    let mut reason = format!("Error response from daemon: {}", engine::words(&error));
                    if anonymous && let Some(helper) = logins.helper(registry) {
                        reason = format!(
                            "{reason} (Docker's settings name the credential helper {helper:?} for {registry}; \
                             helpers are never run: give the project a registryCredential)"
                        );
                    } else if wants_login(&reason) {
                        reason += &if anonymous {
                            format!(
                                " (give the project a registryCredential, or run `docker login {registry}`)"
                            )
                        } else {
                            format!(" ({registry} refuses the login that there is)")
                        };
                    }
                    return Err(ExecutorError::Image { reason });
                }
            }
        }
        Ok(())
    }
}

impl Image {
    fn new(name: &ImageName, found: ImageInspect) -> Self {
        let config = found.config.unwrap_or_default();
        Self {
            name: name.to_string(),
            id: found.id.unwrap_or_default(),
            volumes: config.volumes.unwrap_or_default(),
            has_health_check: config.healthcheck.is_some(),
            program: Program {
                entrypoint: config.entrypoint.unwrap_or_default(),
                command: config.cmd.unwrap_or_default(),
                user: config.user.unwrap_or_default(),
                directory: config.working_dir.unwrap_or_default(),
                health: config.healthcheck.and_then(health),
            },
        }
    }
}

/// Whether these words of the engine are about a login.
fn wants_login(reason: &str) -> bool {
    ["no basic auth credentials", "unauthorized", "authentication required", "access denied", "docker login"]
        .iter()
        .any(|words| reason.contains(words))
}

/// The check that an image declares.
fn health(declared: HealthConfig) -> Option<Health> {
    let command = health_command(declared.test?)?;
    let milliseconds = |nanoseconds: Option<i64>| {
        nanoseconds.and_then(|count| u64::try_from(count).ok()).map_or(0, |count| count / 1_000_000)
    };
    let choice = HealthChoice::Changed(HealthChange {
        command: Some(command),
        interval_ms: Some(milliseconds(declared.interval)),
        timeout_ms: Some(milliseconds(declared.timeout)),
        start_period_ms: Some(milliseconds(declared.start_period)),
        retries: declared.retries.and_then(|count| u32::try_from(count).ok()),
    });
    choice.settled(None)
}

fn credentials(registry: &str, login: Login) -> DockerCredentials {
    DockerCredentials {
        username: Some(login.login.username),
        password: Some(login.login.password.reveal().to_owned()),
        serveraddress: Some(registry.to_owned()),
        identitytoken: login.identity_token.map(|token| token.reveal().to_owned()),
        ..DockerCredentials::default()
    }
}

/// The bytes of a pull, layer by layer.
#[derive(Debug, Default)]
struct Layers {
    downloads: HashMap<String, Download>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Download {
    done: u64,
    total: Option<u64>,
}

impl Layers {
    /// Takes one message in; whether the sums may have changed.
    fn apply(&mut self, info: CreateImageInfo) -> bool {
        let (Some(layer), Some(status)) = (info.id, info.status) else { return false };
        let detail = info.progress_detail.unwrap_or_default();
        let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        match status.as_str() {
            "Pulling fs layer" => {
                self.downloads.entry(layer).or_default();
            }
            "Downloading" => {
                let done = bytes(detail.current).unwrap_or(0);
                let total = bytes(detail.total).filter(|total| *total > 0);
                self.downloads.insert(layer, Download { done, total });
            }
            "Download complete" => match self.downloads.get_mut(&layer) {
                Some(Download { done, total: Some(total) }) => *done = *total,
                // Too small to have been reported while it came.
                Some(download) => download.total = Some(download.done),
                None => return false,
            },
            _ => return false,
        }
        true
    }

    fn progress(&self) -> Progress {
        Progress::Pulling {
            done: self.downloads.values().map(|layer| layer.done).sum(),
            total: self.downloads.values().map(|layer| layer.total).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_add_up_and_the_total_waits_for_the_last_one() {
        let mut layers = Layers::default();
        let mut step = |line: &str| {
            let changed = layers.apply(serde_json::from_str(line).unwrap());
            (changed, layers.progress())
        };
        let pulling = |done, total| Progress::Pulling { done, total };
        assert!(!step(r#"{"status":"Pulling from library/busybox","id":"latest"}"#).0);
        step(r#"{"status":"Pulling fs layer","progressDetail":{},"id":"a"}"#);
        step(r#"{"status":"Pulling fs layer","progressDetail":{},"id":"b"}"#);
        let (_, seen) =
            step(r#"{"status":"Downloading","progressDetail":{"current":10,"total":100},"id":"a"}"#);
        assert_eq!(seen, pulling(10, None));
        let (_, seen) =
            step(r#"{"status":"Downloading","progressDetail":{"current":1,"total":40},"id":"b"}"#);
        assert_eq!(seen, pulling(11, Some(140)));
        let (_, seen) = step(r#"{"status":"Download complete","progressDetail":{},"id":"a"}"#);
        assert_eq!(seen, pulling(101, Some(140)));
        // Unpacking counts the same bytes again.
        assert!(!step(r#"{"status":"Extracting","progressDetail":{"current":7,"total":100},"id":"a"}"#).0);
    }
}

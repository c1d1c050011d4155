//! Takes things away again: an attempt's, or all that nobody owns.

use std::{collections::HashMap, time::Duration};

use bollard::{
    errors::Error,
    query_parameters::{
        ListContainersOptions, ListImagesOptions, ListNetworksOptions, ListVolumesOptions,
        RemoveContainerOptions, RemoveImageOptions, RemoveVolumeOptions,
    },
};
use runspan_engine::ExecutorError;

use crate::{ATTEMPT_LABEL, engine, engine::Engine};

/// A removal that meets another removal, or a mount not yet let go, is tried this often.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(250);

/// Something of ours on the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    /// What the engine removes it by.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) attempt: String,
    /// Whether it is a container that runs.
    pub(crate) running: bool,
}

/// In the order they must be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Container,
    Network,
    Volume,
    Image,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Image => "image",
        })
    }
}

impl Engine {
    /// All that carries our label, or only what an attempt has of it; containers first.
    pub(crate) async fn resources(&self, attempt: Option<&str>) -> Result<Vec<Resource>, ExecutorError> {
        let label = match attempt {
            Some(attempt) => format!("{ATTEMPT_LABEL}={attempt}"),
            None => ATTEMPT_LABEL.to_owned(),
        };
        let filters = Some(HashMap::from([("label".to_owned(), vec![label])]));
        let containers = ListContainersOptions { all: true, filters: filters.clone(), ..Default::default() };
        let networks = ListNetworksOptions { filters: filters.clone() };
        let volumes = ListVolumesOptions { filters: filters.clone() };
        let images = ListImagesOptions { filters, ..Default::default() };
        let (containers, networks, volumes, images) = tokio::try_join!(
            self.docker.list_containers(Some(containers)),
            self.docker.list_networks(Some(networks)),
            self.docker.list_volumes(Some(volumes)),
            self.docker.list_images(Some(images)),
        )
        .map_err(|error| self.failure("listing what builds left", &error))?;
        let found =
            |kind, id: Option<String>, name: Option<String>, labels: Option<HashMap<_, _>>, running| {
                let id = id?;
                let name = name.unwrap_or_else(|| id.clone());
                let attempt = labels?.remove(ATTEMPT_LABEL)?;
                Some(Resource { kind, id, name, attempt, running })
            };
        let containers = containers.into_iter().filter_map(|one| {
            let name = one.names.and_then(|names| Some(names.first()?.trim_start_matches('/').to_owned()));
            let running = one.state.is_some_and(|state| state.to_string() == "running");
            found(Kind::Container, one.id, name, one.labels, running)
        });
        let networks =
            networks.into_iter().filter_map(|one| found(Kind::Network, one.id, one.name, one.labels, false));
        let volumes = volumes.volumes.into_iter().flatten().filter_map(|one| {
            found(Kind::Volume, Some(one.name.clone()), Some(one.name), Some(one.labels), false)
        });
        let images = images.into_iter().filter_map(|one| {
            found(Kind::Image, Some(one.id), one.repo_tags.into_iter().next(), Some(one.labels), false)
        });
        Ok(containers.chain(networks).chain(volumes).chain(images).collect())
    }

    /// Removes one thing; not an error when it is gone.
    pub(crate) async fn remove(&self, kind: Kind, id: &str) -> Result<(), ExecutorError> {
        for attempt in 1.. {
            let removed = match kind {
                Kind::Container => {
                    let options = RemoveContainerOptions { force: true, v: true, link: false };
                    self.docker.remove_container(id, Some(options)).await
                }
                Kind::Network => self.docker.remove_network(id).await,
                Kind::Volume => self.docker.remove_volume(id, None::<RemoveVolumeOptions>).await,
                Kind::Image => {
                    let options = RemoveImageOptions { force: true, ..Default::default() };
                    self.docker.remove_image(id, Some(options), None).await.map(drop)
                }
            };
            match removed {
                Ok(()) => break,
                Err(error) if engine::status(&error) == Some(404) => break,
                Err(error) if attempt < TRIES && may_pass(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(self.failure(&format!("removing {kind} {id}"), &error)),
            }
        }
        Ok(())
    }
}

/// Refusals that end by themselves: a removal under way, endpoints or mounts still held.
fn may_pass(error: &Error) -> bool {
    matches!(engine::status(error), Some(403 | 409 | 500))
}

//! What `combineArtifacts` asks for: which artifacts of the builds become which of the batch.

use std::path::{Path, PathBuf};

use super::{BuildBatch, BuildSummary};
use crate::artifacts::{self, ArtifactError, Packaging, Part, Stored};
use crate::build::BuildArtifacts;
use crate::plan::{Bucket, bucket};
use crate::project::{ArtifactPackaging, NamespaceType, ProjectArtifacts};
use crate::request::BuildRequest;

/// An artifact of the batch to be made.
pub(super) struct Combined {
    identifier: Option<String>,
    parts: Vec<Part>,
    packaging: Packaging,
    key: String,
    bucket: Option<Bucket>,
}

/// One that is made.
pub(super) struct Made {
    pub(super) artifact: BuildArtifacts,
    pub(super) stored: Stored,
    pub(super) bucket: Option<Bucket>,
    pub(super) key: String,
    pub(super) packaging: ArtifactPackaging,
}

/// The primary artifact and each secondary one, where builds made some and the project wants them combined.
pub(super) fn combined(request: &BuildRequest, batch: &BuildBatch) -> Vec<Combined> {
    let project = &request.project;
    if project.build_batch_config.as_ref().and_then(|config| config.combine_artifacts) != Some(true) {
        return Vec::new();
    }
    let mut all: Vec<Combined> = Vec::new();
    for group in &batch.build_groups {
        for made in group.current_build_summary.iter().flat_map(BuildSummary::artifacts) {
            let part = Part { identifier: group.identifier.clone(), location: PathBuf::from(made.local()) };
            let identifier = made.artifact_identifier.as_deref();
            if let Some(known) = all.iter_mut().find(|known| known.identifier.as_deref() == identifier) {
                known.parts.push(part);
                continue;
            }
            let settings = match identifier {
                None => project.artifacts.as_ref(),
                Some(_) => project
                    .secondary_artifacts
                    .iter()
                    .find(|settings| settings.artifact_identifier.as_deref() == identifier),
            };
            let (packaging, key) = target(settings, identifier, &part, batch);
            all.push(Combined {
                identifier: identifier.map(str::to_owned),
                parts: vec![part],
                packaging,
                key,
                bucket: settings.and_then(|settings| bucket(request, settings)),
            });
        }
    }
    all
}

/// The batch's place follows the project's settings, as a build's does; without any it is packed as its first part is.
fn target(
    settings: Option<&ProjectArtifacts>,
    identifier: Option<&str>,
    first: &Part,
    batch: &BuildBatch,
) -> (Packaging, String) {
    let Some(settings) = settings else {
        let name = identifier.unwrap_or(&batch.project_name);
        return if first.location.is_file() {
            (Packaging::Zip, format!("{name}.zip"))
        } else {
            (Packaging::None, name.to_owned())
        };
    };
    let packaging = match settings.packaging {
        ArtifactPackaging::None => Packaging::None,
        ArtifactPackaging::Zip => Packaging::Zip,
    };
    let namespace = match settings.namespace_type {
        NamespaceType::None => artifacts::NamespaceType::None,
        NamespaceType::BuildId => artifacts::NamespaceType::BuildId(batch.id.uuid()),
    };
    let name = settings.name.as_deref().unwrap_or(&batch.project_name);
    (packaging, artifacts::object_key(settings.path.as_deref().unwrap_or_default(), namespace, name))
}

impl Combined {
    pub(super) fn make(self, directory: &Path) -> Result<Made, ArtifactError> {
        let (stored, files) = artifacts::combine(&self.parts, self.packaging, directory, &self.key)?;
        let artifact = BuildArtifacts {
            location: stored.path.display().to_string(),
            sha256sum: stored.sha256.clone(),
            md5sum: stored.md5.clone(),
            artifact_identifier: self.identifier,
            files,
            bytes: stored.bytes,
            ..BuildArtifacts::default()
        };
        let packaging = match self.packaging {
            Packaging::None => ArtifactPackaging::None,
            Packaging::Zip => ArtifactPackaging::Zip,
        };
        Ok(Made { artifact, stored, bucket: self.bucket, key: self.key, packaging })
    }
}

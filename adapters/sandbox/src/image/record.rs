//! What a store knows of its names, images and layers: small JSON files, each written whole.

use std::fs;
use std::io;
use std::path::Path;

use runspan_agent_protocol::Health;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ImageError;
use super::digest::Digest;
use super::layout::{Layout, failed};

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    /// The digest of its configuration.
    pub(super) id: Digest,
    /// Its layers, the lowest first, none twice.
    pub(super) layers: Vec<Digest>,
    /// What it says about its processes.
    pub(super) config: ImageConfig,
}

/// What an image says about its processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// `NAME=value`.
    pub env: Vec<String>,
    /// `user[:group]`, by name or number; empty for root.
    pub user: String,
    /// Empty for `/`.
    pub working_dir: String,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub cmd: Vec<String>,
    /// `HEALTHCHECK`.
    pub health: Option<Health>,
}

/// A name of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NameRecord {
    /// The name, in full.
    pub(super) name: String,
    /// Which image it means.
    pub(super) image: Digest,
    /// For a file: what it looked like when it was read.
    pub(super) stamp: Option<String>,
}

impl NameRecord {
    /// A name that a registry or an archive gives an image.
    pub(super) fn plain(name: String, image: &ImageRecord) -> Self {
        Self { name, image: image.id.clone(), stamp: None }
    }
}

/// A layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerRecord {
    /// Bytes of its files.
    pub(super) bytes: u64,
    /// How many files.
    pub(super) files: u64,
}

/// The directory of a layer's files.
pub(super) const FILES: &str = "fs";
/// The record of a layer, beside its files.
pub(super) const LAYER: &str = "layer.json";

impl Layout {
    pub(super) fn read_name(&self, name: &str) -> Result<Option<NameRecord>, ImageError> {
        read(&self.name(name))
    }

    pub(super) fn read_image(&self, id: &Digest) -> Result<Option<ImageRecord>, ImageError> {
        read(&self.image(id))
    }

    pub(super) fn read_layer(&self, diff_id: &Digest) -> Result<Option<LayerRecord>, ImageError> {
        read(&self.layer(diff_id).join(LAYER))
    }

    pub(super) fn write_name(&self, record: &NameRecord) -> Result<(), ImageError> {
        self.write(&self.name(&record.name), &json(record))
    }

    pub(super) fn write_image(&self, record: &ImageRecord) -> Result<(), ImageError> {
        self.write(&self.image(&record.id), &json(record))
    }

    pub(super) fn all_names(&self) -> Result<Vec<NameRecord>, ImageError> {
        read_all(&self.names())
    }

    pub(super) fn all_images(&self) -> Result<Vec<ImageRecord>, ImageError> {
        read_all(&self.images())
    }
}

pub(super) fn json(record: &impl Serialize) -> Vec<u8> {
    // These types always can be: text, numbers and lists.
    serde_json::to_vec(record).unwrap_or_default()
}

/// A record; one that cannot be read counts as none, and is made anew.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ImageError> {
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(failed("read", path)(error)),
    }
}

fn read_all<T: DeserializeOwned>(directory: &Path) -> Result<Vec<T>, ImageError> {
    let entries = fs::read_dir(directory).map_err(failed("list", directory))?;
    let mut records = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", directory))?;
        records.extend(read(&entry.path())?);
    }
    Ok(records)
}

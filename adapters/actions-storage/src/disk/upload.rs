//! What arrives: whole, in named blocks, or in pieces with offsets.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::entry::{DATA, Target};
use super::files::{make_dir, read_json, remove_dir, write_json};
use crate::error::StorageError;

/// Blocks of one upload; Azure allows no more.
const MOST_BLOCKS: usize = 50_000;
/// Of a block's name, in bytes.
const LONGEST_BLOCK_ID: usize = 96;

/// The number of an upload, which nobody can aim at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UploadId(pub(crate) u64);

/// An upload that is not finished.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Upload {
    pub(crate) target: Target,
    /// Who uploads.
    pub(crate) job: String,
}

/// The directory of an upload.
#[derive(Clone, Debug)]
pub(crate) struct Arriving(PathBuf);

impl Arriving {
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it, empty.
    pub(super) fn begin(&self, upload: &Upload) -> Result<(), StorageError> {
        remove_dir(&self.0)?;
        make_dir(&self.0.join("blocks"))?;
        write_json(&self.0.join("upload.json"), upload)
    }

    /// What it is an upload of; nothing when there is none.
    pub(crate) fn upload(&self) -> Result<Option<Upload>, StorageError> {
        read_json(&self.0.join("upload.json"))
    }

    /// A file for bytes that arrive, which counts only once it is settled.
    pub(crate) fn part(&self) -> PathBuf {
        self.0.join(format!("part-{}", uuid::Uuid::new_v4()))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join(DATA)
    }

    /// Takes a part for the whole.
    pub(crate) fn settle_whole(&self, part: &Path) -> Result<(), StorageError> {
        fs::rename(part, self.data()).map_err(StorageError::disk("rename", part))
    }

    /// Takes a part for a block; the last of a name counts.
    pub(crate) fn settle_block(&self, part: &Path, id: &str) -> Result<(), StorageError> {
        let block = self.block(id)?;
        fs::rename(part, block).map_err(StorageError::disk("rename", part))
    }

    /// Makes the whole of blocks, in this order.
    pub(crate) fn join(&self, ids: &[String]) -> Result<(), StorageError> {
        if ids.len() > MOST_BLOCKS {
            return Err(StorageError::Invalid(format!("there are more than {MOST_BLOCKS} blocks")));
        }
        let list = self.0.join("joined.json");
        if self.data().exists() && read_json::<Vec<String>>(&list)?.as_deref() == Some(ids) {
            // The answer to the first call was lost.
            return Ok(());
        }
        let part = self.part();
        let mut whole = fs::File::create_new(&part).map_err(StorageError::disk("make", &part))?;
        for id in ids {
            let block = self.block(id)?;
            let mut from = match fs::File::open(&block) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(StorageError::Invalid(format!("there is no block `{id}`")));
                }
                opened => opened.map_err(StorageError::disk("open", &block))?,
            };
            // Between two files the kernel copies, or shares, by itself.
            io::copy(&mut from, &mut whole).map_err(StorageError::disk("write", &part))?;
            fs::remove_file(&block).map_err(StorageError::disk("remove", &block))?;
        }
        write_json(&list, &ids)?;
        self.settle_whole(&part)
    }

    /// Makes the whole of blocks whose names are offsets, in the order of the numbers.
    pub(crate) fn join_by_offset(&self) -> Result<(), StorageError> {
        let blocks = self.0.join("blocks");
        let listed = fs::read_dir(&blocks).map_err(StorageError::disk("list", &blocks))?;
        let names = listed.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut offsets: Vec<u64> = names.filter_map(|name| unhexed(&name)?.parse().ok()).collect();
        offsets.sort_unstable();
        let mut expected = 0;
        for offset in &offsets {
            let block = self.block(&offset.to_string())?;
            if *offset != expected {
                return Err(StorageError::Invalid(format!(
                    "the bytes from {expected} to {offset} are missing"
                )));
            }
            expected += fs::metadata(&block).map_err(StorageError::disk("look at", &block))?.len();
        }
        self.join(&offsets.iter().map(u64::to_string).collect::<Vec<_>>())
    }

    fn block(&self, id: &str) -> Result<PathBuf, StorageError> {
        if id.is_empty() || id.len() > LONGEST_BLOCK_ID {
            return Err(StorageError::Invalid(format!("`{id}` names no block")));
        }
        Ok(self.0.join("blocks").join(super::files::hex(id.as_bytes())))
    }
}

fn unhexed(name: &str) -> Option<String> {
    let digits = |place: usize| u8::from_str_radix(name.get(place..place + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..name.len()).step_by(2).map(digits).collect();
    String::from_utf8(bytes?).ok()
}

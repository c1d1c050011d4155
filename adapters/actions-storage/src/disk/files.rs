//! Files and their names.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256, digest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StorageError;

const PIECE: usize = 256 << 10;

/// A name of somebody else's, as a file name.
pub(crate) fn hashed(name: &str) -> String {
    hex(digest(&SHA256, name.as_bytes()).as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a file, and its length.
pub(crate) fn digest_of(path: &Path) -> io::Result<(String, u64)> {
    let mut file = fs::File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; PIECE];
    let mut length = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((hex(context.finish().as_ref()), length)),
            read => {
                context.update(&piece[..read]);
                length += read as u64;
            }
        }
    }
}

/// A value in a file; nothing when there is no file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StorageError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => {
            let bytes = read.map_err(StorageError::disk("read", path))?;
            let value = serde_json::from_slice(&bytes).map_err(io::Error::from);
            value.map(Some).map_err(StorageError::disk("understand", path))
        }
    }
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StorageError> {
    let bytes = serde_json::to_vec(value).map_err(io::Error::from);
    bytes.and_then(|bytes| fs::write(path, bytes)).map_err(StorageError::disk("write", path))
}

/// Removes a directory; no such directory is no error.
pub(crate) fn remove_dir(path: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StorageError::disk("remove", path)(error))
        }
        _ => Ok(()),
    }
}

pub(crate) fn make_dir(path: &Path) -> Result<(), StorageError> {
    fs::create_dir_all(path).map_err(StorageError::disk("make", path))
}

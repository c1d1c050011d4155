//! Streams from the agent, stored in a directory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use md5::Md5;
use runspan_archive::{ArchiveError, Beneath, Limits, Options, unpack_tar};
use rustix::fs::{CWD, renameat};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::ArtifactError;

/// `packaging`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packaging {
    /// A folder of files.
    #[default]
    None,
    /// One file.
    Zip,
}

/// A stored artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The file or folder.
    pub path: PathBuf,
    /// Bytes received.
    pub bytes: u64,
    /// Of a zip, as `sha256sum` prints it.
    pub sha256: Option<String>,
    /// Of a zip, as `md5sum` prints it.
    pub md5: Option<String>,
}

/// Stores a stream under the artifacts directory, made where absent: a zip as the file `key`, a tar stream as the
/// files of the folder `key`, where an empty key is the directory itself. As in S3, files of the same name are
/// replaced and others stay. Each file appears whole, and none does before all have arrived.
///
/// # Errors
/// [`ArtifactError`].
pub fn store(
    stream: &mut dyn Read,
    packaging: Packaging,
    directory: &Path,
    key: &str,
    limits: Limits,
) -> Result<Stored, ArtifactError> {
    let parts = parts(key, packaging)?;
    fs::create_dir_all(directory).map_err(|error| disk(directory, key, directory, error))?;
    let path = parts.iter().fold(directory.to_owned(), |path, part| path.join(part));
    match packaging {
        Packaging::Zip => store_file(stream, directory, key, &parts, path),
        Packaging::None => store_folder(stream, directory, key, &parts, path, limits),
    }
}

fn store_file(
    stream: &mut dyn Read,
    directory: &Path,
    key: &str,
    parts: &[&OsStr],
    path: PathBuf,
) -> Result<Stored, ArtifactError> {
    let fail = |error| disk(directory, key, &path, error);
    let temporary = tempfile::Builder::new().prefix(".runspan-").tempfile_in(directory).map_err(fail)?;
    let (mut file, temporary) = temporary.into_parts();
    let (mut sha256, mut md5, mut bytes) = (Sha256::new(), Md5::new(), 0);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(ArtifactError::Stream { name: key.to_owned(), source }),
        };
        sha256.update(&buffer[..read]);
        md5.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(fail)?;
        bytes += read as u64;
    }
    readable(&file).map_err(fail)?;
    let mut beneath = Beneath::open(directory, false).map_err(fail)?;
    move_into(&mut beneath, &temporary, parts).map_err(fail)?;
    let _ = temporary.keep();
    let (sha256, md5) = (Some(hex(&sha256.finalize())), Some(hex(&md5.finalize())));
    Ok(Stored { path, bytes, sha256, md5 })
}

fn store_folder(
    stream: &mut dyn Read,
    directory: &Path,
    key: &str,
    parts: &[&OsStr],
    path: PathBuf,
    limits: Limits,
) -> Result<Stored, ArtifactError> {
    let fail = |error| disk(directory, key, &path, error);
    let staging = tempfile::Builder::new().prefix(".runspan-").tempdir_in(directory).map_err(fail)?;
    let options = Options { symlinks: false, beside: true, limits, ..Options::default() };
    let unpacked = unpack_tar(stream, staging.path(), options).map_err(|source| {
        let name = key.to_owned();
        match source {
            source if source.is_disk_full() => {
                ArtifactError::DiskFull { directory: directory.to_owned(), name }
            }
            ArchiveError::Stream(source) => ArtifactError::Stream { name, source },
            source => ArtifactError::Unpack { name, source },
        }
    })?;
    let mut beneath = Beneath::open(directory, false).map_err(fail)?;
    beneath.directory(parts).map_err(fail)?;
    for entry in WalkDir::new(staging.path()).min_depth(1).sort_by_file_name() {
        let entry = entry.map_err(|error| fail(error.into()))?;
        if entry.file_type().is_file() {
            let below = entry.path().strip_prefix(staging.path()).unwrap_or(entry.path());
            let whole: Vec<&OsStr> = parts.iter().copied().chain(below.iter()).collect();
            move_into(&mut beneath, entry.path(), &whole)
                .map_err(|error| disk(directory, key, &path.join(below), error))?;
        }
    }
    Ok(Stored { path, bytes: unpacked.bytes, sha256: None, md5: None })
}

fn move_into(beneath: &mut Beneath, from: &Path, parts: &[&OsStr]) -> io::Result<()> {
    let (parent, name) = beneath.parent(parts)?;
    Ok(renameat(CWD, from, parent, name)?)
}

/// Temporary files are for their owner only; artifacts are as any file somebody makes.
fn readable(file: &File) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// The components of a key.
fn parts(key: &str, packaging: Packaging) -> Result<Vec<&OsStr>, ArtifactError> {
    let refuse = |reason| Err(ArtifactError::Name { name: key.to_owned(), reason });
    let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return refuse("it leads out of the artifacts directory");
    }
    if key.contains('\0') {
        return refuse("it holds a NUL");
    }
    if parts.iter().any(|part| part.len() > 255) {
        return refuse("a part of it is longer than 255 bytes");
    }
    if parts.is_empty() && packaging == Packaging::Zip {
        return refuse("a zip file needs a name");
    }
    Ok(parts.into_iter().map(OsStr::new).collect())
}

pub(super) fn disk(directory: &Path, key: &str, path: &Path, source: io::Error) -> ArtifactError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ArtifactError::DiskFull { directory: directory.to_owned(), name: key.to_owned() }
        }
        _ => ArtifactError::Disk { path: path.to_owned(), source },
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

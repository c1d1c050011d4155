//! A stream from the supervisor, unpacked.

use std::fs;
use std::path::{Path, PathBuf};

use runspan_agent_protocol::Unpack;
use runspan_archive::{Options, Owner, ReceiveFile, unpack_tar_telling};

use super::FilesError;
use super::fingerprint::{Names, Remembered};

/// What was unpacked.
#[derive(Debug)]
pub struct Unpacked {
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How everything stood then, where that was asked for and could be told for sure.
    pub remembered: Option<Remembered>,
}

/// Unpacks a tar stream.
///
/// Relative names never leave the directory; absolute ones are taken only when the request says so, and then keep
/// the owners of the stream unless the request names one.
///
/// # Errors
/// [`FilesError::Unpack`] and [`FilesError::UnknownUser`]; what was unpacked before stays.
pub fn unpack(reader: impl ReceiveFile, request: &Unpack) -> Result<Unpacked, FilesError> {
    let owner = match &request.owner {
        Some(user) => owner_of(user, Path::new("/etc/passwd"))?,
        None if request.absolute_names => Owner::Archive,
        None => Owner::Unpacker,
    };
    let options = Options {
        absolute_names: request.absolute_names,
        owner,
        mode_mask: 0o7777,
        beside: true,
        ..Options::default()
    };
    let directory = PathBuf::from(&request.directory);
    let mut names = Names::default();
    let unpacked = unpack_tar_telling(reader, &directory, options, &mut |name| names.add(name))
        .map_err(|source| FilesError::Unpack { directory: directory.clone(), source })?;
    let remembered = Remembered::of(&request.remember, &directory, &names);
    Ok(Unpacked { files: unpacked.files, bytes: unpacked.bytes, remembered })
}

fn owner_of(user: &str, passwd: &Path) -> Result<Owner, FilesError> {
    let unknown = || FilesError::UnknownUser(user.to_owned());
    let text = fs::read_to_string(passwd).map_err(|_| unknown())?;
    let entry = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(user))
            .then(|| Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?)))?
    });
    let (uid, gid) = entry.ok_or_else(unknown)?;
    Ok(Owner::User { uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_from_passwd() {
        let dir = tempfile::tempdir().unwrap();
        let passwd = dir.path().join("passwd");
        fs::write(&passwd, "root:x:0:0:root:/root:/bin/sh\nbuilder:x:1000:1001::/home/builder:/bin/sh\n")
            .unwrap();
        assert_eq!(owner_of("builder", &passwd).unwrap(), Owner::User { uid: 1000, gid: 1001 });
        assert!(matches!(owner_of("build", &passwd), Err(FilesError::UnknownUser(_))));
        assert!(matches!(owner_of("root", &dir.path().join("none")), Err(FilesError::UnknownUser(_))));
    }
}

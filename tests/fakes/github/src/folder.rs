//! A folder as the tree of a repository.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use crate::model::Files;

/// The files of a folder, without those of its `.git`.
///
/// # Errors
/// It cannot be read.
pub fn files_of(folder: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    walk(folder, "", &mut files)?;
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if prefix.is_empty() && name == ".git" {
            continue;
        }
        let path = format!("{prefix}{name}");
        let metadata = fs::metadata(entry.path())?;
        if metadata.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.insert(path, (fs::read(entry.path())?, metadata.permissions().mode() & 0o100 != 0));
        }
    }
    Ok(())
}

//! The artifacts of a batch's builds, made one.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use runspan_archive::{Limits, Options, TarWriter, unpack_zip, zip_time};
use walkdir::WalkDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::store::disk;
use super::{ArtifactError, Packaging, Stored, store};

/// What one build of a batch made.
#[derive(Clone, Debug)]
pub struct Part {
    /// Of its task.
    pub identifier: String,
    /// A folder or a zip file.
    pub location: PathBuf,
}

/// Stores the files of all parts as one artifact, and says how many there are. Each keeps its path; where those of
/// several tasks cannot be in one place, each stands in a folder named by its task.
///
/// # Errors
/// [`ArtifactError`].
pub fn combine(
    parts: &[Part],
    packaging: Packaging,
    directory: &Path,
    key: &str,
) -> Result<(Stored, u64), ArtifactError> {
    let fail = |error| disk(directory, key, directory, error);
    fs::create_dir_all(directory).map_err(fail)?;
    let unpacked = tempfile::Builder::new().prefix(".runspan-").tempdir_in(directory).map_err(fail)?;
    let mut files = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        files.extend(found(part, &unpacked.path().join(index.to_string()))?);
    }
    let names = names(&files);
    let mut packed = tempfile::tempfile_in(directory).map_err(fail)?;
    match packaging {
        Packaging::None => pack_tar(&mut packed, &files, &names)?,
        Packaging::Zip => pack_zip(&mut packed, &files, &names)?,
    }
    packed.rewind().map_err(fail)?;
    let stored = store(&mut packed, packaging, directory, key, Limits::default())?;
    Ok((stored, files.len() as u64))
}

struct Found<'a> {
    identifier: &'a str,
    below: PathBuf,
    path: PathBuf,
    metadata: Metadata,
}

impl Found<'_> {
    fn failed(&self, source: io::Error) -> ArtifactError {
        ArtifactError::Combine { identifier: self.identifier.to_owned(), path: self.path.clone(), source }
    }
}

/// The files of a part; those of a zip file come from `unpacked`. A link is never followed: it may lead anywhere here.
fn found<'a>(part: &'a Part, unpacked: &Path) -> Result<Vec<Found<'a>>, ArtifactError> {
    let fail = |source| ArtifactError::Combine {
        identifier: part.identifier.clone(),
        path: part.location.clone(),
        source,
    };
    let mut root = part.location.as_path();
    if fs::metadata(root).map_err(fail)?.is_file() {
        unpack_zip(File::open(root).map_err(fail)?, unpacked, Options::default())
            .map_err(|source| ArtifactError::Unpack { name: root.display().to_string(), source })?;
        root = unpacked;
    }
    let mut files = Vec::new();
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = entry.map_err(|error| fail(error.into()))?;
        if !entry.file_type().is_dir() {
            files.push(Found {
                identifier: &part.identifier,
                below: entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned(),
                metadata: entry.metadata().map_err(|error| fail(error.into()))?,
                path: entry.into_path(),
            });
        }
    }
    Ok(files)
}

/// Where each file goes. One that is set apart can meet another's path again, so this goes on until none does.
fn names(files: &[Found<'_>]) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = files.iter().map(|file| file.below.clone()).collect();
    let mut apart = vec![false; files.len()];
    loop {
        let mut at: HashMap<&Path, Vec<usize>> = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            at.entry(name).or_default().push(index);
        }
        let mut clashing = vec![false; files.len()];
        for (index, name) in names.iter().enumerate() {
            // A file is in the way of another's directory, too.
            for other in name.ancestors().filter_map(|above| at.get(above)).flatten().copied() {
                if files[other].identifier != files[index].identifier {
                    (clashing[index], clashing[other]) = (true, true);
                }
            }
        }
        let mut changed = false;
        for (index, file) in files.iter().enumerate() {
            if clashing[index] && !apart[index] {
                names[index] = Path::new(file.identifier).join(&file.below);
                apart[index] = true;
                changed = true;
            }
        }
        if !changed {
            return names;
        }
    }
}

fn pack_tar(to: &mut File, files: &[Found<'_>], names: &[PathBuf]) -> Result<(), ArtifactError> {
    let mut tar = TarWriter::new(io::BufWriter::new(to));
    for (file, name) in files.iter().zip(names).filter(|(file, _)| file.metadata.is_file()) {
        let sent = File::open(&file.path).and_then(|from| tar.file(name, &file.metadata, &from));
        sent.map_err(|error| file.failed(error))?;
    }
    let ended = tar.finish().map(drop);
    ended.map_err(|source| ArtifactError::Stream { name: "of the batch".into(), source })
}

fn pack_zip(to: &mut File, files: &[Found<'_>], names: &[PathBuf]) -> Result<(), ArtifactError> {
    let mut zip = ZipWriter::new(io::BufWriter::new(to));
    for (file, name) in files.iter().zip(names) {
        add(&mut zip, file, &name.to_string_lossy()).map_err(|error| file.failed(error))?;
    }
    let ended = zip.finish().map_err(io::Error::from).and_then(|mut to| to.flush());
    ended.map_err(|source| ArtifactError::Stream { name: "of the batch".into(), source })
}

fn add<W: Write + Seek>(zip: &mut ZipWriter<W>, file: &Found<'_>, name: &str) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .unix_permissions(file.metadata.mode() & 0o7777)
        .last_modified_time(zip_time(file.metadata.mtime()))
        .large_file(file.metadata.len() >= u64::from(u32::MAX) / 2);
    if file.metadata.is_symlink() {
        let target = fs::read_link(&file.path)?;
        zip.add_symlink(name, target.to_string_lossy(), options)?;
    } else {
        zip.start_file(name, options)?;
        io::copy(&mut File::open(&file.path)?, zip)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_paths_unless_two_tasks_want_one() {
        let dir = tempfile::tempdir().unwrap();
        let metadata = fs::metadata(dir.path()).unwrap();
        let of = |all: &[(&'static str, &str)]| {
            let files: Vec<_> = all
                .iter()
                .map(|(identifier, below)| Found {
                    identifier,
                    below: below.into(),
                    path: PathBuf::new(),
                    metadata: metadata.clone(),
                })
                .collect();
            let names = names(&files);
            names.iter().map(|name| name.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(&[("a", "x"), ("b", "y"), ("b", "d/x")]), "x y d/x");
        assert_eq!(of(&[("a", "x"), ("a", "y"), ("b", "x")]), "a/x y b/x");
        // A file where another has a directory.
        assert_eq!(of(&[("a", "x"), ("b", "x/y")]), "a/x b/x/y");
        // One that is set apart meets a third.
        assert_eq!(of(&[("a", "x"), ("b", "x"), ("c", "a/x")]), "a/x b/x c/a/x");
    }

    #[test]
    fn folders_and_zips_become_one() {
        let dir = tempfile::tempdir().unwrap();
        for (task, file) in [("a", "one"), ("b", "two")] {
            fs::create_dir_all(dir.path().join(task)).unwrap();
            fs::write(dir.path().join(task).join(file), task).unwrap();
            fs::write(dir.path().join(task).join("both"), task).unwrap();
        }
        let part = |name: &str| Part { identifier: name.into(), location: dir.path().join(name) };
        let to = dir.path().join("to");
        let (zip, files) = combine(&[part("a"), part("b")], Packaging::Zip, &to, "all.zip").unwrap();
        assert_eq!(files, 4);
        assert!(zip.sha256.is_some());
        let again = Part { identifier: "c".into(), location: zip.path };
        let (folder, files) = combine(&[again, part("b")], Packaging::None, &to, "all").unwrap();
        assert_eq!(files, 6);
        for (file, text) in
            [("one", "a"), ("a/both", "a"), ("b/both", "b"), ("c/two", "b"), ("b/two", "b"), ("both", "b")]
        {
            assert_eq!(fs::read_to_string(folder.path.join(file)).unwrap(), text, "{file}");
        }
        let gone = combine(&[part("gone")], Packaging::None, &to, "x").unwrap_err().to_string();
        assert!(gone.starts_with("cannot combine the artifact of gone"), "{gone}");
    }
}

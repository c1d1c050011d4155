//! Files found and sent.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runspan_agent_protocol::{Collect, CollectLog, Collected, Packaging};
use runspan_archive::{SendFile, Sent, TarWriter};

use super::names::{self, Named};
use super::walk::{Wanted, walk};
use super::zip_stream::write_zip;
use super::{FilesError, Found, Glob, Kind, Remembered};

/// Finds files and sends them, sorted by name, to the writer that `open` makes. Without files it is not called.
/// The source directory must be absolute. What stands as it is remembered is not sent, where the request says so.
///
/// Returns what was found and the writer, flushed.
///
/// # Errors
/// [`FilesError`]. Files that vanish, shrink or cannot be read are warnings.
pub fn collect<W: SendFile>(
    request: &Collect,
    source_dir: &Path,
    remembered: Option<&Remembered>,
    open: impl FnOnce() -> io::Result<W>,
    log: &mut dyn FnMut(&str),
) -> Result<(Collected, Option<W>), FilesError> {
    let mut collected = Collected::default();
    let files = search(request, source_dir, &mut collected, log)?;
    if request.log == CollectLog::Artifacts && !files.is_empty() {
        log(&format!("Found {} file(s)", files.len()));
    }
    if files.is_empty() {
        shorten(&mut collected.warnings);
        return Ok((collected, None));
    }
    if request.unless_unchanged
        && remembered.is_some_and(|remembered| remembered.holds(&request.files, &files))
    {
        collected.unchanged = true;
        return Ok((collected, None));
    }
    collected.files = files.iter().filter(|file| file.found.kind != Kind::Directory).count() as u64;
    let sink = Counted { to: open().map_err(FilesError::Send)?, bytes: 0 };
    let sink = match request.packaging {
        Packaging::Zip => write_zip(sink, &files, &mut collected)?,
        Packaging::Tar => write_tar(sink, &files, &mut collected)?,
    };
    collected.bytes = sink.bytes;
    shorten(&mut collected.warnings);
    Ok((collected, Some(sink.to)))
}

/// What these globs take as trees, under names of a cache; nothing when a part of it could not be looked at.
pub(super) fn trees(files: &[String], source_dir: &Path) -> Option<Vec<Named>> {
    let globs = globs(files, source_dir).ok()?;
    let walked = walk(&globs, Wanted::Trees, None);
    walked.warnings.is_empty().then(|| names::settle(names::absolute(walked.found, source_dir)))
}

/// Everything to send, under its name in the stream.
fn search(
    request: &Collect,
    source_dir: &Path,
    collected: &mut Collected,
    log: &mut dyn FnMut(&str),
) -> Result<Vec<Named>, FilesError> {
    let seconds = Some(request.search_seconds).filter(|seconds| *seconds > 0);
    let deadline = seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
    let mut say = |line: &dyn Fn() -> String| {
        if request.log == CollectLog::Artifacts {
            log(&line());
        }
    };
    let base_text = if request.base_directory.is_empty() { "." } else { &request.base_directory };
    say(&|| format!("Expanding base directory path: {base_text}"));
    say(&|| "Assembling file list".to_owned());
    say(&|| format!("Expanding {base_text}"));
    let bases = base_directories(base_text, source_dir, deadline)?;
    if bases.is_empty() {
        say(&|| format!("Skipping invalid file path {base_text}"));
    }

    let wanted = if request.absolute_names { Wanted::Trees } else { Wanted::Files };
    let mut matched = vec![false; request.files.len()];
    let mut files = Vec::new();
    for (base, shown) in &bases {
        say(&|| format!("Expanding file paths for base directory {shown}"));
        say(&|| "Assembling file list".to_owned());
        let files_globs = globs(&request.files, base)?;
        let exclude = globs(&request.exclude, base)?;
        let mut walked = walk(&files_globs, wanted, deadline);
        walked.found.retain(|found| !exclude.iter().any(|glob| glob.matches(&found.path)));
        if !request.absolute_names && !request.keep_symlinks {
            follow_links(&mut walked.found, &mut walked.warnings);
        }
        for (index, glob) in files_globs.iter().enumerate() {
            say(&|| format!("Expanding {}", glob.text()));
            matched[index] |= walked.matched[index];
            if glob.is_path() && !walked.matched[index] {
                say(&|| format!("Skipping invalid file path {}", glob.text()));
            }
        }
        if walked.cut {
            let seconds = request.search_seconds;
            collected.warnings.push(format!("search ended after {seconds} s with what was found by then"));
        }
        collected.warnings.append(&mut walked.warnings);
        files.extend(match request.absolute_names {
            true => names::absolute(walked.found, source_dir),
            false => names::beneath(walked.found, base),
        });
    }
    if request.log == CollectLog::Cache {
        request.files.iter().for_each(|path| log(&format!("Expanded cache path {path}")));
    }
    let unmatched = request.files.iter().zip(&matched).filter(|(_, matched)| !**matched);
    collected.unmatched = unmatched.map(|(text, _)| text.clone()).collect();
    if request.discard_paths && !request.absolute_names {
        files = names::discard_paths(files);
    }
    Ok(names::settle(files))
}

/// The directories that a base directory stands for, and what the log calls them.
fn base_directories(
    text: &str,
    source_dir: &Path,
    deadline: Option<Instant>,
) -> Result<Vec<(PathBuf, String)>, FilesError> {
    let glob = Glob::new(text, source_dir)?;
    if glob.is_path() {
        let root = glob.root();
        return Ok(if root.is_dir() { vec![(root.to_owned(), text.to_owned())] } else { Vec::new() });
    }
    let shown = |path: &Path| path.strip_prefix(source_dir).unwrap_or(path).display().to_string();
    let found = walk(&[glob], Wanted::Directories, deadline).found;
    Ok(found.into_iter().map(|found| (found.path.clone(), shown(&found.path))).collect())
}

fn globs(texts: &[String], base: &Path) -> Result<Vec<Glob>, FilesError> {
    texts.iter().map(|text| Glob::new(text, base)).collect()
}

/// Turns links to files into files and leaves out links to anything else.
fn follow_links(found: &mut Vec<Found>, warnings: &mut Vec<String>) {
    found.retain_mut(|found| {
        if found.kind != Kind::Link {
            return true;
        }
        let path = found.path.display();
        match fs::metadata(&found.path) {
            Ok(metadata) if metadata.is_file() => found.kind = Kind::File,
            Ok(metadata) if metadata.is_dir() => warnings.push(format!(
                "skipped {path}: a link to a directory; to take what is in it, list `{path}/**/*`"
            )),
            Ok(_) => warnings.push(format!("skipped {path}: neither file, directory nor link")),
            Err(error) => warnings.push(format!("skipped link {path}: {error}")),
        }
        found.kind == Kind::File
    });
}

fn write_tar<W: SendFile>(to: W, files: &[Named], collected: &mut Collected) -> Result<W, FilesError> {
    let mut tar = TarWriter::new(to);
    for Named { name, found } in files {
        let path = &found.path;
        if found.kind == Kind::File {
            match open_file(path) {
                Ok((file, metadata)) => {
                    if tar.file(name, &metadata, &file).map_err(FilesError::Send)? == Sent::Shrunk {
                        collected
                            .warnings
                            .push(format!("{} became shorter while it was read", path.display()));
                    }
                }
                Err(error) => skip(collected, path, &error),
            }
            continue;
        }
        let sent = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => tar.directory(name, &metadata),
            Ok(metadata) => match fs::read_link(path) {
                Ok(target) => tar.symlink(name, &metadata, &target),
                Err(error) => {
                    skip(collected, path, &error);
                    continue;
                }
            },
            Err(error) if found.kind == Kind::Directory => {
                collected.warnings.push(format!("skipped {}: {error}", path.display()));
                continue;
            }
            Err(error) => {
                skip(collected, path, &error);
                continue;
            }
        };
        sent.map_err(FilesError::Send)?;
    }
    tar.finish().map_err(FilesError::Send)
}

/// Counts a file out that was found but could not be sent.
pub(super) fn skip(collected: &mut Collected, path: &Path, error: &io::Error) {
    collected.files = collected.files.saturating_sub(1);
    collected.warnings.push(format!("skipped {}: {error}", path.display()));
}

/// Keeps a list of warnings readable, and small enough for one event.
fn shorten(warnings: &mut Vec<String>) {
    const MOST: usize = 50;
    if warnings.len() > MOST {
        let more = warnings.len() - MOST;
        warnings.truncate(MOST);
        warnings.push(format!("… and {more} more"));
    }
}

/// Opens a regular file; whatever else has taken its place meanwhile does not block.
pub(super) fn open_file(path: &Path) -> io::Result<(File, Metadata)> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(io::Error::other("no longer a file")) }
}

/// Counts what is written.
struct Counted<W> {
    to: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: SendFile> SendFile for Counted<W> {
    fn send_file(&mut self, file: &File, bytes: u64) -> io::Result<Sent> {
        self.bytes += bytes;
        self.to.send_file(file, bytes)
    }
}

//! Zip files, written to a stream; files are read, and deflated where that is much of the work, on several threads.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc;
use std::thread;

use runspan_agent_protocol::Collected;
use runspan_archive::zip_time;
use zip::result::{ZipError, ZipResult};
use zip::write::{FullFileOptions, PreparedZipFile, SimpleFileOptions, StreamWriter, ZipFileBuilder};
use zip::{CompressionMethod, ZipWriter};

use super::collect::{open_file, skip};
use super::names::Named;
use super::{FilesError, Kind};

/// Setting up a deflater of its own costs more than deflating so little, so the writer's own one does it.
const TINY: u64 = 64 << 10;
/// Larger files are streamed, not held in memory.
const SMALL: u64 = 4 << 20;
/// Files that wait for each thread's turn.
const AHEAD: usize = 16;
const MOST_THREADS: usize = 4;

/// A file on its way into the zip.
enum Prepared {
    Tiny(Vec<u8>, Metadata),
    Small(PreparedZipFile),
    Large(File, Metadata),
    Link(Metadata, Vec<u8>),
    Skipped(io::Error),
}

/// Writes a zip file of these files in their order and gives the writer back.
pub(super) fn write_zip<W: Write>(
    to: W,
    files: &[Named],
    collected: &mut Collected,
) -> Result<W, FilesError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS).min(files.len());
    let mut zip = ZipWriter::new_stream(to);
    thread::scope(|scope| {
        // Thread n takes every file n, n + threads, …, so files come back in order.
        let lanes: Vec<_> = (0..threads)
            .map(|lane| {
                let (sender, receiver) = mpsc::sync_channel(AHEAD);
                scope.spawn(move || {
                    let mut buffer = vec![0; 64 << 10];
                    for file in files.iter().skip(lane).step_by(threads) {
                        if sender.send(prepare(file, &mut buffer)).is_err() {
                            break;
                        }
                    }
                });
                receiver
            })
            .collect();
        for (index, file) in files.iter().enumerate() {
            let Ok(prepared) = lanes[index % threads].recv() else {
                return Err(io::Error::other("a thread that deflates died"));
            };
            match prepared.and_then(|prepared| add(&mut zip, file, prepared)) {
                Ok(None) => {}
                Ok(Some(error)) => skip(collected, &file.found.path, &error),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })
    .map_err(FilesError::Send)?;
    let to = zip.finish().map_err(|error| FilesError::Send(error.into()))?;
    Ok(to.into_inner())
}

fn prepare(file: &Named, buffer: &mut [u8]) -> ZipResult<Prepared> {
    let path = &file.found.path;
    if file.found.kind == Kind::Link {
        return Ok(match fs::symlink_metadata(path).and_then(|of| Ok((of, fs::read_link(path)?))) {
            Ok((metadata, target)) => Prepared::Link(metadata, target.as_os_str().as_bytes().to_vec()),
            Err(error) => Prepared::Skipped(error),
        });
    }
    let (from, metadata) = match open_file(path) {
        Ok(opened) => opened,
        Err(error) => return Ok(Prepared::Skipped(error)),
    };
    if metadata.len() > SMALL {
        return Ok(Prepared::Large(from, metadata));
    }
    // A file that grows meanwhile must not fill the memory.
    let mut from = from.take(metadata.len());
    if metadata.len() <= TINY {
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
        return Ok(match from.read_to_end(&mut bytes) {
            Ok(_) => Prepared::Tiny(bytes, metadata),
            Err(error) => Prepared::Skipped(error),
        });
    }
    let mut builder = ZipFileBuilder::new(name(file), options(&metadata)?)?;
    loop {
        match from.read(buffer) {
            Ok(0) => break,
            Ok(read) => builder.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Prepared::Skipped(error)),
        }
    }
    builder.finish().map(Prepared::Small)
}

/// Adds an entry; returns why it was left out, if it was.
fn add<W: Write>(
    zip: &mut ZipWriter<StreamWriter<W>>,
    file: &Named,
    prepared: Prepared,
) -> ZipResult<Option<io::Error>> {
    match prepared {
        Prepared::Tiny(bytes, metadata) => {
            zip.start_file(name(file), options(&metadata)?)?;
            zip.write_all(&bytes)?;
        }
        Prepared::Small(ready) => zip.add_prepared_file(ready)?,
        Prepared::Large(from, metadata) => {
            // Deflate may make what cannot be compressed a little larger.
            let large = metadata.len() >= u64::from(u32::MAX) - (64 << 20);
            zip.start_file(name(file), options(&metadata)?.large_file(large))?;
            io::copy(&mut from.take(metadata.len()), zip)?;
        }
        Prepared::Link(metadata, target) => {
            let target = String::from_utf8(target)
                .map_err(|_| ZipError::Io(io::Error::other("a link's target is not UTF-8")));
            match target {
                Ok(target) => zip.add_symlink(name(file), target, options(&metadata)?)?,
                Err(error) => return Ok(Some(error.into())),
            }
        }
        Prepared::Skipped(error) => return Ok(Some(error)),
    }
    Ok(None)
}

/// Names in zip files are text; bytes that are none are escaped, so that names stay apart.
fn name(file: &Named) -> String {
    match file.name.to_str() {
        Some(name) => name.to_owned(),
        None => file.name.as_os_str().as_bytes().escape_ascii().to_string(),
    }
}

fn options(metadata: &Metadata) -> ZipResult<FullFileOptions<'static, 'static>> {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(metadata.mode() & 0o7777)
        .last_modified_time(zip_time(metadata.mtime()))
        .with_extended_timestamp(u32::try_from(metadata.mtime()).ok(), None, None)
}

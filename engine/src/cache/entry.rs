//! One entry: a line of JSON, then the archive, compressed or, of a copy, as it is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A longer first line is no head of ours.
const LONGEST_HEAD: u64 = 64 << 10;
/// Fast, and for most trees half the size.
const LEVEL: i32 = 2;
const THREADS: u32 = 2;

/// The first line of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) key: Option<String>,
    pub(super) created_ms: u64,
    /// Of a copy: the machine's start in which it was written, after which it may not be whole on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) boot: Option<String>,
}

impl Head {
    pub(super) fn new(key: Option<&str>) -> Self {
        let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let created_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self { key: key.map(str::to_owned), created_ms, boot: None }
    }

    pub(super) fn age(&self) -> Duration {
        let created = SystemTime::UNIX_EPOCH + Duration::from_millis(self.created_ms);
        SystemTime::now().duration_since(created).unwrap_or_default()
    }

    /// Of a copy.
    pub(super) fn of_copy(key: Option<&str>, created_ms: u64) -> io::Result<Self> {
        Ok(Self { key: key.map(str::to_owned), created_ms, boot: Some(boot()?) })
    }

    /// Whether the disk is sure to have all of it.
    pub(super) fn is_whole(&self) -> bool {
        self.boot.as_ref().is_none_or(|written_in| boot().is_ok_and(|boot| boot == *written_in))
    }

    /// Writes it, and the end of its line.
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        to.write_all(&line)
    }
}

fn boot() -> io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
}

/// Opens an entry: its head, and a reader of what follows it.
pub(super) fn open(path: &Path) -> io::Result<(Head, BufReader<File>)> {
    let mut reader = BufReader::with_capacity(128 << 10, File::open(path)?);
    let mut line = Vec::new();
    reader.by_ref().take(LONGEST_HEAD).read_until(b'\n', &mut line)?;
    Ok((serde_json::from_slice(&line)?, reader))
}

/// Why writing an entry failed.
pub(super) enum Failure {
    Stream(io::Error),
    Disk(io::Error),
}

/// Writes an entry.
pub(super) fn write(head: &Head, from: &mut dyn Read, to: &mut impl Write) -> Result<(), Failure> {
    head.write(to).map_err(Failure::Disk)?;
    let mut encoder = zstd::Encoder::new(to, LEVEL).map_err(Failure::Disk)?;
    encoder.include_checksum(true).and_then(|()| encoder.multithread(THREADS)).map_err(Failure::Disk)?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => encoder.write_all(&buffer[..read]).map_err(Failure::Disk)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::Stream(error)),
        }
    }
    encoder.finish().map(drop).map_err(Failure::Disk)
}

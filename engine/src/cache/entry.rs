//! One entry: a line of JSON, then the archive, compressed.

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
}

impl Head {
    pub(super) fn new(key: Option<&str>) -> Self {
        let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { key: key.map(str::to_owned), created_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX) }
    }

    pub(super) fn age(&self) -> Duration {
        let created = SystemTime::UNIX_EPOCH + Duration::from_millis(self.created_ms);
        SystemTime::now().duration_since(created).unwrap_or_default()
    }
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
    let mut line = serde_json::to_vec(head).map_err(|error| Failure::Disk(error.into()))?;
    line.push(b'\n');
    to.write_all(&line).map_err(Failure::Disk)?;
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

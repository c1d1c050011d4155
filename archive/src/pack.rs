//! Tar streams from what is on disk.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tar::{EntryType, Header};

use crate::send_file::copy;
use crate::{SendFile, Sent};

/// A larger file is sent past the buffer.
const BUFFERED: u64 = 64 << 10;

/// Writes a tar stream: names of any bytes and any length, absolute ones too.
#[derive(Debug)]
pub struct TarWriter<W: SendFile> {
    to: W,
    buffer: Vec<u8>,
}

impl<W: SendFile> TarWriter<W> {
    /// Writes to this.
    pub fn new(to: W) -> Self {
        Self { to, buffer: vec![0; BUFFERED as usize] }
    }

    /// Sends an open file: as many bytes as `metadata` says, whatever happens to it meanwhile.
    ///
    /// # Errors
    /// Those of the file and of the stream.
    pub fn file(&mut self, name: &Path, metadata: &Metadata, file: &File) -> io::Result<Sent> {
        let size = metadata.len();
        self.head(name, metadata, EntryType::Regular, size, b"")?;
        let sent = if size <= BUFFERED {
            copy(file, size, &mut self.buffer, &mut self.to)?
        } else {
            self.to.send_file(file, size)?
        };
        self.pad(size)?;
        Ok(sent)
    }

    /// Sends a directory, not what is in it.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn directory(&mut self, name: &Path, metadata: &Metadata) -> io::Result<()> {
        self.head(name, metadata, EntryType::Directory, 0, b"")
    }

    /// Sends a symbolic link.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn symlink(&mut self, name: &Path, metadata: &Metadata, target: &Path) -> io::Result<()> {
        self.head(name, metadata, EntryType::Symlink, 0, target.as_os_str().as_bytes())
    }

    /// Ends the stream and gives the writer back, flushed.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.write_all(&[0; 1024])?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn head(
        &mut self,
        name: &Path,
        metadata: &Metadata,
        kind: EntryType,
        size: u64,
        link: &[u8],
    ) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(metadata.uid().into());
        header.set_gid(metadata.gid().into());
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
        header.set_size(size);
        header.set_entry_type(kind);
        let name = name.as_os_str().as_bytes();
        if let Some(header) = header.as_gnu_mut() {
            for (value, field, long) in [
                (name, &mut header.name, EntryType::GNULongName),
                (link, &mut header.linkname, EntryType::GNULongLink),
            ] {
                let room = value.len().min(field.len());
                field[..room].copy_from_slice(&value[..room]);
                if value.len() >= field.len() {
                    self.long(long, value)?;
                }
            }
        }
        header.set_cksum();
        self.to.write_all(header.as_bytes())
    }

    /// A name that does not fit stands in an entry of its own before the one it names.
    fn long(&mut self, kind: EntryType, name: &[u8]) -> io::Result<()> {
        let size = name.len() as u64 + 1;
        let mut header = Header::new_gnu();
        header.set_path("././@LongLink")?;
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_entry_type(kind);
        header.set_cksum();
        self.to.write_all(header.as_bytes())?;
        self.to.write_all(name)?;
        self.to.write_all(&[0])?;
        self.pad(size)
    }

    fn pad(&mut self, written: u64) -> io::Result<()> {
        let over = (written % 512) as usize;
        if over == 0 { Ok(()) } else { self.to.write_all(&[0; 512][over..]) }
    }
}

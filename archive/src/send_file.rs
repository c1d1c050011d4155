use std::fs::File;
use std::io::{self, Read, Write};

/// Whether a file was sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was.
    Whole,
    /// It was cut short while it was read; the rest was filled with zeros.
    Shrunk,
}

/// A writer that a file's bytes may reach without passing through this process.
pub trait SendFile: Write {
    /// Writes so many bytes of a file, from where it stands, and zeros for those that it turns out not to have.
    ///
    /// # Errors
    /// Those of the file and of the writer.
    fn send_file(&mut self, file: &File, bytes: u64) -> io::Result<Sent> {
        let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX).min(256 << 10)];
        copy(file, bytes, &mut buffer, self)
    }
}

impl<W: SendFile + ?Sized> SendFile for &mut W {
    fn send_file(&mut self, file: &File, bytes: u64) -> io::Result<Sent> {
        (**self).send_file(file, bytes)
    }
}

impl SendFile for Vec<u8> {}

impl SendFile for io::BufWriter<&mut File> {}

/// Does what [`SendFile::send_file`] does, by way of a buffer.
pub(crate) fn copy<W: Write + ?Sized>(
    mut file: &File,
    bytes: u64,
    buffer: &mut [u8],
    to: &mut W,
) -> io::Result<Sent> {
    let mut left = bytes;
    let mut sent = Sent::Whole;
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = match file.read(&mut buffer[..room]) {
            Ok(0) => {
                sent = Sent::Shrunk;
                buffer[..room].fill(0);
                room
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&buffer[..read])?;
        left -= read as u64;
    }
    Ok(sent)
}

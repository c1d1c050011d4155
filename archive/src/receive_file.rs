use std::fs::File;
use std::io::{self, Read, Write};

/// Why a file's bytes did not all get into it.
#[derive(Debug)]
pub enum ReceiveFileError {
    /// They did not all arrive.
    Stream(io::Error),
    /// The file does not take them.
    File(io::Error),
}

/// A reader whose bytes may reach a file without passing through this process.
pub trait ReceiveFile: Read {
    /// Reads exactly so many bytes into a file, to where it stands, or into a pipe.
    ///
    /// # Errors
    /// [`ReceiveFileError`].
    fn receive_file(&mut self, mut file: &File, bytes: u64) -> Result<(), ReceiveFileError> {
        let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX).min(128 << 10)];
        let mut left = bytes;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = match self.read(&mut buffer[..room]) {
                Ok(0) => return Err(ReceiveFileError::Stream(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReceiveFileError::Stream(error)),
            };
            file.write_all(&buffer[..read]).map_err(ReceiveFileError::File)?;
            left -= read as u64;
        }
        Ok(())
    }
}

impl<R: ReceiveFile + ?Sized> ReceiveFile for &mut R {
    fn receive_file(&mut self, file: &File, bytes: u64) -> Result<(), ReceiveFileError> {
        (**self).receive_file(file, bytes)
    }
}

impl ReceiveFile for &[u8] {}

impl ReceiveFile for File {}

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Read, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};

use crate::{CarryError, End, HEADER, Kind, decode, parse_header};

/// Larger reads of a blob go past the buffer.
const AHEAD: usize = 32 << 10;
/// Bytes that may be on their way through a pipe.
const PIPE: usize = 1 << 20;

type Pipe = (PipeReader, PipeWriter);

/// The bytes of a blob, as they arrive. The other side's word that it failed is an error of the kind `Other`; any
/// other error but `InvalidData` means that the line broke.
#[derive(Debug)]
pub struct BlobReader {
    from: BufReader<UnixStream>,
    /// Bytes of the frame that were not read yet.
    left: usize,
    ended: bool,
    pipe: Option<Pipe>,
}

impl BlobReader {
    /// Reads what comes next on this line.
    pub fn new(stream: UnixStream) -> Self {
        Self { from: BufReader::with_capacity(AHEAD, stream), left: 0, ended: false, pipe: None }
    }

    /// Moves exactly so many bytes into a file, to where it stands, or into a pipe. The kernel carries them.
    ///
    /// # Errors
    /// [`CarryError`]; a blob that ends before is one of the line.
    pub fn receive_file(&mut self, file: &File, bytes: u64) -> Result<(), CarryError> {
        let is_pipe = file.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
        // One whose bytes a file did not take is not used again. None where the system has none left.
        let pipe = if is_pipe { None } else { self.pipe.take().or_else(|| pipe().ok()) };
        let mut left = bytes;
        while left > 0 {
            if self.frame().map_err(CarryError::Line)? == 0 {
                return Err(CarryError::Line(io::ErrorKind::UnexpectedEof.into()));
            }
            let most = self.left.min(usize::try_from(left).unwrap_or(usize::MAX));
            let moved = match &pipe {
                _ if !self.from.buffer().is_empty() => self.copy_into(file, most)?,
                _ if is_pipe => self.splice_into(file, most)?,
                Some((reader, writer)) => {
                    let moved = self.splice_into(writer, most)?;
                    // By `splice`, too, where the file system has it.
                    let carried = io::copy(&mut reader.take(moved as u64), &mut &*file);
                    carried.map_err(CarryError::File)?;
                    moved
                }
                None => self.copy_into(file, most)?,
            };
            left -= moved as u64;
        }
        self.pipe = pipe;
        Ok(())
    }

    /// Bytes that are left of the frame at hand, or of the next one where it is through; 0 at the blob's end.
    fn frame(&mut self) -> io::Result<usize> {
        while self.left == 0 && !self.ended {
            let mut header = [0; HEADER];
            self.from.read_exact(&mut header)?;
            let (kind, length) = parse_header(header)?;
            if kind == Kind::Data {
                self.left = length;
                continue;
            }
            let mut payload = vec![0; length];
            self.from.read_exact(&mut payload)?;
            match (kind, decode(&payload)?) {
                (Kind::End, End::Complete) => self.ended = true,
                (Kind::End, End::Failed(reason)) => return Err(io::Error::other(reason)),
                _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "broken blob")),
            }
        }
        Ok(self.left)
    }

    /// Moves some bytes by way of the buffer.
    fn copy_into(&mut self, mut file: &File, most: usize) -> Result<usize, CarryError> {
        let ahead = self.from.fill_buf().map_err(CarryError::Line)?;
        let ahead = &ahead[..ahead.len().min(most)];
        if ahead.is_empty() {
            return Err(CarryError::Line(io::ErrorKind::UnexpectedEof.into()));
        }
        file.write_all(ahead).map_err(CarryError::File)?;
        let length = ahead.len();
        self.from.consume(length);
        self.left -= length;
        Ok(length)
    }

    /// Moves some bytes into a pipe.
    fn splice_into(&mut self, pipe: impl AsFd, most: usize) -> Result<usize, CarryError> {
        loop {
            match splice(self.from.get_ref(), None, &pipe, None, most, SpliceFlags::empty()) {
                Ok(0) => return Err(CarryError::Line(io::ErrorKind::UnexpectedEof.into())),
                Ok(moved) => {
                    self.left -= moved;
                    return Ok(moved);
                }
                Err(Errno::INTR) => {}
                Err(Errno::PIPE) => return Err(CarryError::File(Errno::PIPE.into())),
                Err(error) => return Err(CarryError::Line(error.into())),
            }
        }
    }
}

fn pipe() -> io::Result<Pipe> {
    let pipe = io::pipe()?;
    // Else it is smaller.
    let _size = fcntl_setpipe_size(&pipe.1, PIPE);
    Ok(pipe)
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.frame()?);
        if most == 0 {
            // Not even an empty read, which would wait for what comes after the end.
            return Ok(0);
        }
        let read = self.from.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek as _;
    use std::thread;

    use super::*;
    use crate::{write_frame, write_json};

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|number| (number % 251) as u8).collect()
    }

    /// A blob of these frames, which ends so.
    fn blob(frames: Vec<Vec<u8>>, end: Option<End>) -> BlobReader {
        let (mut to, from) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            for frame in &frames {
                // Who reads may be through.
                let _gone = write_frame(&mut to, Kind::Data, frame);
            }
            if let Some(end) = end {
                let _gone = write_json(&mut to, Kind::End, &end);
            }
        });
        BlobReader::new(from)
    }

    #[test]
    fn what_is_read_and_what_goes_into_files_is_one_stream() {
        let all = text(3_000_000);
        let frames = all.chunks(700_001).map(<[u8]>::to_vec).collect();
        let mut blob = blob(frames, Some(End::Complete));
        let mut read = [0; 5];
        blob.read_exact(&mut read).unwrap();
        assert_eq!(read, all[..5]);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before").unwrap();
        blob.receive_file(&file, 2_000_000).unwrap();
        blob.receive_file(&file, 0).unwrap();
        file.rewind().unwrap();
        let mut received = Vec::new();
        file.read_to_end(&mut received).unwrap();
        assert!(received == [b"before", &all[5..2_000_005]].concat());
        let mut rest = Vec::new();
        blob.read_to_end(&mut rest).unwrap();
        assert!(rest == all[2_000_005..]);
    }

    #[test]
    fn a_blob_too_short_for_its_file_is_a_fault_of_the_line() {
        let file = tempfile::tempfile().unwrap();
        for end in [None, Some(End::Complete), Some(End::Failed("the disk broke".into()))] {
            let mut blob = blob(vec![text(100_000)], end.clone());
            let Err(CarryError::Line(error)) = blob.receive_file(&file, 100_001) else {
                panic!("{end:?} is no fault of the line")
            };
            let is_said = matches!(end, Some(End::Failed(_)));
            assert_eq!(error.kind() == io::ErrorKind::Other, is_said, "{error}");
        }
    }

    #[test]
    fn a_file_that_takes_nothing_is_no_fault_of_the_line() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        // By way of the buffer, and past it.
        for (length, read) in [(10, 0), (100_000, 60_000)] {
            let mut blob = blob(vec![text(read + length), text(7)], Some(End::Complete));
            blob.read_exact(&mut vec![0; read]).unwrap();
            assert!(matches!(blob.receive_file(&full, length as u64), Err(CarryError::File(_))));
            // What is left can be passed over.
            assert!(io::copy(&mut blob, &mut io::sink()).unwrap() <= length as u64 + 7);
        }
    }
}

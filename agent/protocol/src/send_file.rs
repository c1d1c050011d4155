use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;

use crate::{Kind, header};

/// Bytes of one data frame that the kernel carries.
const CARRIED: u64 = 4 << 20;

/// Why a file was not sent.
#[derive(Debug)]
pub enum SendFileError {
    /// It cannot be read. Zeros stand for the rest, so the line can still say what went wrong.
    File(io::Error),
    /// The line broke.
    Line(io::Error),
}

/// Sends so many bytes of a file, from where it stands, as data frames that the kernel fills. Zeros stand for those that
/// the file turns out not to have. Returns how many it had.
///
/// # Errors
/// [`SendFileError`].
pub fn send_file(mut to: &UnixStream, file: &File, bytes: u64) -> Result<u64, SendFileError> {
    let (mut left, mut had) = (bytes, 0);
    while left > 0 {
        let size = left.min(CARRIED);
        left -= size;
        let frame = usize::try_from(size).unwrap_or(usize::MAX);
        io::Write::write_all(&mut to, &header(Kind::Data, frame)).map_err(SendFileError::Line)?;
        let (sent, failure) = carry(file, to, frame);
        had += sent as u64;
        if sent < frame {
            let zeros = (frame - sent) as u64;
            io::copy(&mut io::repeat(0).take(zeros), &mut to).map_err(SendFileError::Line)?;
        }
        if let Some(failure) = failure {
            return Err(SendFileError::File(failure));
        }
    }
    Ok(had)
}

/// How many bytes went out before the file's end, and what went wrong, with either of both.
fn carry(file: &File, to: &UnixStream, bytes: usize) -> (usize, Option<io::Error>) {
    let mut sent = 0;
    while sent < bytes {
        match rustix::fs::sendfile(to, file, None, bytes - sent) {
            Ok(0) => break,
            Ok(more) => sent += more,
            Err(Errno::INTR) => {}
            Err(error) => return (sent, Some(error.into())),
        }
    }
    (sent, None)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};
    use std::thread;

    use super::*;
    use crate::read_frame;

    /// What arrives of this, as one blob, and how it ended.
    fn sent(file: &File, bytes: u64) -> (Vec<u8>, Result<u64, SendFileError>) {
        let (to, mut from) = UnixStream::pair().unwrap();
        let reader = thread::spawn(move || {
            let (mut all, mut payload) = (Vec::new(), Vec::new());
            while read_frame(&mut from, &mut payload).unwrap().is_some() {
                all.extend_from_slice(&payload);
            }
            all
        });
        let result = send_file(&to, file, bytes);
        drop(to);
        (reader.join().unwrap(), result)
    }

    #[test]
    fn a_file_goes_from_where_it_stands() {
        let mut file = tempfile::tempfile().unwrap();
        let text: Vec<u8> = (0..9_000_000_u32).map(|number| (number % 251) as u8).collect();
        file.write_all(&text).unwrap();
        file.seek(io::SeekFrom::Start(7)).unwrap();
        let (arrived, had) = sent(&file, 8_500_000);
        assert_eq!(had.unwrap(), 8_500_000);
        assert!(arrived == text[7..8_500_007]);
    }

    #[test]
    fn what_a_file_lacks_is_zeros() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"short").unwrap();
        file.rewind().unwrap();
        let (arrived, had) = sent(&file, 9);
        assert_eq!(had.unwrap(), 5);
        assert_eq!(arrived, b"short\0\0\0\0");
        let directory = File::open("/").unwrap();
        let (arrived, had) = sent(&directory, 3);
        assert!(matches!(had, Err(SendFileError::File(_))));
        assert_eq!(arrived, b"\0\0\0");
    }

    #[test]
    fn a_line_that_broke_is_no_fault_of_the_file() {
        let (to, from) = UnixStream::pair().unwrap();
        drop(from);
        let had = send_file(&to, &File::open("/dev/zero").unwrap(), 9);
        assert!(matches!(had, Err(SendFileError::Line(_))));
    }
}

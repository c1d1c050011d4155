//! Streams of files, each on a connection of its own.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;

use runspan_agent_protocol::{BlobReader, CarryError, End, Kind, send_file, write_frame, write_json};
use runspan_archive::{ReceiveFile, ReceiveFileError, SendFile, Sent};

/// Bytes of one data frame.
const CHUNK: usize = 128 << 10;

/// Reads an upload; its result tells the driver what was stored.
pub type ReceiveBlob = Box<dyn FnOnce(&mut dyn ReceiveFile) + Send>;
/// Writes a download.
pub type SendBlob = Box<dyn FnOnce(&mut dyn SendFile) -> io::Result<()> + Send>;

/// What a connection for a request is for.
pub(super) enum Blob {
    Upload(ReceiveBlob),
    Download(SendBlob),
}

/// Takes a blob.
pub(super) fn receive(stream: UnixStream, receive: ReceiveBlob) -> io::Result<()> {
    let answer = stream.try_clone()?;
    let mut blob = Upload(BlobReader::new(stream));
    receive(&mut blob);
    // The sender must not find the line cut because somebody needed only the beginning.
    io::copy(&mut blob, &mut io::sink())?;
    write_json(&mut &answer, Kind::End, &End::Complete)
}

/// Gives a blob.
pub(super) fn send(stream: UnixStream, send: SendBlob) -> io::Result<()> {
    let mut to = Download(BufWriter::with_capacity(CHUNK, Frames(stream)));
    let end = match send(&mut to).and_then(|()| to.flush()) {
        Ok(()) => End::Complete,
        Err(error) => End::Failed(error.to_string()),
    };
    let (frames, _) = to.0.into_parts();
    write_json(&mut &frames.0, Kind::End, &end)
}

/// A blob from the agent.
struct Upload(BlobReader);

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl ReceiveFile for Upload {
    fn receive_file(&mut self, file: &File, bytes: u64) -> Result<(), ReceiveFileError> {
        self.0.receive_file(file, bytes).map_err(|error| match error {
            CarryError::File(error) => ReceiveFileError::File(error),
            CarryError::Line(error) => ReceiveFileError::Stream(error),
        })
    }
}

/// A blob to the agent, in frames of some size.
struct Download(BufWriter<Frames>);

struct Frames(UnixStream);

impl Write for Download {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl SendFile for Download {
    fn send_file(&mut self, file: &File, bytes: u64) -> io::Result<Sent> {
        self.flush()?;
        match send_file(&self.0.get_ref().0, file, bytes) {
            Ok(had) if had == bytes => Ok(Sent::Whole),
            Ok(_) => Ok(Sent::Shrunk),
            Err(CarryError::File(error) | CarryError::Line(error)) => Err(error),
        }
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = &bytes[..bytes.len().min(CHUNK)];
        write_frame(&mut self.0, Kind::Data, chunk)?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

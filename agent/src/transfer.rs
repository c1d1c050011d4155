//! Blobs: files into the container and out of it, each over a connection of its own.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use runspan_agent_protocol::{
    Collect, Collected, End, Kind, Purpose, Reply, Unpack, decode, read_frame, write_frame, write_json,
};

use crate::error::AgentError;
use crate::files;
use crate::link::dial;
use crate::shared::{Session, Shared};

/// Bytes of a blob in one frame.
const PIECE: usize = 256 << 10;
const DIAL_TIME: Duration = Duration::from_secs(60);
const DIAL_RETRY: Duration = Duration::from_millis(100);

/// Carries out [`runspan_agent_protocol::Verb::Unpack`].
pub(crate) fn unpack(shared: &Shared, request: u64, order: &Unpack) -> Result<Reply, AgentError> {
    let mut download = Download::open(shared, request).map_err(blob("a download"))?;
    let result = unpack_from(&mut download, order);
    shared.control.clear_transfer();
    if let Some(reason) = shared.control.ended(request) {
        return Err(AgentError::Ended(reason));
    }
    result
}

/// Carries out [`runspan_agent_protocol::Verb::Collect`].
pub(crate) fn collect(
    shared: &Shared,
    request: u64,
    order: &Collect,
    session: &Session,
) -> Result<Reply, AgentError> {
    let open = || Upload::open(shared, request);
    let result = collect_into(open, order, session, &mut |line| shared.log.line(line));
    shared.control.clear_transfer();
    if let Some(reason) = shared.control.ended(request) {
        return Err(AgentError::Ended(reason));
    }
    result.map(Reply::Collected)
}

fn unpack_from(download: &mut impl Read, order: &Unpack) -> Result<Reply, AgentError> {
    let (files, bytes) =
        files::unpack(download, order).map_err(|error| AgentError::Files(error.to_string()))?;
    Ok(Reply::Unpacked { files, bytes })
}

fn collect_into(
    open: impl FnOnce() -> io::Result<Upload>,
    order: &Collect,
    session: &Session,
    log: &mut dyn FnMut(&str),
) -> Result<Collected, AgentError> {
    let (collected, upload) = files::collect(order, &session.source_dir, open, log)
        .map_err(|error| AgentError::Files(error.to_string()))?;
    if let Some(upload) = upload {
        upload.end(&End::Complete).map_err(blob("an upload"))?;
    }
    Ok(collected)
}

fn blob(what: &'static str) -> impl FnOnce(io::Error) -> AgentError {
    move |source| AgentError::Blob { what, source }
}

/// Dials until somebody answers: the supervisor may be starting anew.
fn dial_patiently(shared: &Shared, request: u64, purpose: impl Fn() -> Purpose) -> io::Result<UnixStream> {
    let since = Instant::now();
    loop {
        match dial(shared, purpose()) {
            Err(_) if since.elapsed() < DIAL_TIME && shared.control.ended(request).is_none() => {
                thread::sleep(DIAL_RETRY);
            }
            dialled => return dialled,
        }
    }
}

/// A blob from the supervisor; its end is the supervisor's word that it is whole.
#[derive(Debug)]
struct Download {
    stream: UnixStream,
    piece: Vec<u8>,
    read: usize,
    ended: bool,
}

impl Download {
    fn open(shared: &Shared, request: u64) -> io::Result<Self> {
        let stream = dial_patiently(shared, request, || Purpose::Download { request })?;
        shared.control.set_transfer(request, stream.try_clone()?);
        Ok(Self { stream, piece: Vec::new(), read: 0, ended: false })
    }
}

impl Read for Download {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() && !self.ended {
            self.read = 0;
            match read_frame(&mut self.stream, &mut self.piece)? {
                Some(Kind::Data) => {}
                Some(Kind::End) => match decode(&std::mem::take(&mut self.piece))? {
                    End::Complete => self.ended = true,
                    End::Failed(reason) => return Err(io::Error::other(reason)),
                    End::Exited(_) => return Err(io::ErrorKind::InvalidData.into()),
                },
                Some(_) => return Err(io::ErrorKind::InvalidData.into()),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let length = to.len().min(self.piece.len() - self.read);
        to[..length].copy_from_slice(&self.piece[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}

/// A blob to the supervisor.
#[derive(Debug)]
struct Upload {
    stream: UnixStream,
    piece: Vec<u8>,
}

impl Upload {
    fn open(shared: &Shared, request: u64) -> io::Result<Self> {
        let stream = dial_patiently(shared, request, || Purpose::Upload { request })?;
        shared.control.set_transfer(request, stream.try_clone()?);
        Ok(Self { stream, piece: Vec::with_capacity(PIECE) })
    }

    /// Says how it ended.
    fn end(mut self, end: &End) -> io::Result<()> {
        self.flush()?;
        write_json(&mut self.stream, Kind::End, end)
    }
}

impl Write for Upload {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let length = from.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&from[..length]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            write_frame(&mut self.stream, Kind::Data, &self.piece)?;
            self.piece.clear();
        }
        Ok(())
    }
}

//! Blobs: files into the container and out of it, each over a connection of its own.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use runspan_agent_protocol::{
    Collect, Collected, End, HEADER, Kind, Purpose, Reply, SendFileError, Unpack, decode, parse_header,
    read_frame, send_file, write_frame, write_json,
};
use runspan_archive::{SendFile, Sent};

use crate::error::AgentError;
use crate::files::{self, Remembered, Unpacked};
use crate::link::dial;
use crate::shared::{Session, Shared};

/// Bytes of a blob in one frame.
const PIECE: usize = 256 << 10;
/// Larger reads of a blob go past the buffer.
const AHEAD: usize = 32 << 10;
const DIAL_RETRY: Duration = Duration::from_millis(100);

/// Carries out [`runspan_agent_protocol::Verb::Unpack`]; anew when the supervisor dies meanwhile and another comes.
pub(crate) fn unpack(shared: &Shared, request: u64, order: &Unpack) -> Result<Unpacked, AgentError> {
    loop {
        let cut = AtomicBool::new(false);
        let result = Download::open(shared, request, &cut).map_err(blob("a download")).and_then(|download| {
            files::unpack(download, order).map_err(|error| AgentError::Files(error.to_string()))
        });
        if let Some(result) = settled(shared, request, &cut, result) {
            return result;
        }
    }
}

/// Carries out [`runspan_agent_protocol::Verb::Collect`]; anew when the supervisor dies meanwhile and another comes.
pub(crate) fn collect(
    shared: &Shared,
    request: u64,
    order: &Collect,
    session: &Session,
    remembered: Option<&Remembered>,
) -> Result<Reply, AgentError> {
    let mut is_first = true;
    loop {
        let cut = AtomicBool::new(false);
        let open = || Upload::open(shared, request, &cut);
        let mut log = |line: &str| {
            if is_first {
                shared.log.line(line);
            }
        };
        let result = collect_into(open, order, session, remembered, &mut log).map(Reply::Collected);
        if let Some(result) = settled(shared, request, &cut, result) {
            return result;
        }
        is_first = false;
    }
}

/// What came of a transfer; nothing when the line was cut, so that it is to be made again.
fn settled<T>(
    shared: &Shared,
    request: u64,
    cut: &AtomicBool,
    result: Result<T, AgentError>,
) -> Option<Result<T, AgentError>> {
    shared.control.clear_transfer();
    if let Some(reason) = shared.control.ended(request) {
        return Some(Err(AgentError::Ended(reason)));
    }
    if result.is_err() && cut.load(Ordering::Relaxed) {
        thread::sleep(DIAL_RETRY);
        return None;
    }
    Some(result)
}

fn collect_into<'a>(
    open: impl FnOnce() -> io::Result<Upload<'a>>,
    order: &Collect,
    session: &Session,
    remembered: Option<&Remembered>,
    log: &mut dyn FnMut(&str),
) -> Result<Collected, AgentError> {
    let (collected, upload) = files::collect(order, &session.source_dir, remembered, open, log)
        .map_err(|error| AgentError::Files(error.to_string()))?;
    if let Some(upload) = upload {
        upload.end(&End::Complete).map_err(blob("an upload"))?;
    }
    Ok(collected)
}

fn blob(what: &'static str) -> impl FnOnce(io::Error) -> AgentError {
    move |source| AgentError::Blob { what, source }
}

/// Dials until somebody answers: the supervisor may be starting anew. An agent that is left alone for too long ends
/// this with everything else.
fn dial_patiently(shared: &Shared, request: u64, purpose: impl Fn() -> Purpose) -> io::Result<UnixStream> {
    loop {
        match dial(shared, purpose()) {
            Err(_) if shared.control.ended(request).is_none() => thread::sleep(DIAL_RETRY),
            dialled => return dialled,
        }
    }
}

/// A blob from the supervisor; its end is the supervisor's word that it is whole.
#[derive(Debug)]
struct Download<'a> {
    from: BufReader<UnixStream>,
    /// Bytes of the piece that were not read yet.
    left: usize,
    ended: bool,
    /// Whether the line broke.
    cut: &'a AtomicBool,
}

impl<'a> Download<'a> {
    fn open(shared: &Shared, request: u64, cut: &'a AtomicBool) -> io::Result<Self> {
        let stream = dial_patiently(shared, request, || Purpose::Download { request })?;
        shared.control.set_transfer(request, stream.try_clone()?);
        Ok(Self { from: BufReader::with_capacity(AHEAD, stream), left: 0, ended: false, cut })
    }

    /// Begins the next piece, or sees the end.
    fn next(&mut self) -> io::Result<()> {
        let mut header = [0; HEADER];
        self.from.read_exact(&mut header)?;
        let (kind, length) = parse_header(header)?;
        match kind {
            Kind::Data => self.left = length,
            Kind::End => {
                let mut payload = vec![0; length];
                self.from.read_exact(&mut payload)?;
                match decode(&payload)? {
                    End::Complete => self.ended = true,
                    End::Failed(reason) => return Err(io::Error::other(reason)),
                    End::Exited(_) => return Err(io::ErrorKind::InvalidData.into()),
                }
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        Ok(())
    }

    /// Notes an error of the line itself.
    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        let said = [io::ErrorKind::Other, io::ErrorKind::InvalidData];
        let cut = result.as_ref().is_err_and(|error| !said.contains(&error.kind()));
        self.cut.fetch_or(cut, Ordering::Relaxed);
        result
    }
}

impl Read for Download<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 && !self.ended {
            let next = self.next();
            self.noted(next)?;
        }
        let most = to.len().min(self.left);
        if most == 0 {
            return Ok(0);
        }
        let read = self.from.read(&mut to[..most]).and_then(|read| match read {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        });
        let read = self.noted(read)?;
        self.left -= read;
        Ok(read)
    }
}

/// A blob to the supervisor.
#[derive(Debug)]
struct Upload<'a> {
    stream: UnixStream,
    piece: Vec<u8>,
    /// Whether the line broke.
    cut: &'a AtomicBool,
}

impl<'a> Upload<'a> {
    fn open(shared: &Shared, request: u64, cut: &'a AtomicBool) -> io::Result<Self> {
        let stream = dial_patiently(shared, request, || Purpose::Upload { request })?;
        shared.control.set_transfer(request, stream.try_clone()?);
        Ok(Self { stream, piece: Vec::with_capacity(PIECE), cut })
    }

    /// Says how it ended, and waits for the supervisor's word that it has everything.
    fn end(mut self, end: &End) -> io::Result<()> {
        self.flush()?;
        let mut payload = Vec::new();
        let answered = write_json(&mut self.stream, Kind::End, end)
            .and_then(|()| read_frame(&mut self.stream, &mut payload))
            .and_then(|kind| kind.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()));
        self.cut.fetch_or(answered.is_err(), Ordering::Relaxed);
        answered.map(drop)
    }
}

impl Write for Upload<'_> {
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
            let sent = write_frame(&mut self.stream, Kind::Data, &self.piece);
            self.cut.fetch_or(sent.is_err(), Ordering::Relaxed);
            sent?;
            self.piece.clear();
        }
        Ok(())
    }
}

impl SendFile for Upload<'_> {
    fn send_file(&mut self, file: &File, bytes: u64) -> io::Result<Sent> {
        self.flush()?;
        match send_file(&self.stream, file, bytes) {
            Ok(had) if had == bytes => Ok(Sent::Whole),
            Ok(_) => Ok(Sent::Shrunk),
            Err(SendFileError::File(error)) => Err(error),
            Err(SendFileError::Line(error)) => {
                self.cut.store(true, Ordering::Relaxed);
                Err(error)
            }
        }
    }
}

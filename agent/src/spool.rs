//! The spool: every record of the attempt, on disk until the supervisor has durably applied it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use runspan_agent_protocol::{HEADER, Kind, RECORD_HEAD, RecordHead, header};
use rustix::fs::{FallocateFlags, fallocate};

use crate::clock;

/// Room that a record's body leaves before itself for frame header and record head.
pub(crate) const HEAD: usize = HEADER + RECORD_HEAD;
/// Unacknowledged bytes beyond which output of commands is no longer read, so that they wait on their pipe as
/// they would on a slow terminal. Agent lines and events are written all the same.
pub(crate) const UNACKED_CAP: u64 = 4 << 30;
/// Disk space set aside so that events find room when the build has filled the disk.
const RESERVE: u64 = 1 << 20;
/// Acknowledged bytes are given back to the disk in steps of this size.
const PUNCH_STEP: u64 = 1 << 20;
/// How long output waits for acknowledgements to free space on a full disk before it is dropped.
const ROOM_WAIT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(100);

/// The spool file and how far it is written and acknowledged.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    marks: Mutex<Marks>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    /// Whole records end here.
    end: u64,
    /// The supervisor needs nothing before this.
    acked: u64,
    /// Before this the file is a hole.
    punched: u64,
    /// Nobody will ever read the spool.
    abandoned: bool,
}

impl Spool {
    /// Makes an empty spool, and the one writer for it.
    pub(crate) fn create(path: &Path) -> io::Result<(Arc<Self>, Writer)> {
        let open = |path: &Path| {
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
        };
        let spool = Arc::new(Self { file: open(path)?, marks: Mutex::default(), changed: Condvar::new() });
        let reserve = open(&path.with_extension("reserve"))?;
        // Without the reserve a full disk delays events, it does not lose them.
        let _ = fallocate(&reserve, FallocateFlags::empty(), 0, RESERVE);
        let writer = Writer { spool: Arc::clone(&spool), reserve, end: 0, number: 0, full: false };
        Ok((spool, writer))
    }

    /// The file, for sending from it.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the spool can be sent from this offset on.
    pub(crate) fn holds(&self, offset: u64) -> bool {
        let marks = self.marks();
        marks.punched <= offset && offset <= marks.end
    }

    /// Waits until there is something after `offset` and returns where it ends, or nothing once `given_up`.
    pub(crate) fn wait_beyond(&self, offset: u64, given_up: impl Fn() -> bool) -> Option<u64> {
        let marks = self.marks();
        let marks = self
            .changed
            .wait_while(marks, |marks| marks.end <= offset && !given_up())
            .unwrap_or_else(PoisonError::into_inner);
        (!given_up()).then_some(marks.end)
    }

    /// Makes waiting threads look at their conditions again.
    pub(crate) fn wake(&self) {
        drop(self.marks());
        self.changed.notify_all();
    }

    /// Takes an acknowledgement: everything before `offset` may go.
    pub(crate) fn acknowledge(&self, offset: u64) {
        let mut marks = self.marks();
        marks.acked = marks.acked.max(offset.min(marks.end));
        let whole = marks.acked - marks.acked % 4096;
        if whole - marks.punched >= PUNCH_STEP || whole > marks.punched && marks.acked == marks.end {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // A file system without holes keeps the bytes; nothing depends on them.
            let _ = fallocate(&self.file, flags, marks.punched, whole - marks.punched);
            marks.punched = whole;
        }
        drop(marks);
        self.changed.notify_all();
    }

    /// Waits until the supervisor has everything, or the time is over.
    pub(crate) fn flush(&self, time: Duration) -> bool {
        let (marks, _) = self
            .changed
            .wait_timeout_while(self.marks(), time, |marks| marks.acked < marks.end)
            .unwrap_or_else(PoisonError::into_inner);
        marks.acked >= marks.end
    }

    /// Waits while the unacknowledged part is at its cap.
    pub(crate) fn wait_below_cap(&self) {
        let marks = self.marks();
        let _below = self
            .changed
            .wait_while(marks, |marks| marks.end - marks.acked >= UNACKED_CAP && !marks.abandoned)
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// Nobody will ever read the spool: a full disk holds nobody up any more.
    pub(crate) fn abandon(&self) {
        self.marks().abandoned = true;
        self.changed.notify_all();
    }

    fn is_abandoned(&self) -> bool {
        self.marks().abandoned
    }

    fn wait_for_ack(&self, time: Duration) {
        let marks = self.marks();
        let before = marks.punched;
        let _later = self.changed.wait_timeout_while(marks, time, |marks| marks.punched == before);
    }
}

/// The one writer of a spool.
#[derive(Debug)]
pub(crate) struct Writer {
    spool: Arc<Spool>,
    reserve: File,
    end: u64,
    number: u64,
    /// Output was dropped for want of space, so the next is not waited for.
    full: bool,
}

impl Writer {
    /// Appends a record that must not be lost: waits for space as long as it takes.
    /// `frame` is the body after [`HEAD`] bytes of room.
    pub(crate) fn append(&mut self, kind: Kind, frame: &mut [u8]) {
        while self.try_append(kind, frame).is_err() {
            let _ = self.reserve.set_len(0);
            if self.try_append(kind, frame).is_ok() || self.spool.is_abandoned() {
                break;
            }
            self.spool.wait_for_ack(RETRY);
        }
    }

    /// Appends output, or says why it had to be dropped.
    pub(crate) fn append_output(&mut self, frame: &mut [u8]) -> io::Result<()> {
        let since = Instant::now();
        loop {
            match self.try_append(Kind::Output, frame) {
                Ok(()) => {
                    self.full = false;
                    return Ok(());
                }
                Err(error) if self.full || self.spool.is_abandoned() || since.elapsed() >= ROOM_WAIT => {
                    self.full = true;
                    return Err(error);
                }
                Err(_) => self.spool.wait_for_ack(RETRY),
            }
        }
    }

    fn try_append(&mut self, kind: Kind, frame: &mut [u8]) -> io::Result<()> {
        let head = RecordHead { number: self.number + 1, time_us: clock::now_us() };
        let header = header(kind, frame.len() - HEADER);
        frame[..HEADER].copy_from_slice(&header);
        frame[HEADER..HEAD].copy_from_slice(&head.to_bytes());
        // A write cut short is overwritten by the next record: `end` has not moved.
        self.spool.file.write_all_at(frame, self.end)?;
        self.number += 1;
        self.end += frame.len() as u64;
        self.spool.marks().end = self.end;
        self.spool.changed.notify_all();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use runspan_agent_protocol::read_frame;

    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        [&[0; HEAD], body].concat()
    }

    #[test]
    fn records_are_frames_numbered_from_one() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, mut writer) = Spool::create(&dir.path().join("spool")).unwrap();
        writer.append(Kind::Event, &mut frame(b"one"));
        writer.append_output(&mut frame(b"two")).unwrap();
        let bytes = std::fs::read(dir.path().join("spool")).unwrap();
        assert_eq!(spool.wait_beyond(0, || false), Some(bytes.len() as u64));
        let (mut from, mut payload) = (bytes.as_slice(), Vec::new());
        for (kind, number, body) in [(Kind::Event, 1, b"one"), (Kind::Output, 2, b"two")] {
            assert_eq!(read_frame(&mut from, &mut payload).unwrap(), Some(kind));
            let (head, rest) = RecordHead::split(&payload).unwrap();
            assert_eq!((head.number, rest), (number, body.as_slice()));
        }
        assert!(from.is_empty());
    }

    #[test]
    fn acknowledged_bytes_leave_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let (spool, mut writer) = Spool::create(&path).unwrap();
        let mut body = frame(&vec![b'x'; 1 << 20]);
        for _ in 0..8 {
            writer.append_output(&mut body).unwrap();
        }
        let blocks = |path: &Path| path.metadata().unwrap().blocks() * 512;
        assert!(blocks(&path) >= 8 << 20);
        spool.acknowledge(8 * body.len() as u64);
        assert!(spool.flush(Duration::ZERO));
        assert!(blocks(&path) < 1 << 20, "{} bytes still on disk", blocks(&path));
        assert!(!spool.holds(0) && spool.holds(8 * body.len() as u64));
    }
}

//! The one writer of a build's log, events and record.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use runspan_agent_protocol::Reply;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::watch;

use super::database::{JournalError, Result, connect, database, file, forget_changes, json, lock};
use crate::build::Build;
use crate::event::Event;
use crate::executor::Placement;
use crate::home::Home;
use crate::steps::Job;

/// Commits that carry nothing but log progress are at least this far apart.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);

/// How much there is to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes of the log.
    pub log: u64,
    /// Number of the last event.
    pub events: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    spool_offset: u64,
    log_length: u64,
    events: u64,
}

struct Inner {
    connection: Connection,
    log: File,
    state: Progress,
    committed: u64,
    last_commit: Instant,
    line_open: bool,
}

/// The one writer of a build's log, events and record.
pub struct Recorder {
    uuid: String,
    phase_request: u64,
    home: Home,
    position: watch::Sender<Position>,
    inner: Mutex<Inner>,
}

impl Recorder {
    /// Opens the recorder of a build that is in the journal, with its log cut to what was committed.
    pub(super) fn open(home: &Home, uuid: &str) -> Result<Self> {
        let connection = connect(&home.database())?;
        let (spool_offset, log_length, events, phase_request) = connection
            .query_row(
                "SELECT spool_offset, log_length, events, phase_request FROM builds WHERE uuid = ?1",
                [uuid],
                |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?, row.get::<_, u64>(2)?, row.get(3)?)),
            )
            .map_err(|source| database(home, source))?;
        let path = home.build(uuid).log();
        let open = || {
            let mut log = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(&path)?;
            log.set_len(log_length)?;
            log.seek(SeekFrom::End(0))?;
            Ok(log)
        };
        let log = open().map_err(|source| file(&path, source))?;
        Ok(Self {
            uuid: uuid.to_owned(),
            phase_request,
            position: watch::Sender::new(Position { log: log_length, events }),
            inner: Mutex::new(Inner {
                connection,
                log,
                state: Progress { spool_offset, log_length, events },
                committed: spool_offset,
                last_commit: Instant::now(),
                line_open: false,
            }),
            home: home.clone(),
        })
    }

    /// Follows what is recorded.
    pub fn follow(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Id of the last request before the current phase, as it was when the recorder was opened.
    pub const fn phase_request(&self) -> u64 {
        self.phase_request
    }

    /// Spool offset up to which everything was recorded, committed or not.
    pub fn spool_offset(&self) -> u64 {
        lock(&self.inner).state.spool_offset
    }

    /// Goes back to what was committed, before a reconnecting agent sends the rest again.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn settle(&self) -> Result<u64> {
        self.commit(&mut lock(&self.inner))
    }

    /// Appends output of the agent; `spool_offset` is where its record ended.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn output(&self, bytes: &[u8], spool_offset: u64) -> Result<()> {
        let mut inner = lock(&self.inner);
        if let Err(source) = inner.log.write_all(bytes) {
            // A part of it may have been written; the next line must not stand behind it.
            let length = inner.state.log_length;
            let _cut = inner.log.set_len(length).and_then(|()| inner.log.seek(SeekFrom::Start(length)));
            return Err(file(&self.home.build(&self.uuid).log(), source));
        }
        inner.state.log_length += bytes.len() as u64;
        inner.state.spool_offset = spool_offset;
        if let Some(last) = bytes.last() {
            inner.line_open = *last != b'\n';
        }
        if inner.last_commit.elapsed() >= COMMIT_INTERVAL {
            self.commit(&mut inner)?;
        }
        let log = inner.state.log_length;
        drop(inner);
        self.position.send_modify(|position| position.log = log);
        Ok(())
    }

    /// Appends an agent line of our own; only while no agent writes.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn line(&self, text: &str) -> Result<()> {
        let (open, offset) = {
            let inner = lock(&self.inner);
            (inner.line_open, inner.state.spool_offset)
        };
        let start = if open { "\n" } else { "" };
        self.output(format!("{start}{}\n", container_line(text, Timestamp::now())).as_bytes(), offset)
    }

    /// Appends text of our own as it is; only while no agent writes.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn text(&self, text: &str) -> Result<()> {
        self.output(text.as_bytes(), self.spool_offset())
    }

    /// Writes down an event, with the spool offset where it ended when the agent told it.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn event(&self, event: &Event, spool_offset: Option<u64>) -> Result<()> {
        self.write(std::slice::from_ref(event), spool_offset, |_| Ok(0))
    }

    /// Writes down, all or nothing, the record as it stands now, what led to it, how its steps stand, and the last
    /// request before the phase that begins.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) fn save(
        &self,
        build: &Build,
        events: &[Event],
        phase_request: u64,
        job: Option<&Job>,
    ) -> Result<()> {
        let record = json(build, build)?;
        let job = job.map(|job| json(build, job)).transpose()?;
        self.write(events, None, |db| {
            if let Some(job) = &job {
                db.execute("INSERT OR REPLACE INTO jobs VALUES (?1, ?2)", params![self.uuid, job])?;
            }
            db.execute(
                "UPDATE builds SET record = ?2, status = ?3, phase_request = ?4 WHERE uuid = ?1",
                params![self.uuid, record, build.build_status.name(), phase_request],
            )
        })
    }

    fn write(
        &self,
        events: &[Event],
        spool_offset: Option<u64>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
    ) -> Result<()> {
        let texts = events
            .iter()
            .map(serde_json::to_string)
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|source| JournalError::Record { build: self.uuid.clone(), source })?;
        let mut inner = lock(&self.inner);
        let first = inner.state.events + 1;
        inner.state.events += events.len() as u64;
        inner.state.spool_offset = spool_offset.unwrap_or(inner.state.spool_offset);
        let (now, log_length) = (Timestamp::now().as_microsecond(), inner.state.log_length);
        self.transact(&mut inner, |db| {
            let mut insert = db.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (number, text) in (first..).zip(&texts) {
                insert.execute(params![self.uuid, number, now, log_length, text])?;
            }
            work(db)
        })?;
        let position = Position { log: inner.state.log_length, events: inner.state.events };
        drop(inner);
        self.position.send_replace(position);
        Ok(())
    }

    /// Writes down the answer to a request of this attempt.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn reply(
        &self,
        request: u64,
        reply: &std::result::Result<Reply, String>,
        spool_offset: u64,
    ) -> Result<()> {
        let text = serde_json::to_string(reply)
            .map_err(|source| JournalError::Record { build: self.uuid.clone(), source })?;
        let mut inner = lock(&self.inner);
        inner.state.spool_offset = spool_offset;
        self.transact(&mut inner, |db| {
            db.execute(
                "INSERT OR REPLACE INTO replies VALUES (?1, ?2, ?3)",
                params![self.uuid, request, text],
            )
        })?;
        Ok(())
    }

    /// The answers already written down, by request.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn replies(&self) -> Result<Vec<(u64, std::result::Result<Reply, String>)>> {
        let inner = lock(&self.inner);
        let rows = inner
            .connection
            .prepare("SELECT request, reply FROM replies WHERE build = ?1 ORDER BY request")
            .and_then(|mut select| {
                select
                    .query_map([&self.uuid], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?)))?
                    .collect::<rusqlite::Result<Vec<_>>>()
            })
            .map_err(|source| database(&self.home, source))?;
        rows.into_iter()
            .map(|(request, text)| {
                let reply = serde_json::from_str(&text)
                    .map_err(|source| JournalError::Record { build: self.uuid.clone(), source })?;
                Ok((request, reply))
            })
            .collect()
    }

    /// How the steps stood when the current phase began.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) fn job(&self) -> Result<Option<Job>> {
        let inner = lock(&self.inner);
        let text = inner
            .connection
            .query_row("SELECT state FROM jobs WHERE build = ?1", [&self.uuid], |row| row.get::<_, String>(0))
            .optional()
            .map_err(|source| database(&self.home, source))?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|source| JournalError::Record { build: self.uuid.clone(), source })
    }

    /// Forgets answers and how the steps stood: they may hold what steps took for secrets, and nobody goes on with a
    /// build that is complete.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) fn forget_answers(&self) -> Result<()> {
        let mut inner = lock(&self.inner);
        self.transact(&mut inner, |db| {
            db.execute("DELETE FROM jobs WHERE build = ?1", [&self.uuid])?;
            db.execute("DELETE FROM replies WHERE build = ?1", [&self.uuid])
        })?;
        forget_changes(&inner.connection).map_err(|source| database(&self.home, source))
    }

    /// Writes down the text of the buildspec.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn save_buildspec(&self, text: &str) -> Result<()> {
        self.update("UPDATE builds SET buildspec = ?2 WHERE uuid = ?1", text)
    }

    /// Writes down the container, so that another process can find it.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn save_placement(&self, placement: &Placement) -> Result<()> {
        let text = serde_json::to_string(placement)
            .map_err(|source| JournalError::Record { build: self.uuid.clone(), source })?;
        self.update("UPDATE builds SET placement = ?2 WHERE uuid = ?1", &text)
    }

    fn update(&self, sql: &str, value: &str) -> Result<()> {
        let inner = lock(&self.inner);
        inner
            .connection
            .execute(sql, params![self.uuid, value])
            .map_err(|source| database(&self.home, source))?;
        Ok(())
    }

    fn commit(&self, inner: &mut Inner) -> Result<u64> {
        self.transact(inner, |_| Ok(0))
    }

    /// Does the work and notes how far log, spool and events are, all or nothing. Returns the spool offset.
    fn transact(
        &self,
        inner: &mut Inner,
        work: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
    ) -> Result<u64> {
        let state = inner.state;
        let run = |db: &Connection| {
            let transaction = db.unchecked_transaction()?;
            work(&transaction)?;
            transaction
                .prepare_cached(
                    "UPDATE builds SET spool_offset = ?2, log_length = ?3, events = ?4 WHERE uuid = ?1",
                )?
                .execute(params![self.uuid, state.spool_offset, state.log_length, state.events])?;
            transaction.commit()
        };
        run(&inner.connection).map_err(|source| database(&self.home, source))?;
        inner.committed = state.spool_offset;
        inner.last_commit = Instant::now();
        Ok(inner.committed)
    }
}

/// An agent line as CodeBuild writes it.
pub fn container_line(text: &str, now: Timestamp) -> String {
    format!("[Container] {} {text}", now.strftime("%Y/%m/%d %H:%M:%S%.6f"))
}

//! Records and events in SQLite, and the log beside them.
//!
//! The log file may hold more than was committed; how long it is, and how far the agent's spool was applied, is
//! committed together, so a supervisor that comes back cuts the log to that length and goes on from that offset.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use runspan_agent_protocol::Reply;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use tokio::sync::watch;

use crate::build::Build;
use crate::event::Event;
use crate::executor::Placement;
use crate::home::Home;
use crate::lifecycle::Status;
use crate::request::BuildRequest;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS builds (
    uuid TEXT PRIMARY KEY, id TEXT NOT NULL, project TEXT NOT NULL, number INTEGER NOT NULL,
    status TEXT NOT NULL, start_us INTEGER NOT NULL, batch TEXT,
    record TEXT NOT NULL, request TEXT NOT NULL, buildspec TEXT, placement TEXT,
    spool_offset INTEGER NOT NULL DEFAULT 0, log_length INTEGER NOT NULL DEFAULT 0,
    events INTEGER NOT NULL DEFAULT 0, phase_request INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS builds_by_start ON builds (start_us);
CREATE TABLE IF NOT EXISTS events (
    build TEXT NOT NULL, number INTEGER NOT NULL, time_us INTEGER NOT NULL, log_offset INTEGER NOT NULL,
    event TEXT NOT NULL, PRIMARY KEY (build, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replies (
    build TEXT NOT NULL, request INTEGER NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (build, request)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    uuid TEXT PRIMARY KEY, id TEXT NOT NULL, project TEXT NOT NULL, number INTEGER NOT NULL,
    status TEXT NOT NULL, start_us INTEGER NOT NULL, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS numbers (
    project TEXT NOT NULL, kind TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (project, kind)
) WITHOUT ROWID;
";

/// How long another process may hold the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);
/// Commits that carry nothing but log progress are at least this far apart.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);

/// What the journal could not do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database.
    #[error("the state database {path} cannot be used: {source}")]
    Database {
        /// Where it is.
        path: String,
        /// Why.
        source: rusqlite::Error,
    },
    /// The log file or a directory.
    #[error("cannot write {path}: {source}")]
    File {
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A record that this version cannot read.
    #[error("the record of build {build} cannot be read: {source}")]
    Record {
        /// Which.
        build: String,
        /// Why.
        source: serde_json::Error,
    },
}

type Result<T> = std::result::Result<T, JournalError>;

/// The database of one state directory.
pub struct Journal {
    connection: Mutex<Connection>,
    home: Home,
}

/// A build as the journal has it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The record.
    pub build: Build,
    /// What was asked for.
    pub request: BuildRequest,
    /// The text of the buildspec, once it was read.
    pub buildspec: Option<String>,
    /// Its container, while it has one.
    pub placement: Option<Placement>,
    /// Committed bytes of the log.
    pub log_length: u64,
}

impl Journal {
    /// Opens, and makes when absent, the database of this state directory.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(home: &Home) -> Result<Self> {
        let connection = connect(&home.database())?;
        connection.execute_batch(SCHEMA).map_err(|source| database(home, source))?;
        Ok(Self { connection: Mutex::new(connection), home: home.clone() })
    }

    /// The state directory.
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The next number of a project's builds, or of its batches; numbers are never used twice.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn next_number(&self, project: &str, kind: &str) -> Result<u64> {
        self.run(|db| {
            db.query_row(
                "INSERT INTO numbers VALUES (?1, ?2, 1)
                 ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last",
                [project, kind],
                |row| row.get(0),
            )
        })
    }

    /// Writes down a new build and opens its recorder.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn create(&self, build: &Build, request: &BuildRequest) -> Result<Recorder> {
        let dir = self.home.build(build.id.uuid());
        dir.create().map_err(|source| file(dir.root(), source))?;
        let (record, wanted) = (json(build, build)?, json(build, request)?);
        self.run(|db| {
            db.execute(
                "INSERT INTO builds (uuid, id, project, number, status, start_us, batch, record, request)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    build.id.uuid(),
                    build.id.as_str(),
                    build.project_name,
                    build.build_number,
                    build.build_status.name(),
                    build.start_time.as_microsecond(),
                    build.build_batch_arn,
                    record,
                    wanted
                ],
            )
        })?;
        self.recorder(build.id.uuid())
    }

    /// Opens the recorder of a build that is in the journal, with its log cut to what was committed.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn recorder(&self, uuid: &str) -> Result<Recorder> {
        let connection = connect(&self.home.database())?;
        let (spool_offset, log_length, events, phase_request) = connection
            .query_row(
                "SELECT spool_offset, log_length, events, phase_request FROM builds WHERE uuid = ?1",
                [uuid],
                |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?, row.get::<_, u64>(2)?, row.get(3)?)),
            )
            .map_err(|source| database(&self.home, source))?;
        let path = self.home.build(uuid).log();
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
        Ok(Recorder {
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
            home: self.home.clone(),
        })
    }

    /// One build, by id, by uuid, or by the first characters of its uuid.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn find(&self, name: &str) -> Result<Option<Stored>> {
        let uuid = name.rsplit_once(':').map_or(name, |(_, uuid)| uuid);
        let Some(uuid) = self.run(|db| {
            db.query_row(
                "SELECT uuid FROM builds WHERE substr(uuid, 1, length(?1)) = ?1 ORDER BY start_us DESC LIMIT 1",
                [uuid],
                |row| row.get::<_, String>(0),
            )
            .optional()
        })?
        else {
            return Ok(None);
        };
        Ok(self.select("WHERE uuid = ?1", [&uuid])?.into_iter().next())
    }

    /// The newest builds first, at most so many, of one project or of all.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn list(&self, project: Option<&str>, limit: usize) -> Result<Vec<Stored>> {
        self.select(
            "WHERE ?1 IS NULL OR project = ?1 ORDER BY start_us DESC LIMIT ?2",
            params![project, limit as u64],
        )
    }

    /// Builds that are not complete.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn unfinished(&self) -> Result<Vec<Stored>> {
        self.select("WHERE status = 'IN_PROGRESS' ORDER BY start_us", [])
    }

    /// Writes down a batch, over what was there of it.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn save_batch(&self, batch: &crate::batch::BuildBatch) -> Result<()> {
        let record = serde_json::to_string(batch)
            .map_err(|source| JournalError::Record { build: batch.id.to_string(), source })?;
        self.run(|db| {
            db.execute(
                "INSERT OR REPLACE INTO batches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    batch.id.uuid(),
                    batch.id.as_str(),
                    batch.project_name,
                    batch.build_batch_number,
                    batch.build_batch_status.name(),
                    batch.start_time.as_microsecond(),
                    record
                ],
            )
        })?;
        Ok(())
    }

    /// One batch, by id, uuid or the first characters of its uuid.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn find_batch(&self, name: &str) -> Result<Option<crate::batch::BuildBatch>> {
        let uuid = name.rsplit_once(':').map_or(name, |(_, uuid)| uuid);
        let record = self.run(|db| {
            db.query_row(
                "SELECT record FROM batches WHERE substr(uuid, 1, length(?1)) = ?1 ORDER BY start_us DESC LIMIT 1",
                [uuid],
                |row| row.get::<_, String>(0),
            )
            .optional()
        })?;
        record
            .map(|record| {
                serde_json::from_str(&record)
                    .map_err(|source| JournalError::Record { build: name.into(), source })
            })
            .transpose()
    }

    /// Events of a build after this number, with number, time and log offset of each.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn events(&self, uuid: &str, after: u64) -> Result<Vec<StoredEvent>> {
        let rows = self.run(|db| {
            db.prepare_cached(
                "SELECT number, time_us, log_offset, event FROM events WHERE build = ?1 AND number > ?2
                 ORDER BY number LIMIT 1000",
            )?
            .query_map(params![uuid, after], |row| {
                Ok((
                    row.get::<_, u64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, u64>(2)?,
                    row.get::<_, String>(3)?,
                ))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.into_iter()
            .map(|(number, time_us, log_offset, event)| {
                let event = serde_json::from_str(&event)
                    .map_err(|source| JournalError::Record { build: uuid.to_owned(), source })?;
                let time = Timestamp::from_microsecond(time_us).unwrap_or_default();
                Ok(StoredEvent { number, time, log_offset, event })
            })
            .collect()
    }

    fn select(&self, condition: &str, parameters: impl rusqlite::Params) -> Result<Vec<Stored>> {
        let sql =
            format!("SELECT uuid, record, request, buildspec, placement, log_length FROM builds {condition}");
        let rows = self.run(|db| {
            db.prepare(&sql)?
                .query_map(parameters, |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, String>(2)?,
                        row.get::<_, Option<String>>(3)?,
                        row.get::<_, Option<String>>(4)?,
                        row.get::<_, u64>(5)?,
                    ))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.into_iter()
            .map(|(uuid, record, request, buildspec, placement, log_length)| {
                let read = || {
                    Ok(Stored {
                        build: serde_json::from_str(&record)?,
                        request: serde_json::from_str(&request)?,
                        buildspec,
                        placement: placement.as_deref().map(serde_json::from_str).transpose()?,
                        log_length,
                    })
                };
                read().map_err(|source| JournalError::Record { build: uuid, source })
            })
            .collect()
    }

    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&lock(&self.connection)).map_err(|source| database(&self.home, source))
    }
}

/// An event as it was written down.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// From 1, without gaps.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// Length of the log when it happened.
    pub log_offset: u64,
    /// What.
    pub event: Event,
}

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
    /// Follows what is recorded.
    pub fn follow(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Id of the last request before the current phase, as it was when the recorder was opened.
    pub const fn phase_request(&self) -> u64 {
        self.phase_request
    }

    /// Spool offset that a reconnecting agent resumes from: all before it is committed.
    pub fn committed_offset(&self) -> u64 {
        lock(&self.inner).committed
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

    /// Writes down, all or nothing, the record as it stands now, what led to it, and the last request before the
    /// phase that begins.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn save(&self, build: &Build, events: &[Event], phase_request: u64) -> Result<()> {
        let record = json(build, build)?;
        self.write(events, None, |db| {
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

/// Whether this status means that somebody must still supervise the build.
pub const fn is_open(status: Status) -> bool {
    matches!(status, Status::InProgress)
}

fn connect(path: &Path) -> Result<Connection> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // The journal must survive the supervisor, not the power: NORMAL does not wait for the disk at each commit.
        let modes = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;";
        let begin = Instant::now();
        loop {
            match connection.execute_batch(modes) {
                // Of several processes that open a new database, SQLite lets one turn WAL on and has none wait.
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && begin.elapsed() < BUSY_TIMEOUT =>
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                result => break result.map(|()| connection),
            }
        }
    };
    open().map_err(|source| JournalError::Database { path: path.display().to_string(), source })
}

fn database(home: &Home, source: rusqlite::Error) -> JournalError {
    JournalError::Database { path: home.database().display().to_string(), source }
}

fn file(path: &Path, source: std::io::Error) -> JournalError {
    JournalError::File { path: path.display().to_string(), source }
}

fn json(build: &Build, value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|source| JournalError::Record { build: build.id.to_string(), source })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

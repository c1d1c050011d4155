//! The SQLite database: its tables, and how it is opened.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, config::DbConfig};

use crate::build::Build;
use crate::home::Home;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS builds (
    uuid TEXT PRIMARY KEY, id TEXT NOT NULL, project TEXT NOT NULL, number INTEGER NOT NULL,
    status TEXT NOT NULL, start_us INTEGER NOT NULL, batch TEXT,
    record TEXT NOT NULL, request TEXT NOT NULL, buildspec TEXT, placement TEXT,
    spool_offset INTEGER NOT NULL DEFAULT 0, log_length INTEGER NOT NULL DEFAULT 0,
    events INTEGER NOT NULL DEFAULT 0, phase_request INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS builds_by_start ON builds (start_us);
CREATE INDEX IF NOT EXISTS builds_unfinished ON builds (start_us) WHERE status = 'IN_PROGRESS';
CREATE TABLE IF NOT EXISTS events (
    build TEXT NOT NULL, number INTEGER NOT NULL, time_us INTEGER NOT NULL, log_offset INTEGER NOT NULL,
    event TEXT NOT NULL, PRIMARY KEY (build, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replies (
    build TEXT NOT NULL, request INTEGER NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (build, request)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (build TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    uuid TEXT PRIMARY KEY, id TEXT NOT NULL, project TEXT NOT NULL, number INTEGER NOT NULL,
    status TEXT NOT NULL, start_us INTEGER NOT NULL, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    build TEXT NOT NULL, name TEXT NOT NULL, log INTEGER NOT NULL, events INTEGER NOT NULL, work TEXT,
    uncertain INTEGER NOT NULL, error TEXT, done INTEGER NOT NULL, PRIMARY KEY (build, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS delivery_parts (
    build TEXT NOT NULL, name TEXT NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (build, name, part)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_open ON deliveries (build) WHERE NOT done;
CREATE TABLE IF NOT EXISTS projects (name TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS report_groups (name TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch_requests (uuid TEXT PRIMARY KEY, request TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch_buildspecs (uuid TEXT PRIMARY KEY, buildspec TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, file TEXT NOT NULL, content TEXT NOT NULL,
    part_bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS upload_parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, etag TEXT NOT NULL, checksum TEXT, PRIMARY KEY (upload, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS numbers (
    project TEXT NOT NULL, kind TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (project, kind)
) WITHOUT ROWID;
";

/// How long another process may hold the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long those who follow builds may take over a look.
const READERS_TIMEOUT: Duration = Duration::from_millis(500);

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

pub(super) type Result<T> = std::result::Result<T, JournalError>;

pub(super) fn connect(path: &Path) -> Result<Connection> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Or every run would wait for the disk four times, to begin a log of changes and to do away with it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // The journal must survive the supervisor, not the power: NORMAL does not wait for the disk at each commit.
        // What is deleted may have been secret, so it is overwritten.
        let modes = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;";
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

/// Empties the log of changes, which holds what was deleted until it is written anew, and which whoever opens the
/// journal next must read whole. When somebody reads all the time it stays; the next build that ends tries again.
pub(super) fn forget_changes(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(READERS_TIMEOUT)?;
    let tried = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    match tried {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(()),
        result => result,
    }
}

pub(super) fn database(home: &Home, source: rusqlite::Error) -> JournalError {
    JournalError::Database { path: home.database().display().to_string(), source }
}

pub(super) fn file(path: &Path, source: std::io::Error) -> JournalError {
    JournalError::File { path: path.display().to_string(), source }
}

pub(super) fn json(build: &Build, value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|source| JournalError::Record { build: build.id.to_string(), source })
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

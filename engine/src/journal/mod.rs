//! Records and events in SQLite, and the log beside them.
//!
//! The log file may hold more than was committed; how long it is, and how far the agent's spool was applied, is
//! committed together, so a supervisor that comes back cuts the log to that length and goes on from that offset.

mod database;
mod deliveries;
mod lists;
mod recorder;
mod reports;
mod resources;
mod uploads;

use std::sync::Mutex;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

pub use database::JournalError;
use database::{Result, SCHEMA, connect, database, file, json, lock};
pub use deliveries::StoredDelivery;
pub use lists::{Order, Span};
pub use recorder::{Position, Recorder, container_line};
pub use reports::Reports;
pub use resources::Resource;

use crate::build::Build;
use crate::event::Event;
use crate::executor::Placement;
use crate::home::Home;
use crate::request::BuildRequest;

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
        Recorder::open(&self.home, uuid)
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

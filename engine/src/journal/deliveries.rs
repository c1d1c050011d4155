//! How far everybody has got who follows a build from outside.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use jiff::Timestamp;

use super::Journal;
use super::database::Result;
use crate::sinks::Cursor;

/// What one sink has of one build, or one thing that is to be taken elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDelivery {
    /// The build's uuid.
    pub build: String,
    /// The sink, or what is to be taken.
    pub name: String,
    /// How far the sink has got.
    pub cursor: Cursor,
    /// What is to be done, when it is one thing and no stream.
    pub work: Option<String>,
    /// A try began whose end nobody noted.
    pub uncertain: bool,
    /// The parts of the next page that have arrived, by the sink's own numbers.
    pub taken: BTreeSet<u64>,
    /// Why the last try failed.
    pub error: Option<String>,
    /// Everything arrived.
    pub done: bool,
}

impl StoredDelivery {
    /// Nothing of it was tried.
    pub fn new(build: &str, name: &str) -> Self {
        Self {
            build: build.to_owned(),
            name: name.to_owned(),
            cursor: Cursor::default(),
            work: None,
            uncertain: false,
            taken: BTreeSet::new(),
            error: None,
            done: false,
        }
    }
}

impl Journal {
    /// Writes down how a delivery stands.
    ///
    /// # Errors
    /// [`JournalError`](super::JournalError).
    pub fn save_delivery(&self, delivery: &StoredDelivery) -> Result<()> {
        let StoredDelivery { build, name, cursor, work, uncertain, taken, error, done } = delivery;
        self.run(|db| {
            let all = db.unchecked_transaction()?;
            all.execute(
                "INSERT OR REPLACE INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![build, name, cursor.log, cursor.events, work, uncertain, error, done],
            )?;
            all.execute("DELETE FROM delivery_parts WHERE build = ?1 AND name = ?2", [build, name])?;
            for part in taken {
                all.execute("INSERT INTO delivery_parts VALUES (?1, ?2, ?3)", params![build, name, part])?;
            }
            all.commit()
        })
    }

    /// Every delivery of a build.
    ///
    /// # Errors
    /// [`JournalError`](super::JournalError).
    pub fn deliveries(&self, uuid: &str) -> Result<Vec<StoredDelivery>> {
        self.run(|db| {
            let mut parts =
                db.prepare_cached("SELECT part FROM delivery_parts WHERE build = ?1 AND name = ?2")?;
            db.prepare_cached(
                "SELECT name, log, events, work, uncertain, error, done FROM deliveries WHERE build = ?1 ORDER BY name",
            )?
            .query_map([uuid], |row| {
                let name: String = row.get(0)?;
                Ok(StoredDelivery {
                    build: uuid.to_owned(),
                    taken: parts.query_map([uuid, &name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?,
                    name,
                    cursor: Cursor { log: row.get(1)?, events: row.get(2)? },
                    work: row.get(3)?,
                    uncertain: row.get(4)?,
                    error: row.get(5)?,
                    done: row.get(6)?,
                })
            })?
            .collect()
        })
    }

    /// Uuids of complete builds and batches of which something was not delivered, the oldest first.
    ///
    /// # Errors
    /// [`JournalError`](super::JournalError).
    pub fn undelivered(&self) -> Result<Vec<String>> {
        self.run(|db| {
            db.prepare(
                "SELECT DISTINCT uuid FROM
                 (SELECT uuid, status, start_us FROM builds UNION ALL SELECT uuid, status, start_us FROM batches)
                 JOIN deliveries ON build = uuid WHERE NOT done AND status <> 'IN_PROGRESS' ORDER BY start_us",
            )?
            .query_map([], |row| row.get(0))?
            .collect()
        })
    }

    /// Committed bytes of a build's log, and when the build started.
    ///
    /// # Errors
    /// [`JournalError`](super::JournalError).
    pub fn log_length(&self, uuid: &str) -> Result<(u64, Timestamp)> {
        self.run(|db| {
            db.prepare_cached("SELECT log_length, start_us FROM builds WHERE uuid = ?1")?
                .query_row([uuid], |row| Ok((row.get(0)?, timestamp(row.get(1)?))))
        })
    }

    /// When an event of a build was written down.
    ///
    /// # Errors
    /// [`JournalError`](super::JournalError).
    pub fn event_time(&self, uuid: &str, number: u64) -> Result<Option<Timestamp>> {
        self.run(|db| {
            db.prepare_cached("SELECT time_us FROM events WHERE build = ?1 AND number = ?2")?
                .query_row(params![uuid, number], |row| row.get(0).map(timestamp))
                .optional()
        })
    }
}

fn timestamp(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or_default()
}

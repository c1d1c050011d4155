//! Builds and batches one page at a time, and what is done to one that is over.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::database::{JournalError, Result, file};
use super::{Journal, Stored};
use crate::batch::BuildBatch;
use crate::build::BuildId;
use crate::request::BuildRequest;
use crate::sinks::Cursor;

/// How long CodeBuild remembers a token.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// Which end of a list comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The oldest.
    Ascending,
    /// The newest.
    #[default]
    Descending,
}

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Which end comes first.
    pub order: Order,
    /// So many are left out.
    pub from: u64,
    /// So many at most.
    pub count: u64,
}

impl Span {
    fn sql(self, table: &str, condition: &str) -> String {
        let order = match self.order {
            Order::Ascending => "ASC",
            Order::Descending => "DESC",
        };
        format!(
            "SELECT id FROM {table} WHERE {condition} ORDER BY start_us {order}, uuid {order} LIMIT ?1 OFFSET ?2"
        )
    }
}

impl Journal {
    /// Ids of builds, of one project or of all.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn build_ids(&self, project: Option<&str>, span: Span) -> Result<Vec<String>> {
        let sql = span.sql("builds", "(?3 IS NULL OR project = ?3)");
        self.run(|db| {
            db.prepare_cached(&sql)?
                .query_map(params![span.count, span.from, project], |row| row.get(0))?
                .collect()
        })
    }

    /// Ids of batches, of one project or of all, with this status or with any.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn batch_ids(&self, project: Option<&str>, status: Option<&str>, span: Span) -> Result<Vec<String>> {
        let sql = span.sql("batches", "(?3 IS NULL OR project = ?3) AND (?4 IS NULL OR status = ?4)");
        self.run(|db| {
            db.prepare_cached(&sql)?
                .query_map(params![span.count, span.from, project, status], |row| row.get(0))?
                .collect()
        })
    }

    /// Ids of the builds that were begun for a batch.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn builds_of_batch(&self, arn: &str) -> Result<Vec<BuildId>> {
        self.run(|db| {
            db.prepare("SELECT id FROM builds WHERE batch = ?1 ORDER BY start_us")?
                .query_map([arn], |row| row.get(0).map(|id: String| BuildId::from_text(&id)))?
                .collect()
        })
    }

    /// Batches that are not complete.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn unfinished_batches(&self) -> Result<Vec<BuildBatch>> {
        let all = Span { order: Order::Ascending, from: 0, count: u32::MAX.into() };
        let ids = self.batch_ids(None, Some("IN_PROGRESS"), all)?;
        Ok(ids
            .iter()
            .map(|id| self.find_batch(id))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// The build of exactly this id.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn build(&self, id: &str) -> Result<Option<Stored>> {
        Ok(self.select("WHERE id = ?1", [id])?.into_iter().next())
    }

    /// The build of the last minutes that was asked for with this token.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn by_token(&self, token: &str) -> Result<Option<Stored>> {
        let since = (Timestamp::now() - TOKEN_LIFE).as_microsecond();
        let condition = "WHERE start_us > ?1 AND json_extract(request, '$.idempotency_token') = ?2";
        Ok(self.select(condition, params![since, token])?.into_iter().next())
    }

    /// The batch of the last minutes that was asked for with this token, and what it was asked for with.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn batch_by_token(&self, token: &str) -> Result<Option<(BuildId, BuildRequest)>> {
        let since = (Timestamp::now() - TOKEN_LIFE).as_microsecond();
        let id = self.run(|db| {
            let sql = "SELECT id FROM batches JOIN batch_requests USING (uuid)
                       WHERE start_us > ?1 AND json_extract(request, '$.idempotency_token') = ?2";
            db.query_row(sql, params![since, token], |row| row.get::<_, String>(0)).optional()
        })?;
        let Some(id) = id.map(BuildId::from_text) else { return Ok(None) };
        Ok(self.batch_request(id.uuid())?.map(|request| (id, request)))
    }

    /// Writes into the record of a build that is over which one is tried in its place.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) fn note_retry(&self, uuid: &str, next: &str) -> Result<()> {
        self.run(|db| {
            let sql = "UPDATE builds SET record = json_set(record, '$.autoRetryConfig.nextAutoRetry', ?2)
                       WHERE uuid = ?1";
            db.execute(sql, [uuid, next])
        })?;
        Ok(())
    }

    /// Builds of a project that have not ended.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn active(&self, project: &str) -> Result<u64> {
        self.run(|db| {
            let sql = "SELECT count(*) FROM builds WHERE project = ?1 AND status = 'IN_PROGRESS'";
            db.query_row(sql, [project], |row| row.get(0))
        })
    }

    /// Forgets a build that is over, with its log and all it made; false when there is none that is.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn delete_build(&self, uuid: &str) -> Result<bool> {
        let gone = self
            .run(|db| db.execute("DELETE FROM builds WHERE uuid = ?1 AND status <> 'IN_PROGRESS'", [uuid]))?;
        if gone == 0 {
            return Ok(false);
        }
        self.run(|db| {
            for table in ["events", "replies", "deliveries", "delivery_parts", "jobs"] {
                db.execute(&format!("DELETE FROM {table} WHERE build = ?1"), [uuid])?;
            }
            Ok(())
        })?;
        let dir = self.home.build(uuid);
        match fs::remove_dir_all(dir.root()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file(dir.root(), error)),
            _ => Ok(true),
        }
    }

    /// Forgets a batch that is over, with what it made; its builds stay. False when there is none that is.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn delete_batch(&self, uuid: &str) -> Result<bool> {
        let gone = self.run(|db| {
            let gone =
                db.execute("DELETE FROM batches WHERE uuid = ?1 AND status <> 'IN_PROGRESS'", [uuid])?;
            if gone == 1 {
                for table in ["batch_requests", "batch_buildspecs"] {
                    db.execute(&format!("DELETE FROM {table} WHERE uuid = ?1"), [uuid])?;
                }
            }
            Ok(gone)
        })?;
        if gone == 0 {
            return Ok(false);
        }
        let dir = self.home.batch(uuid);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file(&dir, error)),
            _ => Ok(true),
        }
    }

    /// Keeps what a batch was asked for with, for another try and for another process.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn keep_batch_request(&self, uuid: &str, request: &BuildRequest) -> Result<()> {
        let text = serde_json::to_string(request)
            .map_err(|source| JournalError::Record { build: uuid.to_owned(), source })?;
        self.run(|db| db.execute("INSERT OR REPLACE INTO batch_requests VALUES (?1, ?2)", [uuid, &text]))?;
        Ok(())
    }

    /// What a batch was asked for with.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn batch_request(&self, uuid: &str) -> Result<Option<BuildRequest>> {
        let text = self.run(|db| {
            let sql = "SELECT request FROM batch_requests WHERE uuid = ?1";
            db.query_row(sql, [uuid], |row| row.get::<_, String>(0)).optional()
        })?;
        text.map(|text| {
            serde_json::from_str(&text)
                .map_err(|source| JournalError::Record { build: uuid.to_owned(), source })
        })
        .transpose()
    }

    /// Keeps the text of the buildspec that says which builds a batch has.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) fn keep_batch_buildspec(&self, uuid: &str, text: &str) -> Result<()> {
        self.run(|db| db.execute("INSERT OR REPLACE INTO batch_buildspecs VALUES (?1, ?2)", [uuid, text]))?;
        Ok(())
    }

    /// The text of a batch's buildspec, once it was read.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) fn batch_buildspec(&self, uuid: &str) -> Result<Option<String>> {
        self.run(|db| {
            let sql = "SELECT buildspec FROM batch_buildspecs WHERE uuid = ?1";
            db.query_row(sql, [uuid], |row| row.get(0)).optional()
        })
    }

    /// Where to read on from so many bytes of a build's log.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn cursor(&self, uuid: &str, log: u64) -> Result<Cursor> {
        let events = self.run(|db| {
            let sql = "SELECT coalesce(max(number), 0) FROM events WHERE build = ?1 AND log_offset <= ?2";
            db.query_row(sql, params![uuid, log], |row| row.get(0))
        })?;
        Ok(Cursor { log, events })
    }
}

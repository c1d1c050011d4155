//! What CodeBuild's API makes and builds use: each by its name, as that API describes it.

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::Journal;
use super::database::{JournalError, Result};

/// What a resource is; each kind has names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A project.
    Project,
    /// A group of reports, with where their raw files go.
    ReportGroup,
}

impl Resource {
    const fn table(self) -> &'static str {
        match self {
            Self::Project => "projects",
            Self::ReportGroup => "report_groups",
        }
    }
}

impl Journal {
    /// A resource's record.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn resource(&self, kind: Resource, name: &str) -> Result<Option<Value>> {
        let sql = format!("SELECT record FROM {} WHERE name = ?1", kind.table());
        let record = self.run(|db| db.query_row(&sql, [name], |row| row.get::<_, String>(0)).optional())?;
        record.map(|record| read(name, &record)).transpose()
    }

    /// Every record of a kind, by name.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn resources(&self, kind: Resource) -> Result<Vec<Value>> {
        let sql = format!("SELECT name, record FROM {} ORDER BY name", kind.table());
        let rows = self.run(|db| {
            db.prepare(&sql)?
                .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.iter().map(|(name, record)| read(name, record)).collect()
    }

    /// Writes down a new resource; false when there is one of this name.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn create_resource(&self, kind: Resource, name: &str, record: &Value) -> Result<bool> {
        let sql = format!("INSERT INTO {} VALUES (?1, ?2) ON CONFLICT DO NOTHING", kind.table());
        Ok(self.run(|db| db.execute(&sql, params![name, record.to_string()]))? == 1)
    }

    /// Writes down what a resource is now; false when there is none of this name.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn update_resource(&self, kind: Resource, name: &str, record: &Value) -> Result<bool> {
        let sql = format!("UPDATE {} SET record = ?2 WHERE name = ?1", kind.table());
        Ok(self.run(|db| db.execute(&sql, params![name, record.to_string()]))? == 1)
    }

    /// Forgets a resource; builds and reports stay.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn delete_resource(&self, kind: Resource, name: &str) -> Result<()> {
        let sql = format!("DELETE FROM {} WHERE name = ?1", kind.table());
        self.run(|db| db.execute(&sql, [name])).map(drop)
    }
}

fn read(name: &str, record: &str) -> Result<Value> {
    serde_json::from_str(record).map_err(|source| JournalError::Record { build: name.to_owned(), source })
}

//! The projects of this state directory, each as CodeBuild's API describes it.

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::Journal;
use super::database::{JournalError, Result};

impl Journal {
    /// A project's record.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn project(&self, name: &str) -> Result<Option<Value>> {
        let record = self.run(|db| {
            db.query_row("SELECT record FROM projects WHERE name = ?1", [name], |row| row.get::<_, String>(0))
                .optional()
        })?;
        record.map(|record| read(name, &record)).transpose()
    }

    /// Every project's record, by name.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn projects(&self) -> Result<Vec<Value>> {
        let rows = self.run(|db| {
            db.prepare("SELECT name, record FROM projects ORDER BY name")?
                .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.iter().map(|(name, record)| read(name, record)).collect()
    }

    /// Writes down a new project; false when there is one of this name.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn create_project(&self, name: &str, record: &Value) -> Result<bool> {
        let made = self.run(|db| {
            let sql = "INSERT INTO projects VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            db.execute(sql, params![name, record.to_string()])
        })?;
        Ok(made == 1)
    }

    /// Writes down what a project is now; false when there is none of this name.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn update_project(&self, name: &str, record: &Value) -> Result<bool> {
        let changed = self.run(|db| {
            db.execute("UPDATE projects SET record = ?2 WHERE name = ?1", params![name, record.to_string()])
        })?;
        Ok(changed == 1)
    }

    /// Forgets a project; its builds stay.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn delete_project(&self, name: &str) -> Result<()> {
        self.run(|db| db.execute("DELETE FROM projects WHERE name = ?1", [name])).map(drop)
    }
}

fn read(name: &str, record: &str) -> Result<Value> {
    serde_json::from_str(record).map_err(|source| JournalError::Record { build: name.to_owned(), source })
}

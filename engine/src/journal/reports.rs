//! Reports of builds, and those that batches merged of them.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use rusqlite::OptionalExtension;
use serde_json::Value;

use super::Journal;
use super::database::{JournalError, Result, file};
use crate::build::Build;
use crate::reports::Report;

/// Every report with whose it is. A batch keeps what is in its reports beside each; a build, in files.
const ALL: &str = "
SELECT uuid, value AS report, NULL AS details, start_us, key FROM builds, json_each(record, '$.reports')
UNION ALL
SELECT uuid, json_extract(value, '$.report'), value, start_us, key FROM batches, json_each(record, '$.reports')";

/// Which reports are meant.
#[derive(Clone, Copy, Debug)]
pub enum Reports<'a> {
    /// The one with this ARN.
    Arn(&'a str),
    /// Those of the group with this ARN.
    Group(&'a str),
}

impl<'a> Reports<'a> {
    const fn member(self) -> (&'static str, &'a str) {
        match self {
            Self::Arn(arn) => ("arn", arn),
            Self::Group(arn) => ("reportGroupArn", arn),
        }
    }
}

impl Journal {
    /// Every report, those of the newest builds first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn reports(&self) -> Result<Vec<Value>> {
        let sql = format!("SELECT uuid, report FROM ({ALL}) ORDER BY start_us DESC, uuid, key DESC");
        let rows = self.run(|db| {
            db.prepare(&sql)?
                .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.iter().map(|(build, report)| read(build, report)).collect()
    }

    /// All that a report says, down to its test cases or files.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn report_details(&self, arn: &str) -> Result<Option<Value>> {
        let sql =
            format!("SELECT uuid, report, details FROM ({ALL}) WHERE json_extract(report, '$.arn') = ?1");
        let found = self.run(|db| {
            db.query_row(&sql, [arn], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
            })
            .optional()
        })?;
        let Some((build, report, details)) = found else { return Ok(None) };
        if let Some(details) = details {
            return read(&build, &details).map(Some);
        }
        let path = self.report_file(&build, &read(&build, &report)?);
        match fs::read_to_string(&path) {
            Ok(text) => read(&build, &text).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file(&path, error)),
        }
    }

    /// A build's reports, read again; one that cannot be read any more is left out.
    pub(crate) fn kept_reports(&self, build: &Build) -> Vec<Report> {
        let kept = |arn: &String| Report::from_json(&self.report_details(arn).ok()??);
        build.report_arns.iter().filter_map(kept).collect()
    }

    /// Forgets reports of builds and batches that are over.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn delete_reports(&self, which: Reports<'_>) -> Result<()> {
        let (member, arn) = which.member();
        let sql = format!(
            "SELECT uuid, report FROM ({ALL}) JOIN builds USING (uuid)
             WHERE json_extract(report, '$.{member}') = ?1 AND status <> 'IN_PROGRESS'"
        );
        let of_builds = self.run(|db| {
            db.prepare(&sql)?
                .query_map([arn], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for (build, report) in &of_builds {
            let path = self.report_file(build, &read(build, report)?);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(file(&path, error)),
                _ => {}
            }
        }
        self.run(|db| {
            for (table, at) in [("builds", ""), ("batches", "report.")] {
                let is_it = format!("json_extract(value, '$.{at}{member}') = ?1");
                db.execute(
                    &format!(
                        "UPDATE {table} SET record = json_set(record, '$.reports', json(
                             (SELECT json_group_array(json(value)) FROM json_each(record, '$.reports') WHERE NOT {is_it})))
                         WHERE status <> 'IN_PROGRESS'
                           AND EXISTS (SELECT 1 FROM json_each(record, '$.reports') WHERE {is_it})"
                    ),
                    [arn],
                )?;
            }
            Ok(())
        })
    }

    fn report_file(&self, build: &str, report: &Value) -> PathBuf {
        let group = report["reportGroupArn"].as_str().unwrap_or_default();
        let name = group.split_once(":report-group/").map_or(group, |(_, name)| name);
        self.home().build(build).reports().join(format!("{}.json", name.replace('/', "-")))
    }
}

fn read(build: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|source| JournalError::Record { build: build.to_owned(), source })
}

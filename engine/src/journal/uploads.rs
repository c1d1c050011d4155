//! Uploads in parts that are under way, so that whoever comes next goes on with them.

use std::path::PathBuf;

use rusqlite::params;

use super::Journal;
use super::database::Result;
use crate::ports::{Place, StartedUpload, UploadedPart, Uploads};

impl Journal {
    fn started(&self) -> Result<Vec<StartedUpload>> {
        let mut all: Vec<StartedUpload> = self.run(|db| {
            db.prepare_cached("SELECT id, bucket, key, file, content, part_bytes FROM uploads")?
                .query_map([], |row| {
                    Ok(StartedUpload {
                        id: row.get(0)?,
                        place: Place::new(row.get::<_, String>(1)?, row.get::<_, String>(2)?),
                        file: PathBuf::from(row.get::<_, String>(3)?),
                        content: row.get(4)?,
                        part_bytes: row.get(5)?,
                        parts: Vec::new(),
                    })
                })?
                .collect()
        })?;
        for upload in &mut all {
            upload.parts = self.run(|db| {
                db.prepare_cached(
                    "SELECT number, etag, checksum FROM upload_parts WHERE upload = ?1 ORDER BY number",
                )?
                .query_map([&upload.id], |row| {
                    Ok(UploadedPart { number: row.get(0)?, etag: row.get(1)?, checksum: row.get(2)? })
                })?
                .collect()
            })?;
        }
        Ok(all)
    }
}

/// What cannot be written down is begun anew by whoever comes next.
impl Uploads for Journal {
    fn all(&self) -> Vec<StartedUpload> {
        self.started().unwrap_or_default()
    }

    fn begin(&self, upload: &StartedUpload) {
        let StartedUpload { id, place, file, content, part_bytes, .. } = upload;
        let file = file.to_string_lossy();
        let _unknown = self.run(|db| {
            db.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![id, place.bucket, place.key, file, content, part_bytes],
            )
        });
    }

    fn arrived(&self, id: &str, part: &UploadedPart) {
        let UploadedPart { number, etag, checksum } = part;
        let _unknown = self.run(|db| {
            db.prepare_cached("INSERT OR REPLACE INTO upload_parts VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![id, number, etag, checksum])
        });
    }

    fn end(&self, id: &str) {
        let _known = self.run(|db| {
            db.execute("DELETE FROM upload_parts WHERE upload = ?1", [id])?;
            db.execute("DELETE FROM uploads WHERE id = ?1", [id])
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Home;

    #[test]
    fn an_upload_is_known_until_it_ends() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::open(place.path().join("home")).unwrap();
        let part = |number| UploadedPart { number, etag: format!("e{number}"), checksum: None };
        let mut upload = StartedUpload {
            id: "u".into(),
            place: Place::new("b", "k"),
            file: "/f".into(),
            content: "c".into(),
            part_bytes: 8,
            parts: Vec::new(),
        };
        let journal = Journal::open(&home).unwrap();
        journal.begin(&upload);
        for number in [2, 1, 2] {
            journal.arrived("u", &part(number));
        }
        drop(journal);
        let journal = Journal::open(&home).unwrap();
        upload.parts = vec![part(1), part(2)];
        assert_eq!(journal.all(), [upload]);
        journal.end("u");
        assert_eq!(journal.all(), []);
    }
}

//! Bytes, as Azure's blob service takes and gives them.

use std::path::PathBuf;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use futures_util::StreamExt as _;
use quick_xml::events::Event;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};
use tokio_util::io::ReaderStream;

use super::refusals::BlobRefusal;
use super::{App, on_disk};
use crate::disk::{Target, UploadId};
use crate::error::StorageError;
use crate::keys::Purpose;

/// Bytes that are written or sent at once.
const PIECE: usize = 256 << 10;
/// Of a list of fifty thousand blocks.
const LONGEST_LIST: usize = 16 << 20;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/storage/{*path}", put(write).get(read).head(read))
}

#[derive(Deserialize)]
struct Access {
    job: String,
    se: i64,
    sig: String,
    comp: Option<String>,
    blockid: Option<String>,
}

impl Access {
    /// An address is good as long as its job runs, and for a while.
    fn check(&self, app: &App, purpose: Purpose, path: &str) -> Result<(), StorageError> {
        let good = app.keys.is_good(purpose, path, &self.job, self.se, &self.sig);
        if good && app.jobs.is_here(&self.job) {
            return Ok(());
        }
        Err(StorageError::Denied("the address is not good, or not any more".to_owned()))
    }
}

async fn write(
    State(app): State<App>,
    Path(path): Path<String>,
    Query(access): Query<Access>,
    body: Body,
) -> Result<Response, BlobRefusal> {
    access.check(&app, Purpose::Write, &path)?;
    let id = path.strip_prefix("uploads/").and_then(|id| id.parse().ok()).map(UploadId);
    let id = id.ok_or_else(|| StorageError::NotFound("there is no such upload".to_owned()))?;
    match access.comp.as_deref() {
        None => {
            let part = receive(&app, id, body).await?;
            on_disk(&app, move |service| service.store.arriving(id).settle_whole(&part)).await?;
        }
        Some("block") => {
            let block = access.blockid.unwrap_or_default();
            let part = receive(&app, id, body).await?;
            on_disk(&app, move |service| service.store.arriving(id).settle_block(&part, &block)).await?;
        }
        Some("blocklist") => {
            let xml = to_bytes(body, LONGEST_LIST).await;
            let xml = xml.map_err(|error| StorageError::Broken(error.to_string()))?;
            let ids = block_list(&xml)?;
            on_disk(&app, move |service| service.store.arriving(id).join(&ids)).await?;
        }
        Some(other) => {
            return Err(StorageError::Invalid(format!("`comp={other}` is not known here")).into());
        }
    }
    Ok((StatusCode::CREATED, [("x-ms-request-server-encrypted", "false")]).into_response())
}

/// Writes what arrives into a part of an upload.
pub(super) async fn receive(app: &App, id: UploadId, body: Body) -> Result<PathBuf, StorageError> {
    let part = app.store.arriving(id).part();
    let written = write_part(app, id, &part, body).await;
    if written.is_err() {
        // Of no use to anybody; what remains goes with its upload.
        let _gone = tokio::fs::remove_file(&part).await;
    }
    written.map(|()| part)
}

async fn write_part(app: &App, id: UploadId, part: &PathBuf, body: Body) -> Result<(), StorageError> {
    let file = match tokio::fs::File::create_new(part).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StorageError::NotFound("there is no such upload".to_owned()));
        }
        made => made.map_err(StorageError::disk("make", part))?,
    };
    let mut file = BufWriter::with_capacity(PIECE, file);
    let mut pieces = body.into_data_stream();
    let mut so_far = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| StorageError::Broken(error.to_string()))?;
        so_far += piece.len() as u64;
        app.store.take(id, piece.len() as u64, so_far)?;
        file.write_all(&piece).await.map_err(StorageError::disk("write", part))?;
    }
    file.flush().await.map_err(StorageError::disk("write", part))
}

/// The names of `<BlockList><Latest>…</Latest></BlockList>`.
fn block_list(xml: &[u8]) -> Result<Vec<String>, StorageError> {
    let broken = || StorageError::Invalid("the list of blocks is no XML".to_owned());
    let text = std::str::from_utf8(xml).map_err(|_| broken())?;
    let mut reader = quick_xml::Reader::from_str(text);
    let mut ids = Vec::new();
    loop {
        match reader.read_event().map_err(|_| broken())? {
            Event::Start(tag) if matches!(tag.name().as_ref(), "Latest" | "Uncommitted" | "Committed") => {
                let id = reader.read_text(tag.name()).map_err(|_| broken())?;
                ids.push(id.trim().to_owned());
            }
            Event::Eof => return Ok(ids),
            _ => {}
        }
    }
}

async fn read(
    State(app): State<App>,
    Path(path): Path<String>,
    Query(access): Query<Access>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, BlobRefusal> {
    access.check(&app, Purpose::Read, &path)?;
    let (entry, file) = on_disk(&app, move |service| service.store.read(path.as_ref())).await?;
    let range = ["x-ms-range", "range"].iter().find_map(|name| headers.get(*name)?.to_str().ok());
    let (from, to) = match range {
        None => (0, entry.size),
        Some(range) => part(range, entry.size)
            .ok_or_else(|| StorageError::Invalid(format!("`{range}` is no part of {} bytes", entry.size)))?,
    };
    let (kind, name) = match &entry.target {
        Target::Cache { .. } => ("application/octet-stream", None),
        Target::Artifact { content_type, name, .. } => (content_type.as_str(), Some(name)),
    };
    let mut answer = Response::builder()
        .status(if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK })
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, to - from)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, format!("\"{}\"", entry.sha256))
        .header("x-ms-blob-type", "BlockBlob");
    if range.is_some() {
        let place = format!("bytes {from}-{}/{}", to.saturating_sub(1), entry.size);
        answer = answer.header(header::CONTENT_RANGE, place);
    }
    if let Some(name) = name {
        let disposition = format!("attachment; filename*=UTF-8''{}", encoded(name));
        answer = answer.header(header::CONTENT_DISPOSITION, disposition);
    }
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let mut file = tokio::fs::File::from_std(file);
        let sought = file.seek(std::io::SeekFrom::Start(from)).await;
        sought.map_err(StorageError::disk("read", "data"))?;
        Body::from_stream(ReaderStream::with_capacity(file.take(to - from), PIECE))
    };
    answer.body(body).map_err(|error| StorageError::Invalid(error.to_string()).into())
}

/// From where to where a range goes, of so many bytes.
fn part(range: &str, size: u64) -> Option<(u64, u64)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    if from.is_empty() {
        return Some((size.saturating_sub(to.parse().ok()?), size));
    }
    let from = from.parse().ok()?;
    let to = if to.is_empty() { size } else { to.parse::<u64>().ok()?.checked_add(1)?.min(size) };
    (from < to).then_some((from, to))
}

/// A name in a header.
fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_as_http_has_them() {
        assert_eq!(part("bytes=0-3", 10), Some((0, 4)));
        assert_eq!(part("bytes=4-", 10), Some((4, 10)));
        assert_eq!(part("bytes=8-99", 10), Some((8, 10)));
        assert_eq!(part("bytes=-3", 10), Some((7, 10)));
        for wrong in
            ["bytes=10-11", "bytes=5-4", "bytes=a-b", "lines=1-2", "bytes=-", "bytes=0-18446744073709551615"]
        {
            assert_eq!(part(wrong, 10), None, "{wrong}");
        }
    }

    #[test]
    fn a_list_of_blocks_is_read_in_its_order() {
        let xml = b"<?xml version=\"1.0\"?><BlockList><Latest>Yg==</Latest><Uncommitted>YQ==</Uncommitted></BlockList>";
        assert_eq!(block_list(xml).unwrap(), ["Yg==", "YQ=="]);
        assert!(block_list(b"<BlockList><Latest>").is_err());
    }
}

//! The blob service.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::put,
};
use serde::Deserialize;

use super::{
    refusals::BlobRefusal,
    signed::{Purpose, good},
};
use crate::{
    model::{BlobKind, Put, Refused},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/blobs/{*name}", put(write).get(read).head(read)).layer(DefaultBodyLimit::disable())
}

#[derive(Deserialize)]
struct Access {
    #[serde(default)]
    se: i64,
    #[serde(default)]
    sig: String,
    comp: Option<String>,
    blockid: Option<String>,
    seal: Option<String>,
}

fn denied() -> Refused {
    Refused::Forbidden("AuthenticationFailed".to_owned())
}

async fn write(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(access): Query<Access>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, BlobRefusal> {
    if !good(&app, &name, Purpose::Write, access.se, &access.sig) {
        return Err(denied().into());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let sealed = text("x-ms-blob-sealed").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let put = match access.comp.as_deref() {
        Some("appendblock") => Put::AppendBlock { seal: sealed || access.seal.as_deref() == Some("true") },
        Some("seal") => Put::Seal,
        Some("block") => Put::Block(access.blockid.unwrap_or_default()),
        Some("blocklist") => Put::BlockList(block_list(&String::from_utf8_lossy(&body))),
        Some(other) => return Err(Refused::BadRequest(format!("InvalidQueryParameterValue: {other}")).into()),
        None => {
            let kind = match text("x-ms-blob-type") {
                Some("BlockBlob") => BlobKind::Block,
                Some("AppendBlob") => BlobKind::Append,
                Some(_) => {
                    return Err(Refused::BadRequest("InvalidHeaderValue: x-ms-blob-type".to_owned()).into());
                }
                None => {
                    let why = "MissingRequiredHeader: x-ms-blob-type".to_owned();
                    return Err(Refused::BadRequest(why).into());
                }
            };
            let content_type = text("x-ms-blob-content-type").or_else(|| text("content-type"));
            Put::Whole {
                kind,
                new_only: text("if-none-match") == Some("*"),
                content_type: content_type.unwrap_or("application/octet-stream").to_owned(),
            }
        }
    };
    app.change(|github| github.put_blob(&name, put, body.to_vec()))?;
    Ok((StatusCode::CREATED, [("x-ms-request-server-encrypted", "true")]).into_response())
}

/// The block ids of `<BlockList><Latest>…</Latest></BlockList>`.
fn block_list(xml: &str) -> Vec<String> {
    xml.split('<')
        .filter_map(|tag| {
            let (name, text) = tag.split_once('>')?;
            matches!(name, "Latest" | "Uncommitted" | "Committed").then(|| text.trim().to_owned())
        })
        .collect()
}

async fn read(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(access): Query<Access>,
    headers: HeaderMap,
) -> Result<Response, BlobRefusal> {
    if !good(&app, &name, Purpose::Read, access.se, &access.sig) {
        return Err(denied().into());
    }
    let blob = app
        .read(|github| github.blobs.get(&name).map(|blob| (blob.bytes.clone(), blob.content_type.clone())));
    let (bytes, content_type) = blob.ok_or_else(|| Refused::NotFound("BlobNotFound".to_owned()))?;
    let range = ["x-ms-range", "range"].iter().find_map(|name| headers.get(*name)?.to_str().ok());
    let part = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let total = bytes.len();
    match part {
        Some((from, to)) => {
            let from: usize = from.parse().unwrap_or_default();
            let to = to.parse::<usize>().map_or(total, |to| to + 1).min(total);
            let slice = bytes.get(from..to).unwrap_or_default().to_vec();
            let place = format!("bytes {from}-{}/{total}", to.saturating_sub(1));
            let headers = [(header::CONTENT_TYPE, content_type), (header::CONTENT_RANGE, place)];
            Ok((StatusCode::PARTIAL_CONTENT, headers, slice).into_response())
        }
        None => Ok(([(header::CONTENT_TYPE, content_type)], bytes).into_response()),
    }
}

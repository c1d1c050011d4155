//! An object into a file. Where the connection breaks, what lacks is asked for.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use runspan_engine::ports::{Metadata, ObjectError, Place};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::{absent_or_failed, failed};
use crate::error::{CallError, causes};
use crate::permissions::GET_OBJECT;

/// So many answers that bring little are enough.
const TRIES: u32 = 3;
/// And so many bytes are not little.
const MUCH: u64 = 1 << 20;

/// Fetches an object into a file, made anew. Returns its metadata; `None` when there is no such object.
pub(super) async fn get(client: &Client, place: &Place, to: &Path) -> Result<Option<Metadata>, ObjectError> {
    let disk = |error| ObjectError::Refused(format!("cannot write {}: {error}", to.display()));
    let mut file = File::create(to).await.map_err(disk)?;
    let (mut written, mut whose, mut tries) = (0, None, TRIES);
    loop {
        let request = client.get_object().bucket(&place.bucket).key(&place.key);
        let request = request.set_version_id(place.version.clone());
        let rest = (written > 0).then(|| format!("bytes={written}-"));
        let answer = match request.set_range(rest).set_if_match(whose.clone()).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = CallError::of(&error, GET_OBJECT);
                if written == 0 {
                    return absent_or_failed(error, place);
                }
                tries -= 1;
                if !matches!(error.code(), "PreconditionFailed" | "412" | "NoSuchKey") || tries == 0 {
                    return Err(failed(error, place));
                }
                // There is another one now.
                file.set_len(0).await.map_err(disk)?;
                file.rewind().await.map_err(disk)?;
                (written, whose) = (0, None);
                continue;
            }
        };
        whose = answer.e_tag;
        let before = written;
        match copy(answer.body, &mut file, &mut written).await {
            Ok(()) => {
                file.flush().await.map_err(disk)?;
                return Ok(Some(answer.metadata.unwrap_or_default().into_iter().collect()));
            }
            Err(Failure::Disk(error)) => return Err(disk(error)),
            Err(Failure::Cut(reason)) => {
                tries = if written - before >= MUCH { TRIES } else { tries - 1 };
                if tries == 0 {
                    let place = place.arn();
                    return Err(ObjectError::Unavailable(format!("{place} did not arrive whole: {reason}")));
                }
            }
        }
    }
}

enum Failure {
    Disk(std::io::Error),
    Cut(String),
}

async fn copy(mut body: ByteStream, file: &mut File, written: &mut u64) -> Result<(), Failure> {
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| Failure::Cut(causes(&error)))?;
        file.write_all(&piece).await.map_err(Failure::Disk)?;
        *written += piece.len() as u64;
    }
    Ok(())
}

//! A large file in parts, several at once, each read from disk as it is sent and each with its checksum. What has
//! arrived is written down, so that a later try, of this process or of another, sends only the rest.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use futures_util::stream::{FuturesUnordered, StreamExt};
use runspan_engine::ports::{NewObject, ObjectError, StartedUpload, UploadedPart, Uploads};

use super::{failed, settings, unreadable};
use crate::error::CallError;
use crate::permissions::PUT_OBJECT;

const PART: u64 = 8 << 20;
/// Read at once; each read goes through another thread.
const READ: usize = 512 << 10;
/// S3 takes no more of one object.
const MAX_PARTS: u64 = 10_000;
/// Parts on their way at the same time.
const AT_ONCE: usize = 8;

/// Puts a file of so many bytes. The object appears when its last part is there. What came of a try that failed waits for
/// the next one, where one may succeed; else it is taken back.
pub(super) async fn put(
    client: &Client,
    uploads: Option<&dyn Uploads>,
    object: &NewObject,
    bytes: u64,
) -> Result<(), ObjectError> {
    let content = content(object, bytes).await?;
    let known = uploads.map(Uploads::all).unwrap_or_default();
    let of_object = known.into_iter().filter(|upload| upload.place == object.place);
    let mut again = None;
    for upload in of_object {
        if upload.content == content && again.is_none() {
            again = Some(upload);
        } else if upload.file == object.file {
            // Of a file that was there before.
            take_back(client, uploads, &upload).await;
        }
    }
    let upload = match again {
        Some(upload) => upload,
        None => begin(client, uploads, object, content.clone(), bytes).await?,
    };
    match finish(client, uploads, object, &upload, bytes).await {
        Err(Failure { is_unknown: true, .. }) => {
            if let Some(uploads) = uploads {
                uploads.end(&upload.id);
            }
            if is_there(client, object, bytes).await {
                return Ok(());
            }
            // Somebody has taken it back.
            let upload = begin(client, uploads, object, content, bytes).await?;
            settle(client, uploads, &upload, finish(client, uploads, object, &upload, bytes).await).await
        }
        result => settle(client, uploads, &upload, result).await,
    }
}

/// Takes back what uploads left whose files are gone.
pub(super) async fn tidy(client: &Client, uploads: &dyn Uploads) {
    for upload in uploads.all() {
        if !upload.file.exists() {
            take_back(client, Some(uploads), &upload).await;
        }
    }
}

/// Whether an upload that is over made the object, and the answer that said so was lost.
async fn is_there(client: &Client, object: &NewObject, bytes: u64) -> bool {
    let request = client.head_object().bucket(&object.place.bucket).key(&object.place.key);
    let Ok(found) = request.send().await else { return false };
    let metadata = found.metadata.unwrap_or_default();
    found.content_length.is_some_and(|length| length.cast_unsigned() == bytes)
        && object.metadata.iter().all(|(name, value)| metadata.get(name) == Some(value))
}

/// What an upload could not do.
struct Failure {
    error: ObjectError,
    /// There is no such upload.
    is_unknown: bool,
}

async fn settle(
    client: &Client,
    uploads: Option<&dyn Uploads>,
    upload: &StartedUpload,
    result: Result<(), Failure>,
) -> Result<(), ObjectError> {
    let Err(Failure { error, .. }) = result else {
        if let Some(uploads) = uploads {
            uploads.end(&upload.id);
        }
        return Ok(());
    };
    if uploads.is_none() || matches!(error, ObjectError::Refused(_)) {
        take_back(client, uploads, upload).await;
    }
    Err(error)
}

/// A bucket's lifecycle rules take care of what could not be taken back.
async fn take_back(client: &Client, uploads: Option<&dyn Uploads>, upload: &StartedUpload) {
    let abort = client.abort_multipart_upload().bucket(&upload.place.bucket).key(&upload.place.key);
    let aborted = abort.upload_id(&upload.id).send().await;
    let is_gone = match aborted {
        Ok(_) => true,
        Err(error) => !CallError::of(&error, PUT_OBJECT).is_passing(),
    };
    if is_gone && let Some(uploads) = uploads {
        uploads.end(&upload.id);
    }
}

/// What tells the file's content from any other: its sum where that is known, else when it was written.
async fn content(object: &NewObject, bytes: u64) -> Result<String, ObjectError> {
    if let Some(sum) = object.metadata.get("codebuild-content-sha256") {
        return Ok(format!("{bytes} {sum}"));
    }
    let modified = tokio::fs::metadata(&object.file)
        .await
        .and_then(|metadata| metadata.modified())
        .map_err(|error| unreadable(object, &error))?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{bytes} {} {}", since.as_nanos(), object.file.display()))
}

async fn begin(
    client: &Client,
    uploads: Option<&dyn Uploads>,
    object: &NewObject,
    content: String,
    bytes: u64,
) -> Result<StartedUpload, ObjectError> {
    let place = &object.place;
    let settings = settings::of(object);
    let upload = client
        .create_multipart_upload()
        .bucket(&place.bucket)
        .key(&place.key)
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .set_server_side_encryption(settings.encryption)
        .set_ssekms_key_id(settings.key)
        .set_acl(settings.acl)
        .set_content_type(settings.content_type)
        .set_content_encoding(settings.content_encoding)
        .set_metadata(Some(settings.metadata))
        .send()
        .await
        .map_err(|error| failed(CallError::of(&error, PUT_OBJECT), place))?;
    let started = StartedUpload {
        id: upload.upload_id.unwrap_or_default(),
        place: place.clone(),
        file: object.file.clone(),
        content,
        part_bytes: PART.max(bytes.div_ceil(MAX_PARTS)),
        parts: Vec::new(),
    };
    if let Some(uploads) = uploads {
        uploads.begin(&started);
    }
    Ok(started)
}

/// Sends the parts that have not arrived, and has the object made of all.
async fn finish(
    client: &Client,
    uploads: Option<&dyn Uploads>,
    object: &NewObject,
    upload: &StartedUpload,
    bytes: u64,
) -> Result<(), Failure> {
    let mut parts: BTreeMap<i32, UploadedPart> =
        upload.parts.iter().map(|part| (part.number, part.clone())).collect();
    let mut missing = (1..)
        .take(bytes.div_ceil(upload.part_bytes) as usize)
        .filter(|number| !upload.parts.iter().any(|part| part.number == *number));
    let mut running = FuturesUnordered::new();
    let mut failure = None;
    loop {
        // After a failure nothing more is sent, but what is on its way may arrive.
        while failure.is_none()
            && running.len() < AT_ONCE
            && let Some(number) = missing.next()
        {
            running.push(part(client, object, upload, number, bytes));
        }
        match running.next().await {
            Some(Err(error)) => failure = failure.or(Some(error)),
            Some(Ok(part)) => {
                if let Some(uploads) = uploads {
                    uploads.arrived(&upload.id, &part);
                }
                parts.insert(part.number, part);
            }
            None => break,
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    let completed = parts.into_values().map(|UploadedPart { number, etag, checksum }| {
        CompletedPart::builder().part_number(number).e_tag(etag).set_checksum_crc32(checksum).build()
    });
    let all = CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build();
    let place = &object.place;
    client
        .complete_multipart_upload()
        .bucket(&place.bucket)
        .key(&place.key)
        .upload_id(&upload.id)
        .multipart_upload(all)
        .send()
        .await
        .map(drop)
        .map_err(|error| failed_call(CallError::of(&error, PUT_OBJECT), object))
}

async fn part(
    client: &Client,
    object: &NewObject,
    upload: &StartedUpload,
    number: i32,
    bytes: u64,
) -> Result<UploadedPart, Failure> {
    let offset = u64::from(number.unsigned_abs() - 1) * upload.part_bytes;
    let body = ByteStream::read_from()
        .path(&object.file)
        .buffer_size(READ)
        .offset(offset)
        .length(Length::Exact(upload.part_bytes.min(bytes - offset)))
        .build()
        .await
        .map_err(|error| Failure { error: unreadable(object, &error), is_unknown: false })?;
    let sent = client
        .upload_part()
        .bucket(&object.place.bucket)
        .key(&object.place.key)
        .upload_id(&upload.id)
        .part_number(number)
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .body(body)
        .send()
        .await
        .map_err(|error| failed_call(CallError::of(&error, PUT_OBJECT), object))?;
    Ok(UploadedPart { number, etag: sent.e_tag.unwrap_or_default(), checksum: sent.checksum_crc32 })
}

fn failed_call(error: CallError, object: &NewObject) -> Failure {
    let is_unknown = error.code() == "NoSuchUpload";
    Failure { error: failed(error, &object.place), is_unknown }
}

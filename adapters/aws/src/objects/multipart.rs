//! A large file in parts, several at once, each read from disk as it is sent and each with its checksum.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use futures_util::stream::{FuturesUnordered, StreamExt};
use runspan_engine::ports::{NewObject, ObjectError};

use super::{failed, settings, unreadable};
use crate::error::CallError;
use crate::permissions::PUT_OBJECT;

const PART: u64 = 8 << 20;
/// S3 takes no more of one object.
const MAX_PARTS: u64 = 10_000;
/// Parts on their way at the same time.
const AT_ONCE: usize = 8;

/// Puts a file of so many bytes. The object appears when its last part is there; what came of a try that failed is
/// taken back.
pub(super) async fn put(client: &Client, object: &NewObject, bytes: u64) -> Result<(), ObjectError> {
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
    let id = upload.upload_id.unwrap_or_default();
    let sent = send(client, object, &id, bytes).await;
    if sent.is_err() {
        // A bucket's lifecycle rules take care of what could not be taken back.
        let abort = client.abort_multipart_upload().bucket(&place.bucket).key(&place.key);
        let _left = abort.upload_id(&id).send().await;
    }
    sent
}

async fn send(client: &Client, object: &NewObject, id: &str, bytes: u64) -> Result<(), ObjectError> {
    let place = &object.place;
    let size = PART.max(bytes.div_ceil(MAX_PARTS));
    let mut indices = 0..bytes.div_ceil(size);
    let (mut running, mut parts) = (FuturesUnordered::new(), Vec::new());
    loop {
        while running.len() < AT_ONCE
            && let Some(index) = indices.next()
        {
            running.push(part(client, object, id, index, size, bytes));
        }
        match running.next().await {
            Some(part) => parts.push(part?),
            None => break,
        }
    }
    parts.sort_by_key(CompletedPart::part_number);
    client
        .complete_multipart_upload()
        .bucket(&place.bucket)
        .key(&place.key)
        .upload_id(id)
        .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
        .send()
        .await
        .map(drop)
        .map_err(|error| failed(CallError::of(&error, PUT_OBJECT), place))
}

async fn part(
    client: &Client,
    object: &NewObject,
    id: &str,
    index: u64,
    size: u64,
    bytes: u64,
) -> Result<CompletedPart, ObjectError> {
    let offset = index * size;
    let number = i32::try_from(index + 1).unwrap_or(i32::MAX);
    let body = ByteStream::read_from()
        .path(&object.file)
        .offset(offset)
        .length(Length::Exact(size.min(bytes - offset)))
        .build()
        .await
        .map_err(|error| unreadable(object, &error))?;
    let sent = client
        .upload_part()
        .bucket(&object.place.bucket)
        .key(&object.place.key)
        .upload_id(id)
        .part_number(number)
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .body(body)
        .send()
        .await
        .map_err(|error| failed(CallError::of(&error, PUT_OBJECT), &object.place))?;
    Ok(CompletedPart::builder()
        .part_number(number)
        .set_e_tag(sent.e_tag)
        .set_checksum_crc32(sent.checksum_crc32)
        .build())
}

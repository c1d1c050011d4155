//! Objects in S3: artifacts, caches, sources, logs.

mod download;
mod multipart;
mod settings;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use futures_util::stream::{FuturesUnordered, StreamExt};
use runspan_engine::ports::{Metadata, NewObject, ObjectError, ObjectStore, Place, PutError, Uploads};

use crate::account::Account;
use crate::error::CallError;
use crate::permissions::{GET_OBJECT, LIST_BUCKET, PUT_OBJECT};

/// Objects on their way at the same time.
const AT_ONCE: usize = 16;
/// Larger files go in parts.
const WHOLE: u64 = 8 << 20;

/// The buckets of an account.
pub struct S3 {
    account: Arc<Account>,
    uploads: Option<Arc<dyn Uploads>>,
}

impl S3 {
    /// Of this account.
    pub const fn new(account: Arc<Account>) -> Self {
        Self { account, uploads: None }
    }

    /// The same, with uploads that others may go on with.
    #[must_use]
    pub fn remembering(self, uploads: Arc<dyn Uploads>) -> Self {
        Self { uploads: Some(uploads), ..self }
    }

    async fn put_one(&self, object: &NewObject) -> Result<(), ObjectError> {
        let bytes =
            tokio::fs::metadata(&object.file).await.map_err(|error| unreadable(object, &error))?.len();
        if bytes > WHOLE {
            return multipart::put(self.account.s3().await, self.uploads.as_deref(), object, bytes).await;
        }
        let body = ByteStream::from_path(&object.file).await.map_err(|error| unreadable(object, &error))?;
        let settings = settings::of(object);
        self.account
            .s3()
            .await
            .put_object()
            .bucket(&object.place.bucket)
            .key(&object.place.key)
            .set_server_side_encryption(settings.encryption)
            .set_ssekms_key_id(settings.key)
            .set_acl(settings.acl)
            .set_content_type(settings.content_type)
            .set_content_encoding(settings.content_encoding)
            .set_metadata(Some(settings.metadata))
            .body(body)
            .send()
            .await
            .map(drop)
            .map_err(|error| failed(CallError::of(&error, PUT_OBJECT), &object.place))
    }
}

#[async_trait]
impl ObjectStore for S3 {
    async fn put(&self, objects: &[NewObject]) -> Result<(), PutError> {
        let mut waiting = objects.iter().enumerate();
        let (mut running, mut arrived, mut failure) = (FuturesUnordered::new(), BTreeSet::new(), None);
        loop {
            // After a failure nothing more is sent, but what is on its way may arrive.
            while failure.is_none()
                && running.len() < AT_ONCE
                && let Some((index, object)) = waiting.next()
            {
                running.push(async move { (index, self.put_one(object).await) });
            }
            match running.next().await {
                Some((index, Ok(()))) => drop(arrived.insert(index)),
                Some((_, Err(error))) => failure = failure.or(Some(error)),
                None => return failure.map_or(Ok(()), |error| Err(PutError { error, arrived })),
            }
        }
    }

    async fn get(&self, place: &Place, to: &Path) -> Result<Option<Metadata>, ObjectError> {
        download::get(self.account.s3().await, place, to).await
    }

    async fn head(&self, place: &Place) -> Result<Option<Metadata>, ObjectError> {
        let request = self.account.s3().await.head_object().bucket(&place.bucket).key(&place.key);
        match request.set_version_id(place.version.clone()).send().await {
            Ok(answer) => Ok(Some(answer.metadata.unwrap_or_default().into_iter().collect())),
            Err(error) => absent_or_failed(CallError::of(&error, GET_OBJECT), place),
        }
    }

    async fn tidy(&self) {
        if let Some(uploads) = self.uploads.as_deref().filter(|uploads| !uploads.all().is_empty()) {
            multipart::tidy(self.account.s3().await, uploads).await;
        }
    }

    async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let place = Place::new(bucket, prefix);
        let client = self.account.s3().await;
        let mut pages = client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(CallError::of(&error, LIST_BUCKET), &place))?;
            found.extend(
                page.contents
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|object| Some((object.last_modified, object.key?))),
            );
        }
        found.sort_by_key(|(modified, _)| std::cmp::Reverse(modified.map(|time| time.as_nanos())));
        Ok(found.into_iter().map(|(_, key)| key).collect())
    }
}

fn absent_or_failed<T>(error: CallError, place: &Place) -> Result<Option<T>, ObjectError> {
    match error.code() {
        "NoSuchKey" | "NotFound" | "404" => Ok(None),
        _ => Err(failed(error, place)),
    }
}

pub(crate) fn failed(error: CallError, place: &Place) -> ObjectError {
    let text = format!("{error} ({})", place.arn());
    if error.is_passing() { ObjectError::Unavailable(text) } else { ObjectError::Refused(text) }
}

fn unreadable(object: &NewObject, error: &dyn std::error::Error) -> ObjectError {
    ObjectError::Refused(format!("cannot read {}: {}", object.file.display(), crate::error::causes(error)))
}

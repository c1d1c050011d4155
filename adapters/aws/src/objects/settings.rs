//! How an object is kept, in S3's terms.

use std::collections::HashMap;

use aws_sdk_s3::types::{ObjectCannedAcl, ServerSideEncryption};
use runspan_engine::ports::{Encryption, NewObject};
use runspan_engine::project::BucketOwnerAccess;

pub(super) struct Settings {
    pub(super) encryption: Option<ServerSideEncryption>,
    pub(super) key: Option<String>,
    pub(super) acl: Option<ObjectCannedAcl>,
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) metadata: HashMap<String, String>,
}

pub(super) fn of(object: &NewObject) -> Settings {
    let (encryption, key) = match &object.encryption {
        Encryption::Bucket => (None, None),
        Encryption::ManagedKey => (Some(ServerSideEncryption::AwsKms), None),
        Encryption::Key(key) => (Some(ServerSideEncryption::AwsKms), Some(key.clone())),
    };
    let (content_type, content_encoding) = match &object.content {
        Some((kind, encoding)) => (Some(kind.clone()), encoding.clone()),
        None => (None, None),
    };
    Settings {
        encryption,
        key,
        acl: match object.owner_access {
            BucketOwnerAccess::None => None,
            BucketOwnerAccess::ReadOnly => Some(ObjectCannedAcl::BucketOwnerRead),
            BucketOwnerAccess::Full => Some(ObjectCannedAcl::BucketOwnerFullControl),
        },
        content_type,
        content_encoding,
        metadata: object.metadata.clone().into_iter().collect(),
    }
}

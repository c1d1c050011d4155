//! What the engine needs of the world outside and others give: secrets, objects, and whoever wants to know.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use runspan_agent_protocol::{GitLogin, RoleCredentials, Variable};
use serde::{Deserialize, Serialize};

use crate::RegistryLogin;
use crate::project::{BucketOwnerAccess, EnvironmentVariable, SourceType};
use crate::sinks::Sink;

/// Everything that was plugged in. A build that asks for what is not here is told so.
#[derive(Clone, Default)]
pub struct Ports {
    /// Values of variables that are not PLAINTEXT.
    pub secrets: Option<Arc<dyn SecretStore>>,
    /// Artifacts, caches and sources.
    pub objects: Option<Arc<dyn ObjectStore>>,
    /// Logins for git hosts.
    pub logins: Option<Arc<dyn SourceLogins>>,
    /// Who a build may be elsewhere.
    pub identities: Option<Arc<dyn Identities>>,
    /// What builds may speak to that ask for it.
    pub service: Option<Arc<dyn LocalService>>,
    /// Those who follow builds.
    pub sinks: Vec<Arc<dyn Sink>>,
}

/// A service of this machine that builds may speak to. Nothing listens on a network: their agents hand connections on.
pub trait LocalService: Send + Sync {
    /// Takes a connection that a process of some build has made; called on a thread that may wait.
    ///
    /// # Errors
    /// When it cannot be served; the connection is closed then.
    fn connect(&self, stream: UnixStream) -> io::Result<()>;
}

/// Knows the login that a source of some kind is fetched with.
pub trait SourceLogins: Send + Sync {
    /// The login for this URL, if there is one.
    fn login(&self, kind: SourceType, url: &str) -> Option<GitLogin>;
}

/// Fetches what variables refer to.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// The values of these variables, none of which is PLAINTEXT, for one build.
    ///
    /// # Errors
    /// [`SecretError`], as the build's record will say it.
    async fn fetch(&self, references: &[EnvironmentVariable]) -> Result<Vec<Variable>, SecretError>;
}

/// CodeBuild's status code when a secret could not be had.
pub const SECRETS_MANAGER_ERROR: &str = "Secrets Manager Error";
/// CodeBuild's status code when a parameter could not be had.
pub const PARAMETER_STORE_ERROR: &str = "Decrypted Variables Error";

/// Why a value could not be had; CodeBuild's status code and message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status_code}: {message}")]
pub struct SecretError {
    /// As in `Secrets Manager Error`.
    pub status_code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

/// Who a build, or whoever runs it, is elsewhere.
pub trait Identities: Send + Sync {
    /// Whoever runs the program.
    fn own(&self) -> Arc<dyn Identity>;

    /// A role, for a session of this name.
    fn role(&self, arn: &str, session: &str) -> Arc<dyn Identity>;
}

/// Somebody, and what can be had as that one.
#[async_trait]
pub trait Identity: Send + Sync {
    /// Credentials, new ones in time before the old ones end.
    ///
    /// # Errors
    /// Why there are none, in words.
    async fn credentials(&self) -> Result<RoleCredentials, String>;

    /// A login for a git repository, by host and path of its URL; `None` for a host that is not of this world.
    ///
    /// # Errors
    /// Why there is none, in words.
    async fn git_login(&self, host: &str, path: &str) -> Result<Option<GitLogin>, String>;

    /// A login for a registry of images; `None` for one that is not of this world.
    ///
    /// # Errors
    /// Why there is none, in words.
    async fn registry_login(&self, registry: &str) -> Result<Option<RegistryLogin>, String>;
}

/// Keeps files as objects, as S3 does.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Stores files. An object appears whole or not at all; one of the same key is replaced.
    ///
    /// # Errors
    /// [`PutError`], which knows what is there all the same.
    async fn put(&self, objects: &[NewObject]) -> Result<(), PutError>;

    /// Fetches an object into a file, made anew. Returns its metadata; `None` when there is no such object.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn get(&self, place: &Place, to: &Path) -> Result<Option<Metadata>, ObjectError>;

    /// The metadata of an object; `None` when there is no such object.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn head(&self, place: &Place) -> Result<Option<Metadata>, ObjectError>;

    /// Keys that begin so, the newest first.
    ///
    /// # Errors
    /// [`ObjectError`].
    async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, ObjectError>;

    /// Takes back what uploads left there whose files are gone.
    async fn tidy(&self) {}
}

/// Remembers uploads in parts, so that whoever comes next goes on with them.
pub trait Uploads: Send + Sync {
    /// Every upload that is under way, also by other processes.
    fn all(&self) -> Vec<StartedUpload>;

    /// One begins.
    fn begin(&self, upload: &StartedUpload);

    /// A part of it has arrived.
    fn arrived(&self, id: &str, part: &UploadedPart);

    /// It is over, however.
    fn end(&self, id: &str);
}

/// An upload in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedUpload {
    /// The store's id of it.
    pub id: String,
    /// Where the object will be.
    pub place: Place,
    /// The file.
    pub file: PathBuf,
    /// What tells its content from any other.
    pub content: String,
    /// Bytes of a part.
    pub part_bytes: u64,
    /// Those that have arrived, by number.
    pub parts: Vec<UploadedPart>,
}

/// A part that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    /// From 1.
    pub number: i32,
    /// The store's own word for what arrived.
    pub etag: String,
    /// Its CRC-32.
    pub checksum: Option<String>,
}

/// `x-amz-meta-*`.
pub type Metadata = std::collections::BTreeMap<String, String>;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its version; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Place {
    /// The newest version of an object.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into(), version: None }
    }

    /// `bucket/key`, also as an ARN or a `s3://` URL.
    pub fn parse(location: &str) -> Self {
        let path = ["arn:aws:s3:::", "arn:aws-cn:s3:::", "arn:aws-us-gov:s3:::", "s3://"]
            .iter()
            .find_map(|prefix| location.strip_prefix(prefix))
            .unwrap_or(location);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Self::new(bucket, key)
    }

    /// Its ARN.
    pub fn arn(&self) -> String {
        let separator = if self.key.is_empty() { "" } else { "/" };
        format!("arn:aws:s3:::{}{separator}{}", self.bucket, self.key)
    }
}

/// A file that becomes an object. It is kept with a build while it waits to be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewObject {
    /// Where it goes.
    pub place: Place,
    /// The file.
    pub file: PathBuf,
    /// How it is encrypted there.
    pub encryption: Encryption,
    /// What the bucket's owner may do with it.
    pub owner_access: BucketOwnerAccess,
    /// `x-amz-meta-*`.
    pub metadata: Metadata,
    /// `Content-Type` and, of a compressed text, `Content-Encoding`.
    pub content: Option<(String, Option<String>)>,
}

/// Server-side encryption.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// `encryptionDisabled`: whatever the bucket does by itself.
    Bucket,
    /// SSE-KMS with the key that S3 keeps for the account.
    #[default]
    ManagedKey,
    /// SSE-KMS with this key.
    Key(String),
}

impl Encryption {
    /// By the settings of a project.
    pub fn of(disabled: Option<bool>, key: Option<&str>) -> Self {
        match (disabled, key) {
            (Some(true), _) => Self::Bucket,
            (_, Some(key)) => Self::Key(key.to_owned()),
            (_, None) => Self::ManagedKey,
        }
    }
}

/// What an object store could not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// It said no, and will say so again.
    #[error("{0}")]
    Refused(String),
    /// It does not answer, or not now.
    #[error("{0}")]
    Unavailable(String),
}

/// What could not be stored, and what could.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct PutError {
    /// Why not all.
    pub error: ObjectError,
    /// Which have arrived, by their indexes.
    pub arrived: BTreeSet<usize>,
}

impl PutError {
    /// Parts objects into those that have arrived and those that have not.
    pub fn split<'a>(&self, objects: &'a [NewObject]) -> (Vec<&'a NewObject>, Vec<&'a NewObject>) {
        let (arrived, left): (Vec<_>, Vec<_>) =
            objects.iter().enumerate().partition(|(index, _)| self.arrived.contains(index));
        let only = |all: Vec<(usize, &'a NewObject)>| all.into_iter().map(|(_, object)| object).collect();
        (only(arrived), only(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_codebuild_writes_them() {
        for (text, bucket, key) in [
            ("b/a/c.zip", "b", "a/c.zip"),
            ("arn:aws:s3:::b/a", "b", "a"),
            ("s3://b/a/", "b", "a/"),
            ("b", "b", ""),
        ] {
            assert_eq!(Place::parse(text), Place::new(bucket, key), "{text}");
        }
        assert_eq!(Place::new("b", "").arn(), "arn:aws:s3:::b");
        assert_eq!(Place::new("b", "k/x").arn(), "arn:aws:s3:::b/k/x");
    }
}

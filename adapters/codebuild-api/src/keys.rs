//! The access keys that may call this API.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use runspan_agent_protocol::Secret;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::private_file::PrivateFile;

/// An access key, as AWS's clients know one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiKey {
    /// Whose it is; builds name it as their initiator.
    pub name: String,
    /// `aws_access_key_id`.
    pub id: String,
    /// `aws_secret_access_key`.
    pub secret: Secret,
    /// When it was made.
    pub created: Timestamp,
}

/// Every access key of this machine.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    file: PrivateFile,
}

impl ApiKeys {
    /// Those of a state directory.
    pub fn of(home: &Path) -> Self {
        Self { file: PrivateFile::new(home.join("api-keys.json")) }
    }

    /// Where they are kept.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// All of them, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.file.read()
    }

    /// Makes a key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn create(&self, name: &str) -> Result<ApiKey, StoreError> {
        let random = |source: aws_lc_rs::error::Unspecified| StoreError {
            path: self.file.path().to_owned(),
            source: std::io::Error::other(source),
        };
        let mut bytes = [0; 40];
        aws_lc_rs::rand::fill(&mut bytes).map_err(random)?;
        let (id, secret) = bytes.split_at(10);
        let key = ApiKey {
            name: name.to_owned(),
            // As long as AWS's, and none of AWS's.
            id: format!("RSPN{}", hex(id).to_uppercase().get(..16).unwrap_or_default()),
            secret: Secret::new(hex(secret)),
            created: Timestamp::now(),
        };
        self.file.change(|keys: &mut Vec<ApiKey>| keys.push(key.clone()))?;
        Ok(key)
    }

    /// Removes the key of this id, or those of this name; how many there were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove(&self, name: &str) -> Result<usize, StoreError> {
        self.file.change(|keys: &mut Vec<ApiKey>| {
            let before = keys.len();
            keys.retain(|key| key.id != name && key.name != name);
            before - keys.len()
        })
    }

    pub(crate) fn find(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.list()?.into_iter().find(|key| key.id == id))
    }
}

/// Bytes as AWS writes digests.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_kept_for_their_owners_eyes() {
        let home = tempfile::tempdir().unwrap();
        let keys = ApiKeys::of(home.path());
        let (one, other) = (keys.create("me").unwrap(), keys.create("me").unwrap());
        assert!(one.id != other.id && one.secret != other.secret);
        assert_eq!((one.id.len(), one.secret.reveal().len()), (20, 60));
        assert!(!format!("{one:?}").contains(one.secret.reveal()));
        assert_eq!(std::fs::metadata(keys.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keys.find(&one.id).unwrap().map(|key| key.secret), Some(one.secret));
        assert_eq!(keys.remove(&one.id).unwrap(), 1);
        assert!(keys.find(&one.id).unwrap().is_none());
        assert_eq!((keys.remove("me").unwrap(), keys.remove("me").unwrap()), (1, 0));
    }
}

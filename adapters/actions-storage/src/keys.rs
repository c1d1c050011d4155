//! Signatures of addresses, under a key that outlives the process: a job that goes on with the next one still has its
//! addresses.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;

use crate::error::StorageError;

const KEY_BYTES: usize = 32;
/// An address is used at once, but a large file takes its time.
const ADDRESS_LIFE: Duration = Duration::from_secs(3600);

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

pub(crate) struct Keys {
    addresses: hmac::Key,
}

impl Keys {
    /// Reads the key, and makes it when there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        let secret = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path)?,
            read => read.map_err(StorageError::disk("read", path))?,
        };
        if secret.len() != KEY_BYTES {
            let why = io::Error::new(io::ErrorKind::InvalidData, "it is no key; remove it for a new one");
            return Err(StorageError::disk("use", path)(why));
        }
        Ok(Self { addresses: hmac::Key::new(hmac::HMAC_SHA256, &secret) })
    }

    fn make(path: &Path) -> Result<Vec<u8>, StorageError> {
        let mut secret = vec![0; KEY_BYTES];
        rand::fill(&mut secret).map_err(|_| {
            StorageError::disk("make", path)(io::Error::other("the system gives no random bytes"))
        })?;
        let temporary = path.with_extension(uuid::Uuid::new_v4().to_string());
        let write = || -> io::Result<Vec<u8>> {
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)?
                .write_all(&secret)?;
            // Another process may have made one meanwhile, which then counts.
            let linked = fs::hard_link(&temporary, path);
            fs::remove_file(&temporary)?;
            match linked {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => fs::read(path),
            }
        };
        write().map_err(StorageError::disk("make", path))
    }

    /// Until when an address of this purpose and path is good, and its signature.
    pub(crate) fn sign(&self, purpose: Purpose, path: &str, job: &str) -> (i64, String) {
        let until = Timestamp::now().as_second() + ADDRESS_LIFE.as_secs().cast_signed();
        let signature = hmac::sign(&self.addresses, &signed(purpose, path, job, until));
        (until, BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// Whether an address is ours and still good.
    pub(crate) fn is_good(
        &self,
        purpose: Purpose,
        path: &str,
        job: &str,
        until: i64,
        signature: &str,
    ) -> bool {
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else { return false };
        until >= Timestamp::now().as_second()
            && hmac::verify(&self.addresses, &signed(purpose, path, job, until), &signature).is_ok()
    }

    /// A number that nobody else can aim at.
    pub(crate) fn number(&self, text: &str) -> u64 {
        let tag = hmac::sign(&self.addresses, text.as_bytes());
        let first = tag.as_ref().first_chunk().copied().unwrap_or_default();
        // JavaScript keeps 53 bits.
        u64::from_be_bytes(first) >> 11
    }
}

/// Each field with its length, so that no two addresses are the same bytes.
fn signed(purpose: Purpose, path: &str, job: &str, until: i64) -> Vec<u8> {
    let purpose = match purpose {
        Purpose::Read => "read",
        Purpose::Write => "write",
    };
    let until = until.to_string();
    [purpose, path, job, &until]
        .iter()
        .flat_map(|field| (field.len() as u64).to_be_bytes().into_iter().chain(field.bytes()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn keys() -> (tempfile::TempDir, Keys) {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(&folder.path().join("key")).unwrap();
        (folder, keys)
    }

    #[test]
    fn an_address_is_good_for_what_it_was_made_for() {
        let (folder, keys) = keys();
        let path = folder.path().join("key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (until, signature) = keys.sign(Purpose::Read, "a/b", "job");
        let good = |purpose, path, job, until| keys.is_good(purpose, path, job, until, &signature);
        assert!(good(Purpose::Read, "a/b", "job", until));
        assert!(!good(Purpose::Write, "a/b", "job", until));
        assert!(!good(Purpose::Read, "a/bj", "ob", until));
        assert!(!good(Purpose::Read, "a/b", "job", until + 1));
        let past = Timestamp::now().as_second() - 1;
        let old = hmac::sign(&keys.addresses, &signed(Purpose::Read, "a/b", "job", past));
        let old = BASE64_URL_SAFE_NO_PAD.encode(old);
        assert!(!keys.is_good(Purpose::Read, "a/b", "job", past, &old));
        // The next process signs in the same way, another machine does not.
        let is_good = |keys: &Keys| keys.is_good(Purpose::Read, "a/b", "job", until, &signature);
        assert!(is_good(&Keys::open(&path).unwrap()));
        let (_other_folder, other) = self::keys();
        assert!(!is_good(&other));
    }
}

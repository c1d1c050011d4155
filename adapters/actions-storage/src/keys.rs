//! Tokens of jobs and signatures of addresses, under one key that outlives the process: a job that goes on with the
//! next one still has its token.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use runspan_agent_protocol::Secret;
use serde::{Deserialize, Serialize};

use crate::error::StorageError;
use crate::grant::{Grant, Scope};

const ISSUER: &str = "runspan";
const KEY_BYTES: usize = 32;
/// No job runs longer; it is dismissed when it ends, and its token with it.
const TOKEN_LIFE: i64 = 40 * 3600;
/// An address is used at once, but a large file takes its time.
const ADDRESS_LIFE: Duration = Duration::from_secs(3600);

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// The job.
    sub: String,
    /// What the artifact client reads its ids from.
    scp: String,
    /// What cache clients read their scopes from.
    ac: String,
}

pub(crate) struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
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
        Ok(Self {
            encoding: EncodingKey::from_secret(&secret),
            decoding: DecodingKey::from_secret(&secret),
            addresses: hmac::Key::new(hmac::HMAC_SHA256, &secret),
        })
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

    /// The token of a job.
    pub(crate) fn token(&self, grant: &Grant) -> Result<Secret, StorageError> {
        let now = Timestamp::now().as_second();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            iat: now,
            nbf: now,
            exp: now + TOKEN_LIFE,
            sub: grant.job.clone(),
            scp: format!("Actions.Results:{}:{}", grant.run, grant.job),
            ac: Scope::claim(&grant.scopes),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding);
        token.map(Secret::new).map_err(|error| StorageError::Invalid(error.to_string()))
    }

    /// The job of a token that is ours.
    pub(crate) fn job_of(&self, token: &str) -> Option<String> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        let read = jsonwebtoken::decode::<Claims>(token, &self.decoding, &rules).ok()?;
        Some(read.claims.sub)
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

    fn grant() -> Grant {
        let (repository, run, job) = ("o/r".into(), "run".into(), "job".into());
        Grant { repository, run, job, scopes: Vec::new(), upstream: None }
    }

    #[test]
    fn a_token_outlives_the_process_and_no_other_is_taken() {
        let (folder, keys) = keys();
        let path = folder.path().join("key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let token = keys.token(&grant()).unwrap();
        let later = Keys::open(&path).unwrap();
        assert_eq!(later.job_of(token.reveal()).as_deref(), Some("job"));
        let (_other_folder, other) = self::keys();
        assert_eq!(other.job_of(token.reveal()), None);
        for text in ["", "a.b.c", token.reveal().rsplit_once('.').unwrap().0] {
            assert_eq!(keys.job_of(text), None);
        }
    }

    #[test]
    fn an_address_is_good_for_what_it_was_made_for() {
        let (_folder, keys) = keys();
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
    }
}

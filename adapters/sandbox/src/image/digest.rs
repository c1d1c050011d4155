//! SHA-256 digests, the names of everything that is addressed by its content.

use std::fmt;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Digest(String);

impl Digest {
    /// Of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::from_hash(Sha256::new_with_prefix(bytes))
    }

    fn from_hash(hash: Sha256) -> Self {
        Self(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The digits alone, which are safe in paths.
    pub(super) fn hex(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
            .map(|hex| Self(hex.to_owned()))
            .ok_or_else(|| format!("{text:?} is no digest (sha256: and 64 hex digits)"))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

/// Computes the digest of what is read through it, and refuses to give more than a bound.
pub(super) struct Digesting<R> {
    inner: R,
    hash: Sha256,
    read: u64,
    most: u64,
    why: &'static str,
}

impl<R: Read> Digesting<R> {
    /// `why` says of `most` what it is.
    pub(super) fn new(inner: R, most: u64, why: &'static str) -> Self {
        Self { inner, hash: Sha256::new(), read: 0, most, why }
    }

    /// The digest and the length of all that was read.
    pub(super) fn finish(self) -> (Digest, u64) {
        (Digest::from_hash(self.hash), self.read)
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hash.update(&into[..read]);
        self.read += read as u64;
        if self.read > self.most {
            return Err(io::Error::other(format!("it is longer than {} bytes, {}", self.most, self.why)));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_nothing_else() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::try_from(empty.to_owned()), Ok(Digest::of(b"")));
        let dots = format!("sha256:{}", ".".repeat(64));
        for wrong in [&empty[..70], &empty[7..], &empty.to_uppercase(), "sha256:../../etc", &dots] {
            assert!(Digest::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_read_is_bounded() {
        let mut reader = Digesting::new(&b"12345"[..], 5, "");
        assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), 5);
        assert_eq!(reader.finish(), (Digest::of(b"12345"), 5));
        assert!(io::copy(&mut Digesting::new(&b"12345"[..], 4, ""), &mut io::sink()).is_err());
    }
}

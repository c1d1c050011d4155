//! Messages of the older queue, which are encrypted with a session's key.

use aws_lc_rs::{
    cipher::{AES_256, DecryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey},
    error::Unspecified,
    rsa::{
        OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
        PublicKeyComponents,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::PublicKey;

/// A session's key as only the runner can read it, in base64.
pub(crate) fn wrap(key: &[u8; 32], runner: &PublicKey, fips: bool) -> Result<String, Unspecified> {
    let components = PublicKeyComponents { n: &runner.modulus, e: &runner.exponent };
    let public: PublicEncryptingKey = components.try_into()?;
    let public = OaepPublicEncryptingKey::new(public)?;
    let algorithm = if fips { &OAEP_SHA256_MGF1SHA256 } else { &OAEP_SHA1_MGF1SHA1 };
    let mut wrapped = vec![0; public.ciphertext_size()];
    Ok(STANDARD.encode(public.encrypt(algorithm, key, &mut wrapped, None)?))
}

/// The text and its initial vector, both in base64.
pub(crate) fn encrypt(key: &[u8; 32], text: &str) -> Result<(String, String), Unspecified> {
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key)?)?;
    // The service's texts begin with a byte order mark.
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    bytes.extend_from_slice(text.as_bytes());
    let context = key.encrypt(&mut bytes)?;
    let DecryptionContext::Iv128(iv) = context else { return Err(Unspecified) };
    Ok((STANDARD.encode(bytes), STANDARD.encode(iv.as_ref())))
}

//! A runner's own key, with which it proves to be the one that was registered.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use runspan_agent_protocol::Secret;
use serde::{Deserialize, Serialize};

use crate::GitHubError;

/// An RSA key in PEM, PKCS#8 or PKCS#1.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunnerKey {
    pem: Secret,
}

/// The public half as GitHub takes it: base64 of big-endian numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PublicKey {
    pub(crate) exponent: String,
    pub(crate) modulus: String,
}

impl PublicKey {
    /// As the runner administration takes it.
    pub(crate) fn xml(&self) -> String {
        format!(
            "<RSAKeyValue><Modulus>{}</Modulus><Exponent>{}</Exponent></RSAKeyValue>",
            self.modulus, self.exponent
        )
    }
}

/// `.credentials_rsaparams` of a runner that GitHub configured: base64 of big-endian numbers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RsaParameters {
    modulus: String,
    exponent: String,
    d: String,
    p: String,
    q: String,
    dp: String,
    dq: String,
    inverse_q: String,
}

impl RunnerKey {
    /// Makes a new key of 2048 bits.
    ///
    /// # Errors
    /// [`GitHubError::Key`] when the machine gives no random numbers.
    pub(crate) fn generate() -> Result<(Self, PublicKey), GitHubError> {
        let wrong = |_| GitHubError::Key { reason: "the machine could not make one".into() };
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(wrong)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(wrong)?;
        let public = pair.public_key();
        let public = PublicKey {
            modulus: STANDARD.encode(public.modulus().big_endian_without_leading_zero()),
            exponent: STANDARD.encode(public.exponent().big_endian_without_leading_zero()),
        };
        Ok((Self::from_der("PRIVATE KEY", der.as_ref()), public))
    }

    /// The key that GitHub made.
    pub(crate) fn from_parameters(parameters: &RsaParameters) -> Result<Self, GitHubError> {
        let RsaParameters { modulus, exponent, d, p, q, dp, dq, inverse_q } = parameters;
        let mut numbers = der_integer(&[0]);
        for text in [modulus, exponent, d, p, q, dp, dq, inverse_q] {
            let bytes = STANDARD.decode(text).map_err(|error| GitHubError::Key {
                reason: format!("a number of it is no base64: {error}"),
            })?;
            numbers.extend(der_integer(&bytes));
        }
        let key = Self::from_der("RSA PRIVATE KEY", &der(0x30, &numbers));
        key.encoding_key().map(|_| key)
    }

    fn from_der(kind: &str, der: &[u8]) -> Self {
        let text = STANDARD.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let lines = lines.join("\n");
        Self { pem: Secret::new(format!("-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n")) }
    }

    fn encoding_key(&self) -> Result<EncodingKey, GitHubError> {
        EncodingKey::from_rsa_pem(self.pem.reveal().as_bytes())
            .map_err(|error| GitHubError::Key { reason: error.to_string() })
    }

    /// Signs claims as a JSON Web Token.
    pub(crate) fn sign(&self, algorithm: Algorithm, claims: &impl Serialize) -> Result<Secret, GitHubError> {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &self.encoding_key()?)
            .map(Secret::new)
            .map_err(|error| GitHubError::Key { reason: error.to_string() })
    }
}

impl fmt::Debug for RunnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunnerKey(***)")
    }
}

/// An unsigned number in DER.
fn der_integer(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len().saturating_sub(1));
    let mut number = bytes[first..].to_vec();
    if number.first().is_none_or(|byte| byte & 0x80 != 0) {
        number.insert(0, 0);
    }
    der(0x02, &number)
}

/// A value in DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let bytes = &bytes[length.leading_zeros() as usize / 8..];
            // A length has at most eight bytes.
            out.push(0x80 | bytes.len() as u8);
            out.extend_from_slice(bytes);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_signed_is_good_by_the_public_half() {
        let (key, public) = RunnerKey::generate().unwrap();
        assert_eq!(public.exponent, "AQAB");
        assert_eq!(format!("{key:?}"), "RunnerKey(***)");
        let token = key.sign(Algorithm::PS256, &json!({"sub": "me", "exp": 4_000_000_000_u64})).unwrap();
        let url = |text: &str| text.trim_end_matches('=').replace('+', "-").replace('/', "_");
        let verifier =
            DecodingKey::from_rsa_components(&url(&public.modulus), &url(&public.exponent)).unwrap();
        let claims =
            jsonwebtoken::decode::<Value>(token.reveal(), &verifier, &Validation::new(Algorithm::PS256))
                .unwrap();
        assert_eq!(claims.claims["sub"], "me");
    }

    #[test]
    fn der_lengths_and_signs() {
        assert_eq!(der_integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(der_integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(der_integer(&[0]), [2, 1, 0]);
        assert_eq!(der(0x30, &[1; 200])[..4], [0x30, 0x81, 200, 1]);
        assert_eq!(der(0x30, &[1; 300])[..4], [0x30, 0x82, 1, 44]);
    }

    #[test]
    fn broken_parameters_are_refused() {
        let text = |n: &str| n.to_owned();
        let parameters = RsaParameters {
            modulus: text("AQ=="),
            exponent: text("AQAB"),
            d: text("!"),
            p: text(""),
            q: text(""),
            dp: text(""),
            dq: text(""),
            inverse_q: text(""),
        };
        assert!(RunnerKey::from_parameters(&parameters).unwrap_err().to_string().contains("base64"));
    }
}

//! Addresses of files that are good for a while and for one purpose, without a token.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::server::App;

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Write,
}

impl Purpose {
    const fn letter(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Write => "w",
        }
    }
}

fn signature(app: &App, name: &str, purpose: Purpose, expires: i64) -> String {
    let secret = app.read(|github| github.signing_secret.clone());
    let digest = Sha256::digest(format!("{secret}|{name}|{}|{expires}", purpose.letter()));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A fresh address of a file.
pub(super) fn address(app: &App, name: &str, purpose: Purpose) -> String {
    let expires = app.read(|github| github.now().as_second()) + 3600;
    let signature = signature(app, name, purpose, expires);
    let once = Uuid::new_v4().simple();
    format!("{}/blobs/{name}?sp={}&se={expires}&skn={once}&sig={signature}", app.base, purpose.letter())
}

/// Whether an address is good.
pub(super) fn good(app: &App, name: &str, purpose: Purpose, expires: i64, given: &str) -> bool {
    app.read(|github| github.now().as_second()) < expires && signature(app, name, purpose, expires) == given
}

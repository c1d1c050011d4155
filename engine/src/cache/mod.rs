//! Caches on the disk of this machine.
//!
//! [`Store`] keeps what `cache.paths` names as compressed archives, and copies of those that are elsewhere; [`Directories`] keeps directories that builds
//! write to as they are (`LOCAL_CUSTOM_CACHE`). Both may be used by several processes at once.

mod copies;
mod directories;
mod entry;
mod error;
mod file;
mod scope;
mod store;

pub use copies::Copy;
pub use directories::{Directories, Lease};
pub use error::CacheError;
pub use file::{Written, copy_entry, open_file, write_file};
pub use scope::{pull_request, versions};
pub use store::{Hit, Put, Reader, Slot, Store};

use sha2::{Digest, Sha256};

/// CodeBuild's cache version: another list of paths is another cache, even under the same key.
pub fn version(paths: &[String]) -> String {
    let mut digest = Sha256::new();
    for path in paths {
        // Lengths keep `["a", "b"]` and `["a\nb"]` apart.
        digest.update((path.len() as u64).to_le_bytes());
        digest.update(path);
    }
    hex(&digest.finalize()[..16])
}

/// A file name for any text.
fn file_name(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

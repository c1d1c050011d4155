//! What is kept, and how. The disk is the truth: several processes may share it, and none keeps an index.
//!
//! ```text
//! caches/<repository>/<scope>/<version>/<key>/     entry.json, data
//! artifacts/<repository>/<run>/<name>/             entry.json, data
//! blobs/<sha256>                                   the same files as `data`, each content once
//! uploads/<number>/                                what arrives; becomes an entry by one rename
//! ```
//!
//! Names of others are hashed, so that none of them is a path.

mod budget;
mod entry;
mod evict;
mod files;
mod find;
mod store;
mod upload;

pub(crate) use entry::Target;
pub(crate) use find::Found;
pub(crate) use store::Store;
pub(crate) use upload::UploadId;

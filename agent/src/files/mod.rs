//! Files of a build: found by globs, sent as one tar or zip stream, unpacked from one; and the helper commands
//! that find files.

mod collect;
mod error;
mod fingerprint;
mod glob;
mod hash;
mod names;
mod search;
mod shards;
mod unpack;
mod walk;
mod zip_stream;

pub use collect::collect;
pub use error::FilesError;
pub use fingerprint::Remembered;
pub use glob::Glob;
pub use hash::{hash_files, hash_of};
pub use search::glob_search;
pub use shards::tests_run;
pub use unpack::{Unpacked, unpack};
pub use walk::{Found, Kind, find};

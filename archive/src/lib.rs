//! Tar and zip streams in and out of directories.
//!
//! What is unpacked is never trusted: see [`unpack_tar`], [`unpack_layer`] and [`unpack_zip`]. What is packed may change while it
//! is read: see [`TarWriter`].

mod beneath;
mod dress;
mod error;
mod headers;
mod layer;
mod pack;
mod place;
mod send_file;
mod unpack;
mod writer;
mod zip_time;

pub use beneath::Beneath;
pub use error::ArchiveError;
pub use layer::unpack_layer;
pub use pack::TarWriter;
pub use place::{Limits, Options, Owner, Unpacked};
pub use send_file::{SendFile, Sent};
pub use unpack::{unpack_tar, unpack_tar_telling, unpack_zip};
pub use zip_time::zip_time;

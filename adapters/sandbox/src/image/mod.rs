//! Images without a daemon: pulled from a registry, or read from archives and directories, and kept unpacked.

mod error;
mod store;

pub use error::ImageError;
pub use store::{Freed, Image, ImageConfig, Lease, Settings, Store, Stored};

//! Artifacts: where they go, and how a received stream gets there.

mod error;
mod key;
mod store;

pub use error::ArtifactError;
pub use key::{NamespaceType, object_key};
pub use store::{Packaging, Stored, store};

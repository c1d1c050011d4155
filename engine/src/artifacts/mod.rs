//! Artifacts: where they go, and how a received stream gets there.

mod combine;
mod error;
mod key;
mod store;

pub use combine::{Part, combine};
pub use error::ArtifactError;
pub use key::{NamespaceType, object_key};
pub use store::{Packaging, Stored, store};

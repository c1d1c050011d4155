//! Images without a daemon: pulled from a registry, or read from archives and directories, and kept unpacked.
//!
//! A [`Store`] keeps each layer in a directory of its own, named by the digest of its uncompressed tar and shared by
//! every image that has it. An image that is here is found by reading two small files; no network is asked.
//!
//! The registry's client is our own, on `reqwest`, because a puller's whole work is in what goes wrong: `oci-client`
//! (0.18) reads manifests and tokens into memory without a bound, loses `Retry-After`, turns a web page into a JSON
//! error, and brings 58 more crates, mostly to push. What is left of the protocol is three requests.
//!
//! ```text
//! names/<sha256 of the name>     which image a name means
//! images/<id>                    an image's layers and configuration; its time is that of the last use
//! layers/<diff id>/fs            a layer, ready to be an overlay's lower directory
//! locks/<id or diff id>          shared while used, exclusive while made or removed
//! tmp/                           whatever is not finished; locked by its maker, swept once the maker is gone
//! ```

mod archive;
mod digest;
mod error;
mod evict;
mod layer;
mod layout;
mod lock;
mod manifest;
mod names;
mod pull;
mod record;
mod registry;
mod store;

pub use error::ImageError;
pub use evict::{Freed, Stored};
pub use lock::Lease;
pub use record::ImageConfig;
pub use registry::Patience;
pub use store::{Image, Settings, Store};

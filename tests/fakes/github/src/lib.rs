//! GitHub's Actions service, as a runner sees it, in one process.
//!
//! The [`model`] is the state of GitHub as plain values; everything that is served over HTTP is a projection
//! of it. A test starts a [`FakeGitHub`], pushes a workflow, lets a runner work, and looks at the final state.

mod faults;
mod folder;
mod http;
mod message;
pub mod model;
pub mod page;
mod server;
mod value;
pub mod workflow;

pub use faults::{Effect, Fault};
pub use folder::files_of;
pub use server::FakeGitHub;
pub use value::{Object, Value};

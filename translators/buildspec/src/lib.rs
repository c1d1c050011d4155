//! The pivot of the house: whatever a job was written in becomes a [`Buildspec`].

mod model;

pub use model::*;

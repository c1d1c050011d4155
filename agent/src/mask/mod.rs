//! Masking of secrets in everything the agent sends.

mod forms;
mod stream;

pub(crate) use stream::{Mask, StreamMask};

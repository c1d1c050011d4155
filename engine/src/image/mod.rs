//! What every executor has to know of images: their names, and logins for the registries that hold them.

mod login;
mod name;

pub use login::{Login, Logins};
pub use name::{Curated, ImageName, Version};

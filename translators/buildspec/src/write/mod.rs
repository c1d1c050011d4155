//! [`Buildspec`] to text.
use crate::Buildspec;
use indexmap::IndexMap;
/// Comments.
#[derive(Clone, Debug, Default)]
pub struct Comments {
    /// Lines.
    pub header: String,
    /// By path.
    pub items: IndexMap<String, String>,
}
/// Writes.
pub fn write(_buildspec: &Buildspec, _comments: &Comments) -> String {
    String::new()
}

//! Temporary: directory sources.
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::request::BuildRequest;

#[derive(Debug)]
pub struct Fetched {
    root: Option<PathBuf>,
}
pub struct All {
    pub primary: Arc<Fetched>,
    pub secondary: Vec<Arc<Fetched>>,
    pub resolved_version: Option<String>,
}
pub fn fetch_all(request: &BuildRequest) -> Result<All, io::Error> {
    let one = |location: &Option<String>| Arc::new(Fetched { root: location.as_ref().map(PathBuf::from) });
    Ok(All {
        primary: one(&request.source.location),
        secondary: request.secondary_sources.iter().map(|(s, _)| one(&s.location)).collect(),
        resolved_version: None,
    })
}
impl Fetched {
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }
    pub fn send(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(to);
        tar.follow_symlinks(false);
        if let Some(root) = &self.root {
            tar.append_dir_all("", root)?;
        }
        tar.into_inner().map(drop)
    }
}

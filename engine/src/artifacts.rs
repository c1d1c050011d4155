//! Temporary.
use crate::project::{ArtifactPackaging, NamespaceType};
use std::io::Read;
use std::path::{Path, PathBuf};
pub struct Stored {
    pub path: PathBuf,
    pub sha256: Option<String>,
    pub md5: Option<String>,
    pub bytes: u64,
}
pub fn key(path: Option<&str>, ns: NamespaceType, build: &str, name: &str) -> String {
    let mut parts: Vec<&str> = path.into_iter().collect();
    if ns == NamespaceType::BuildId {
        parts.push(build)
    }
    if name != "/" {
        parts.push(name)
    }
    parts.join("/")
}
pub fn store(
    from: &mut dyn Read,
    packaging: ArtifactPackaging,
    root: &Path,
    key: &str,
) -> std::io::Result<Stored> {
    let path = root.join(key);
    let bytes = match packaging {
        ArtifactPackaging::Zip => {
            std::fs::create_dir_all(path.parent().unwrap_or(root))?;
            let mut f = std::fs::File::create(&path)?;
            std::io::copy(from, &mut f)?
        }
        ArtifactPackaging::None => {
            std::fs::create_dir_all(&path)?;
            tar::Archive::new(from).unpack(&path)?;
            0
        }
    };
    Ok(Stored { path, sha256: None, md5: None, bytes })
}

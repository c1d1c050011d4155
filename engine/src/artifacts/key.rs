//! S3's keys of artifacts, which are also their paths in a directory.

/// `namespaceType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespaceType<'a> {
    /// `NONE`.
    #[default]
    None,
    /// `BUILD_ID`, with the uuid of the build.
    BuildId(&'a str),
}

/// The key of an artifact: of the object when packed, of the folder when not; empty for the root. `name` is the
/// artifact's or else the project's; `/` stands for no name.
pub fn object_key(path: &str, namespace: NamespaceType<'_>, name: &str) -> String {
    let build_id = match namespace {
        NamespaceType::None => "",
        NamespaceType::BuildId(id) => id,
    };
    let parts = [path, build_id, name].map(|part| part.trim_matches('/'));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_documentation() {
        let id = NamespaceType::BuildId("5f1e");
        let none = NamespaceType::None;
        for (path, namespace, name, key) in [
            ("MyArtifacts", none, "MyArtifact.zip", "MyArtifacts/MyArtifact.zip"),
            ("MyArtifacts", id, "MyArtifact.zip", "MyArtifacts/5f1e/MyArtifact.zip"),
            ("", none, "/", ""),
            ("MyArtifacts", id, "/", "MyArtifacts/5f1e"),
            ("", none, "project", "project"),
            ("a/b/", none, "releases/v1.zip", "a/b/releases/v1.zip"),
        ] {
            assert_eq!(object_key(path, namespace, name), key);
        }
    }
}

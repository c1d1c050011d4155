//! The user's own directory: read as it is, and never written to.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::harness::{IMAGES, home};

/// Everything about every file that a build could have changed.
fn fingerprint(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut paths = vec![root.to_path_buf()];
    while let Some(path) = paths.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let line = format!(
            "{:o} {}:{} {} {}.{} {:?} {}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            fs::read_link(&path).ok(),
            String::from_utf8_lossy(&content)
        );
        found.insert(path.to_string_lossy().into_owned(), line);
        if metadata.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn a_build_sees_the_tree_as_it_is_and_changes_nothing() {
    for image in IMAGES {
        let Some(home) = home() else { return };
        let buildspec = r#"version: 0.2
phases:
  build:
    commands:
      - ls -a | tr '\n' ' '
      - test "$(cat dir/file)" = content
      - test -x run.sh && ./run.sh
      - test "$(readlink link)" = dir/file
      - test "$(readlink dangling)" = nowhere
      - test -d empty
      - cat 'a name with spaces and ümläute'
      - if [ "$(stat -c %a secret)" != 600 ]; then stat -c %a secret; exit 1; fi
      # Whatever a build does to its tree, it does to its own.
      - echo changed > dir/file; rm run.sh; chmod -R 777 .; mkdir new; touch new/file; mv link renamed
      - chown -R 1000:1000 .
"#;
        let source = home.source(
            "tree",
            [
                ("buildspec.yml", buildspec),
                ("dir/file", "content"),
                ("run.sh", "#!/bin/sh\necho it runs\n"),
                ("a name with spaces and ümläute", "found\n"),
                ("secret", "x"),
                (".hidden/.file", "x"),
            ],
        );
        fs::set_permissions(source.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(source.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(source.join("empty")).unwrap();
        symlink("dir/file", source.join("link")).unwrap();
        symlink("nowhere", source.join("dangling")).unwrap();
        let before = fingerprint(&source);
        home.run(&source, image).finish().exited(0).printed(&[".hidden ", "\nit runs\n", "\nfound\n"]);
        assert_eq!(fingerprint(&source), before);
        home.assert_nothing_left();
    }
}

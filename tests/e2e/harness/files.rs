//! What lies in directories and archives, as text to compare.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::path::Path;

/// Every file below a directory with its content, links as `-> target`.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in
            fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if path.is_symlink() {
                found.insert(name, format!("-> {}", fs::read_link(&path).unwrap().display()));
            } else if path.is_dir() {
                directories.push(path);
            } else {
                found.insert(name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
            }
        }
    }
    found
}

/// Every entry of a zip file with its content, links as `-> target`.
pub(crate) fn unzip(file: &Path) -> BTreeMap<String, String> {
    let mut archive = zip::ZipArchive::new(fs::File::open(file).unwrap()).unwrap();
    let mut found = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        if entry.is_symlink() {
            content.insert_str(0, "-> ");
        }
        if !entry.is_dir() {
            found.insert(entry.name().unwrap().into_owned(), content);
        }
    }
    found
}

/// Names with contents as one text, to compare in one assertion.
pub(crate) fn listing(files: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, content) in files {
        let _ = writeln!(text, "{name}: {}", content.trim_end());
    }
    text
}

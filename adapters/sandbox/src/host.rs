//! What a build on the machine's own root sees of it.
//!
//! Only what programs are made of is shown: homes, other disks, sockets and state are not hidden but never there.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What programs, their libraries and settings, and package managers are made of.
const SHOWN: &[&str] = &[
    "/bin",
    "/etc",
    "/gnu",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix",
    "/opt",
    "/sbin",
    "/usr",
    "/var/lib/alternatives",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/pacman",
    "/var/lib/rpm",
];

/// Settings with credentials that some package leaves readable for all.
const SECRETS: &[&str] = &["/etc/docker", "/etc/kubernetes", "/etc/rancher", "/etc/ssh", "/etc/sudoers.d"];

/// Directories that are looked through for what other users may not read, and how deep. `/usr` holds packages' files,
/// which are the same everywhere.
const LOOKED_THROUGH: &[(&str, usize)] = &[("/etc", 16), ("/usr/local/etc", 16), ("/opt", 2)];

/// One thing shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) path: PathBuf,
    pub(crate) what: What,
}

/// How it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    /// A directory without mount points, as it is but for these paths in it, which are not there.
    Tree(Vec<PathBuf>),
    /// A directory made anew, as something in it is mounted; what is shown of it follows.
    Directory,
    File,
    Link(PathBuf),
}

/// Everything that is shown now, in the order it must be made.
pub(crate) fn shown() -> io::Result<Vec<Shown>> {
    let mount_points = mount_points()?;
    let mut all = Vec::new();
    for path in SHOWN {
        show(Path::new(path), &mount_points, &mut all);
    }
    Ok(all)
}

fn show(path: &Path, mount_points: &[PathBuf], all: &mut Vec<Shown>) {
    // What vanishes meanwhile, or cannot be looked at, is not shown.
    let Ok(found) = path.symlink_metadata() else { return };
    if is_private(path, &found) {
        return;
    }
    let kind = found.file_type();
    let what = if kind.is_symlink() {
        match fs::read_link(path) {
            Ok(target) => What::Link(target),
            Err(_) => return,
        }
    } else if kind.is_file() {
        What::File
    } else if !kind.is_dir() {
        return;
    } else if mount_points.iter().any(|point| point != path && point.starts_with(path)) {
        What::Directory
    } else {
        What::Tree(secrets(path))
    };
    let is_directory = what == What::Directory;
    all.push(Shown { path: path.to_owned(), what });
    if is_directory {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        for entry in entries {
            show(&entry.path(), mount_points, all);
        }
    }
}

/// Where something is mounted on this machine.
fn mount_points() -> io::Result<Vec<PathBuf>> {
    Ok(parse_mount_points(&fs::read_to_string("/proc/self/mountinfo")?))
}

fn parse_mount_points(mountinfo: &str) -> Vec<PathBuf> {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(|field| unescape(field).into()).collect()
}

/// Blanks and backslashes are in octal there.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(&part[3..]);
            }
            None => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

/// Everything in a shown tree that is nobody's business: what other users of the machine cannot read, and credentials.
/// Directories stand for all that is in them.
fn secrets(tree: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (root, depth) in LOOKED_THROUGH {
        if Path::new(root).starts_with(tree) {
            unreadable(Path::new(root), *depth, &mut found);
        } else if tree.starts_with(root) {
            unreadable(tree, *depth, &mut found);
        }
    }
    found
}

fn unreadable(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        // Half of `/etc` is links, which say nothing of what they lead to.
        if entry.file_type().is_ok_and(|kind| kind.is_symlink()) && !is_secret(&entry.path()) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        if is_closed(&metadata) || is_secret(&entry.path()) {
            found.push(entry.path());
        } else if metadata.is_dir() && depth > 1 {
            unreadable(&entry.path(), depth - 1, found);
        }
    }
}

/// Whether something is nobody's business by itself, in the places that are looked through.
fn is_private(path: &Path, metadata: &Metadata) -> bool {
    let is_looked_at = LOOKED_THROUGH.iter().any(|(root, _)| path.starts_with(root));
    is_secret(path) || is_looked_at && is_closed(metadata)
}

fn is_secret(path: &Path) -> bool {
    SECRETS.iter().any(|secret| path == Path::new(secret))
}

/// Whether other users of the machine cannot read it.
fn is_closed(metadata: &Metadata) -> bool {
    let needed = if metadata.is_dir() { 0o5 } else { 0o4 };
    !metadata.is_symlink() && metadata.mode() & needed != needed
}

/// Mode of a directory on the machine.
pub(crate) fn mode(path: &Path) -> u32 {
    path.metadata().map_or(0o755, |found| found.permissions().mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_blanks() {
        let text = "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:25 / /mnt/a\\040b\\134c ro - tmpfs x ro\n";
        assert_eq!(parse_mount_points(text), [PathBuf::from("/"), PathBuf::from("/mnt/a b\\c")]);
    }

    #[test]
    fn a_directory_with_a_mount_point_is_shown_piece_by_piece() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("usr/local")).unwrap();
        fs::create_dir_all(path("usr/lib")).unwrap();
        fs::write(path("usr/file"), "").unwrap();
        std::os::unix::fs::symlink("lib", path("usr/lib64")).unwrap();
        let mut all = Vec::new();
        show(&path("usr"), &[path("usr/local")], &mut all);
        all.sort_by(|a, b| a.path.cmp(&b.path));
        let said: Vec<_> = all.into_iter().map(|shown| (shown.path, shown.what)).collect();
        assert_eq!(
            said,
            [
                (path("usr"), What::Directory),
                (path("usr/file"), What::File),
                (path("usr/lib"), What::Tree(Vec::new())),
                (path("usr/lib64"), What::Link("lib".into())),
                (path("usr/local"), What::Tree(Vec::new())),
            ]
        );
        all = Vec::new();
        show(&path("usr"), &[path("usr")], &mut all);
        assert_eq!(all, [Shown { path: path("usr"), what: What::Tree(Vec::new()) }]);
    }

    #[test]
    fn what_others_cannot_read_is_found() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("private")).unwrap();
        fs::write(path("private/key"), "").unwrap();
        fs::write(path("shadow"), "").unwrap();
        fs::write(path("passwd"), "").unwrap();
        for (name, mode) in [("private", 0o700), ("shadow", 0o640), ("passwd", 0o644)] {
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut found = Vec::new();
        unreadable(place.path(), 3, &mut found);
        found.sort();
        assert_eq!(found, [path("private"), path("shadow")]);
    }
}

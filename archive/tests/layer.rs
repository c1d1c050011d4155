//! Layers of images: whiteouts, attributes, and ways out.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use runspan_archive::{ArchiveError, Limits, Unpacked, unpack_layer};
use tar::{EntryType, Header};

const BODY: &str = "planted";

/// A tar with exactly these names, however wrong they are: `(name, kind, link)`.
fn tar(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, kind, link) in entries {
        let body = if *kind == EntryType::Regular { BODY } else { "" };
        out.extend(member(name, *kind, link, body.as_bytes(), 0o4755));
    }
    out.extend([0; 1024]);
    out
}

fn member(name: &str, kind: EntryType, link: &str, body: &[u8], mode: u32) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(1234);
    header.set_gid(4321);
    header.set_mtime(77);
    header.set_size(body.len() as u64);
    header.set_entry_type(kind);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..name.len()].copy_from_slice(name.as_bytes());
    gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut out = header.as_bytes().to_vec();
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

struct Prison {
    outside: tempfile::TempDir,
    layer: PathBuf,
}

impl Prison {
    fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("victim"), "untouched").unwrap();
        let layer = outside.path().join("layer");
        Self { outside, layer }
    }

    fn unpack(&self, tar: &[u8]) -> Result<Unpacked, ArchiveError> {
        unpack_layer(tar, &self.layer, Limits { entries: 1000, bytes: 1 << 20 })
    }

    fn assert_whole(&self) {
        let victim = self.outside.path().join("victim");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(fs::metadata(&victim).unwrap().nlink(), 1);
        assert!(fs::read_dir(self.outside.path()).unwrap().count() <= 2);
    }
}

fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert_ne!(std::env::var("RUNSPAN_REQUIRE_SERVICES").as_deref(), Ok("1"), "{test} needs root");
        drop(writeln!(std::io::stderr(), "SKIPPED: {test} needs root"));
    }
    root
}

fn is_whiteout(path: &Path) -> bool {
    let found = fs::symlink_metadata(path).unwrap();
    found.file_type().is_char_device() && found.rdev() == 0
}

fn is_opaque(path: &Path) -> bool {
    let name =
        if rustix::process::geteuid().is_root() { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
    let mut value = [0; 8];
    rustix::fs::lgetxattr(path, name, &mut value).is_ok_and(|read| value[..read] == *b"y")
}

#[test]
fn no_way_leads_out() {
    use EntryType::{Directory, Link, Regular, Symlink};
    let ways: &[&[(&str, EntryType, &str)]] = &[
        &[("../victim", Regular, "")],
        &[("a/../../victim", Regular, "")],
        &[("out", Symlink, ".."), ("out/victim", Regular, "")],
        &[("out", Symlink, "/"), ("out/tmp/runspan-planted", Regular, "")],
        &[("hard", Link, "../victim"), ("hard", Regular, "")],
        &[("hard", Link, "a/../../victim")],
        &[("hard", Link, "absent")],
        &[("out", Symlink, ".."), ("hard", Link, "out/victim")],
        &[("../.wh.victim", Regular, "")],
        &[("out", Symlink, ".."), ("out/.wh.victim", Regular, "")],
        &[("out", Symlink, ".."), ("out/.wh..wh..opq", Regular, "")],
        &[(".wh.", Regular, "")],
        &[("a/.wh..", Regular, "")],
        &[("a/.wh...", Regular, "")],
        &[("a", Directory, ""), ("a", Regular, ""), ("a/b", Regular, "")],
    ];
    for way in ways {
        let prison = Prison::new();
        let result = prison.unpack(&tar(way));
        assert!(result.is_err(), "{way:?}");
        prison.assert_whole();
    }
    assert!(!Path::new("/tmp/runspan-planted").exists());
}

#[test]
fn absolute_names_are_seen_from_the_image_s_root() {
    let prison = Prison::new();
    let entries = [("/victim", EntryType::Regular, ""), ("/b/./c", EntryType::Link, "/victim")];
    prison.unpack(&tar(&entries)).unwrap();
    assert_eq!(fs::metadata(prison.layer.join("victim")).unwrap().nlink(), 2);
    assert_eq!(fs::read_to_string(prison.layer.join("b/c")).unwrap(), BODY);
    prison.assert_whole();
}

#[test]
fn whiteouts_become_what_overlays_know() {
    let prison = Prison::new();
    use EntryType::{Directory, Regular};
    let entries = [
        (".wh.gone", Regular, ""),
        ("d/.wh.gone", Regular, ""),
        ("./o/", Directory, ""),
        ("o/.wh..wh..opq", Regular, ""),
        ("o/new", Regular, ""),
        // Replaced, not removed: before and after.
        (".wh.file", Regular, ""),
        ("file", Regular, ""),
        ("dir/new", Regular, ""),
        (".wh.dir", Regular, ""),
        (".wh..wh.plnk", Regular, ""),
    ];
    prison.unpack(&tar(&entries)).unwrap();
    let path = |name: &str| prison.layer.join(name);
    assert!(is_whiteout(&path("gone")) && is_whiteout(&path("d/gone")));
    assert!(is_opaque(&path("o")) && is_opaque(&path("dir")) && !is_opaque(&path("d")));
    assert_eq!(fs::read_to_string(path("file")).unwrap(), BODY);
    let mut names: Vec<_> =
        fs::read_dir(&prison.layer).unwrap().map(|one| one.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["d", "dir", "file", "gone", "o"]);
}

#[test]
fn the_kernel_hides_what_a_layer_removes() {
    if !is_root("the_kernel_hides_what_a_layer_removes") {
        return;
    }
    let prison = Prison::new();
    use EntryType::{Directory, Regular};
    let lower = prison.outside.path().join("lower");
    let all = Limits::default();
    let below =
        [("gone", Regular, ""), ("o/old", Regular, ""), ("dir/old", Regular, ""), ("kept", Regular, "")];
    unpack_layer(tar(&below).as_slice(), &lower, all).unwrap();
    let above = [
        (".wh.gone", Regular, ""),
        ("o", Directory, ""),
        ("o/.wh..wh..opq", Regular, ""),
        ("o/new", Regular, ""),
        ("dir/new", Regular, ""),
    ];
    prison.unpack(&tar(&above)).unwrap();
    let script = "mkdir $1/m && mount -t overlay -o ro,lowerdir=$1/layer:$1/lower none $1/m && cd $1/m && \
                  find . -type f | LC_ALL=C sort";
    let seen = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(prison.outside.path())
        .output()
        .unwrap();
    let seen = String::from_utf8_lossy(&seen.stdout).replace('\n', " ");
    assert_eq!(seen, "./dir/new ./dir/old ./kept ./o/new ");
}

#[test]
fn modes_times_and_owners_are_kept() {
    let prison = Prison::new();
    prison.unpack(&tar(&[("s", EntryType::Regular, ""), ("l", EntryType::Symlink, "s")])).unwrap();
    let found = fs::metadata(prison.layer.join("s")).unwrap();
    assert_eq!((found.permissions().mode() & 0o7777, found.mtime()), (0o4755, 77));
    if is_root("modes_times_and_owners_are_kept") {
        assert_eq!((found.uid(), found.gid()), (1234, 4321));
        assert_eq!(fs::symlink_metadata(prison.layer.join("l")).unwrap().uid(), 1234);
    }
}

#[test]
fn devices_and_pipes_are_left_out() {
    let prison = Prison::new();
    use EntryType::{Block, Char, Fifo, Regular};
    let entries =
        [("dev/sda", Block, ""), ("dev/null", Char, ""), ("p", Fifo, ""), ("dev/fine", Regular, "")];
    let unpacked = prison.unpack(&tar(&entries)).unwrap();
    assert_eq!(unpacked.files, 1);
    assert_eq!(fs::read_dir(prison.layer.join("dev")).unwrap().count(), 1);
    assert!(!prison.layer.join("p").exists());
}

/// An entry with extended attributes, as Go's and GNU's tar write them.
fn with_xattrs(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut extension = Vec::new();
    for (name, value) in records {
        let rest = [b" SCHILY.xattr.".as_slice(), name.as_bytes(), b"=", value, b"\n"].concat();
        let length = (1..).find(|digits| (rest.len() + digits).to_string().len() == *digits).unwrap();
        extension.extend((rest.len() + length).to_string().bytes());
        extension.extend(rest);
    }
    let mut out = member("x", EntryType::XHeader, "", &extension, 0o644);
    out.extend(member("f", EntryType::Regular, "", b"", 0o755));
    out.extend([0; 1024]);
    out
}

#[test]
fn capabilities_are_kept_and_marks_of_overlays_are_not() {
    let prison = Prison::new();
    // cap_net_raw=ep
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let layer = with_xattrs(&[
        ("security.capability", &capability),
        ("user.mine", b"1"),
        ("user.overlay.opaque", b"y"),
        ("trusted.overlay.redirect", b"/etc"),
        ("trusted.overlay.opaque", b"y"),
        ("security.selinux", b"x"),
    ]);
    prison.unpack(&layer).unwrap();
    let file = prison.layer.join("f");
    let mut names = [0; 256];
    let read = rustix::fs::llistxattr(&file, &mut names).unwrap();
    let mut names: Vec<&str> = std::str::from_utf8(&names[..read]).unwrap().split_terminator('\0').collect();
    names.sort_unstable();
    if is_root("capabilities_are_kept_and_marks_of_overlays_are_not") {
        assert_eq!(names, ["security.capability", "user.mine"]);
        let mut value = [0; 32];
        let read = rustix::fs::lgetxattr(&file, "security.capability", &mut value).unwrap();
        assert_eq!(value[..read], capability);
    } else {
        assert_eq!(names, ["user.mine"]);
    }
    // The newline would end the record for the reader of archives.
    let broken = Prison::new().unpack(&with_xattrs(&[("user.mine", b"a\nb")]));
    assert!(matches!(broken, Err(ArchiveError::Unsafe { .. })), "{broken:?}");
}

#[test]
fn too_much_is_refused_before_it_is_there() {
    let prison = Prison::new();
    let big = [member("a", EntryType::Regular, "", &[0; 2 << 20], 0o644), vec![0; 1024]].concat();
    let error = prison.unpack(&big).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { what: "bytes", .. }), "{error}");
    let many: Vec<u8> =
        (0..1001).flat_map(|n| member(&n.to_string(), EntryType::Regular, "", b"", 0o644)).collect();
    let error = prison.unpack(&many).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { what: "entries", .. }), "{error}");
}

#[test]
fn names_cannot_fill_the_memory() {
    let prison = Prison::new();
    let long = member("x", EntryType::GNULongName, "", &[b'n'; 8 << 20], 0o644);
    let error = prison.unpack(&long).unwrap_err();
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
    let many = [vec![0_u8; 0], member("x", EntryType::XHeader, "", &[b'n'; 2 << 20], 0o644)].concat();
    assert!(prison.unpack(&many).is_err());
}

#[test]
fn a_layer_cut_short_is_broken() {
    let prison = Prison::new();
    let whole = tar(&[("a", EntryType::Regular, ""), ("b", EntryType::Regular, "")]);
    for length in [100, 512, 515, 1024 + 300, 1024 + 512 + 3] {
        let result = Prison::new().unpack(&whole[..length]);
        assert!(result.is_err(), "{length}");
    }
    prison.unpack(&whole).unwrap();
}

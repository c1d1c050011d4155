//! Archives made to break out, and archives made by others.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use runspan_archive::{ArchiveError, Limits, Options, TarWriter, unpack_tar, unpack_zip};
use tar::{EntryType, Header};

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    kind: EntryType,
    link: String,
    body: &'static str,
}

fn entry(name: &str, kind: EntryType, link: &str) -> Entry {
    let body = if kind == EntryType::Regular { "planted" } else { "" };
    Entry { name: name.into(), kind, link: link.into(), body }
}

/// A tar with exactly these names, however wrong they are.
fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for Entry { name, kind, link, body } in entries {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(body.len() as u64);
        header.set_entry_type(*kind);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(body.as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.extend_from_slice(&[0; 1024]);
    out
}

/// A directory to unpack to, inside one that must not change.
fn prison() -> (tempfile::TempDir, std::path::PathBuf) {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "untouched").unwrap();
    let inside = outside.path().join("inside");
    fs::create_dir(&inside).unwrap();
    (outside, inside)
}

fn assert_untouched(outside: &Path) {
    let mut names: Vec<_> = fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["inside", "victim"]);
    assert_eq!(fs::read_to_string(outside.join("victim")).unwrap(), "untouched");
    assert_eq!(fs::metadata(outside.join("victim")).unwrap().nlink(), 1);
}

#[test]
fn known_ways_out_are_closed() {
    use EntryType::{Char, Fifo, Link, Regular, Symlink};
    let ways: &[&[Entry]] = &[
        &[entry("../victim", Regular, "")],
        &[entry("a/../../victim", Regular, "")],
        &[entry("/tmp/runspan-planted", Regular, "")],
        &[entry("out", Symlink, ".."), entry("out/victim", Regular, "")],
        &[entry("a", Symlink, "."), entry("a/b", Symlink, ".."), entry("a/b/victim", Regular, "")],
        &[entry("victim", Symlink, "../victim"), entry("victim/x", Regular, "")],
        &[entry("hard", Link, "../victim"), entry("hard", Regular, "")],
        &[entry("out", Symlink, ".."), entry("hard", Link, "out/victim"), entry("hard", Regular, "")],
        &[entry("null", Char, "")],
        &[entry("pipe", Fifo, "")],
    ];
    for way in ways {
        let (outside, inside) = prison();
        let result = unpack_tar(tar(way).as_slice(), &inside, Options::default());
        assert!(result.is_err(), "{way:?}");
        assert_untouched(outside.path());
        assert!(!Path::new("/tmp/runspan-planted").exists());
    }
}

#[test]
fn a_file_never_goes_through_a_link_of_its_name() {
    let (outside, inside) = prison();
    let entries = [entry("l", EntryType::Symlink, "../victim"), entry("l", EntryType::Regular, "")];
    unpack_tar(tar(&entries).as_slice(), &inside, Options::default()).unwrap();
    assert_eq!(fs::read_to_string(inside.join("l")).unwrap(), "planted");
    assert_untouched(outside.path());
}

#[test]
fn links_that_were_there_before_are_not_followed() {
    let (outside, inside) = prison();
    symlink("..", inside.join("out")).unwrap();
    symlink("../victim", inside.join("file")).unwrap();
    let through = tar(&[entry("out/victim", EntryType::Regular, "")]);
    assert!(unpack_tar(through.as_slice(), &inside, Options::default()).is_err());
    let over = tar(&[entry("file", EntryType::Regular, "")]);
    unpack_tar(over.as_slice(), &inside, Options::default()).unwrap();
    assert_eq!(fs::read_to_string(inside.join("file")).unwrap(), "planted");
    assert_untouched(outside.path());
}

#[test]
fn symlinks_can_be_refused() {
    let (_outside, inside) = prison();
    let options = Options { symlinks: false, ..Options::default() };
    let error =
        unpack_tar(tar(&[entry("l", EntryType::Symlink, "x")]).as_slice(), &inside, options).unwrap_err();
    assert!(matches!(error, ArchiveError::Unsafe { .. }), "{error}");
}

#[test]
fn what_is_too_much_is_refused() {
    let (_outside, inside) = prison();
    let many: Vec<_> = (0..20).map(|n| entry(&format!("f{n}"), EntryType::Regular, "")).collect();
    for limits in [Limits { entries: 19, bytes: 1000 }, Limits { entries: 20, bytes: 139 }] {
        let options = Options { limits, ..Options::default() };
        let error = unpack_tar(tar(&many).as_slice(), &inside, options).unwrap_err();
        assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error}");
    }
    let options = Options { limits: Limits { entries: 20, bytes: 140 }, ..Options::default() };
    assert_eq!(unpack_tar(tar(&many).as_slice(), &inside, options).unwrap().files, 20);
}

#[test]
fn a_zip_bomb_stops_at_the_limit() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("zeros", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&vec![0; 50 << 20]).unwrap();
    let bytes = zip.finish().unwrap();
    assert!(bytes.get_ref().len() < 100_000);
    let (_outside, inside) = prison();
    let options = Options { limits: Limits { entries: 10, bytes: 1 << 20 }, ..Options::default() };
    let error = unpack_zip(bytes, &inside, options).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error}");
    assert!(fs::metadata(inside.join("zeros")).unwrap().len() <= 1 << 20);
}

#[test]
fn zips_cannot_break_out_either() {
    let script = "import sys, zipfile, stat\n\
                  z = zipfile.ZipFile(sys.argv[1], 'w')\n\
                  def link(name, to):\n    i = zipfile.ZipInfo(name); i.create_system = 3\n    \
                  i.external_attr = (stat.S_IFLNK | 0o777) << 16; z.writestr(i, to)\n";
    for body in [
        "z.writestr('../victim', 'planted')",
        "z.writestr('/tmp/runspan-planted', 'planted')",
        "link('out', '..'); z.writestr('out/victim', 'planted')",
    ] {
        let (outside, inside) = prison();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("z.zip");
        let made =
            Command::new("python3").arg("-c").arg(format!("{script}{body}\nz.close()")).arg(&path).status();
        assert!(made.unwrap().success());
        let result = unpack_zip(fs::File::open(&path).unwrap(), &inside, Options::default());
        assert!(result.is_err(), "{body}");
        assert_untouched(outside.path());
        assert!(!Path::new("/tmp/runspan-planted").exists());
    }
}

#[test]
fn a_cut_stream_is_an_error() {
    let bytes = tar(&[entry("a", EntryType::Regular, ""), entry("b", EntryType::Regular, "")]);
    for cut in [100, 512, 515, 1100] {
        let (_outside, inside) = prison();
        let result = unpack_tar(&bytes[..cut], &inside, Options::default());
        assert!(result.is_err(), "cut at {cut}");
    }
}

#[test]
fn trees_come_back_from_gnu_tar_zip_and_ourselves() {
    let from = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(150), "n".repeat(150));
    for name in ["bin/tool", "a.txt", long.as_str(), "häßlich ü"] {
        let path = from.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
    }
    fs::set_permissions(from.path().join("bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("a.txt", from.path().join("link")).unwrap();
    fs::create_dir(from.path().join("closed")).unwrap();
    fs::write(from.path().join("closed/inside"), "x").unwrap();
    fs::set_permissions(from.path().join("closed"), fs::Permissions::from_mode(0o500)).unwrap();
    let made = Command::new("sh")
        .arg("-c")
        .arg("touch -h -d '2020-02-29 12:34:56 UTC' a.txt bin link && tar cf ../t.tar . && zip -qry ../t.zip .")
        .current_dir(from.path())
        .env("TZ", "UTC")
        .status();
    assert!(made.unwrap().success());
    let beside = |name: &str| from.path().parent().unwrap().join(name);
    let tar = fs::read(beside("t.tar")).unwrap();
    let zip = fs::read(beside("t.zip")).unwrap();
    fs::remove_file(beside("t.tar")).unwrap();
    fs::remove_file(beside("t.zip")).unwrap();

    for kind in ["tar", "zip"] {
        let to = tempfile::tempdir().unwrap();
        let done = match kind {
            "tar" => unpack_tar(tar.as_slice(), to.path(), Options::default()),
            _ => unpack_zip(Cursor::new(&zip), to.path(), Options::default()),
        };
        assert_eq!(done.unwrap().files, 6, "{kind}");
        let same = Command::new("diff").arg("-r").arg(from.path()).arg(to.path()).output().unwrap();
        assert!(same.status.success(), "{kind}: {}", String::from_utf8_lossy(&same.stdout));
        for (path, mode) in [("bin/tool", 0o755), ("closed", 0o500)] {
            assert_eq!(fs::metadata(to.path().join(path)).unwrap().mode() & 0o777, mode, "{kind} {path}");
        }
        for path in ["a.txt", "bin", "link"] {
            let time = fs::symlink_metadata(to.path().join(path)).unwrap().mtime();
            assert_eq!(time, 1_582_979_696, "{kind} {path}");
        }
    }
}

#[test]
fn what_we_pack_gnu_tar_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "content").unwrap();
    let metadata = fs::metadata(&path).unwrap();
    let mut tar = TarWriter::new(Vec::new());
    let long = "n".repeat(100);
    let longer = format!("/{}/{}", "d".repeat(200), "n".repeat(200));
    for name in ["short", long.as_str(), longer.as_str()] {
        tar.file(Path::new(name), &metadata, &fs::File::open(&path).unwrap()).unwrap();
    }
    tar.symlink(Path::new("link"), &metadata, Path::new(&longer)).unwrap();
    let archive = dir.path().join("t.tar");
    fs::write(&archive, tar.finish().unwrap()).unwrap();
    let list = Command::new("tar").arg("tPf").arg(&archive).output().unwrap();
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let list = String::from_utf8(list.stdout).unwrap();
    assert_eq!(list.lines().collect::<Vec<_>>(), ["short", &long, &longer, "link"]);
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let part = prop::sample::select(vec!["a", "b", "c", "..", ".", "", "victim", "inside"]);
    let path = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    let kind = prop::sample::select(vec![
        EntryType::Regular,
        EntryType::Regular,
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::Symlink,
        EntryType::Link,
    ]);
    (path.clone(), kind, path).prop_map(|(name, kind, link)| entry(&name, kind, &link))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever files, links and directories follow each other, twice over, nothing outside changes.
    #[test]
    fn nothing_gets_out(first in prop::collection::vec(any_entry(), 1..8),
                        second in prop::collection::vec(any_entry(), 1..8)) {
        let (outside, inside) = prison();
        let _ = unpack_tar(tar(&first).as_slice(), &inside, Options::default());
        assert_untouched(outside.path());
        let _ = unpack_tar(tar(&second).as_slice(), &inside, Options::default());
        assert_untouched(outside.path());
    }
}

#[test]
fn files_written_beside_are_the_same_files() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut tar = TarWriter::new(Vec::new());
    let sizes = [0, 1, 256 << 10, (256 << 10) + 1, (1 << 20) + 7];
    for number in 0..60 {
        let path = from.path().join(format!("f{number}"));
        let bytes: Vec<u8> = (0..sizes[number % 5]).map(|byte| (byte * 31 + number) as u8).collect();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400 + number as u32 % 8)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let file = fs::File::open(&path).unwrap();
        // The second of a name is the one that stays.
        let name = format!("f{}", number % 50);
        tar.file(Path::new(&name), &metadata, &file).unwrap();
    }
    let tar = tar.finish().unwrap();
    let beside = Options { beside: true, ..Options::default() };
    unpack_tar(tar.as_slice(), to.path(), beside).unwrap();
    for number in 0..50 {
        let source = from.path().join(format!("f{}", if number < 10 { number + 50 } else { number }));
        let made = to.path().join(format!("f{number}"));
        assert!(fs::read(&source).unwrap() == fs::read(&made).unwrap(), "{number}");
        let of = |path: &Path| fs::metadata(path).map(|found| (found.mode(), found.mtime())).unwrap();
        assert_eq!(of(&source), of(&made), "{number}");
    }

    // Neither what breaks the stream nor what is too much is waited for in vain, and what came before stays.
    let other = tempfile::tempdir().unwrap();
    let cut = unpack_tar(&tar[..tar.len() / 3], other.path(), beside);
    assert!(cut.is_err(), "{cut:?}");
    assert!(other.path().join("f3").exists());
    let limits = Limits { bytes: 2 << 20, ..Limits::default() };
    let error = unpack_tar(tar.as_slice(), other.path(), Options { limits, ..beside }).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error}");
}

//! Files collected from real trees, looked at with other programs, and unpacked again.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use runspan_agent::files::{FilesError, Remembered, collect, unpack};
use runspan_agent_protocol::{Collect, CollectLog, Collected, Packaging, Unpack};
use runspan_archive::SendFile;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for file in files {
            tree.file(file, file);
        }
        tree
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

fn request(files: &[&str]) -> Collect {
    Collect {
        base_directory: String::new(),
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        exclude: Vec::new(),
        discard_paths: false,
        keep_symlinks: false,
        absolute_names: false,
        packaging: Packaging::Zip,
        log: CollectLog::Artifacts,
        search_seconds: 0,
        unless_unchanged: false,
    }
}

struct Run {
    collected: Collected,
    stream: Option<Vec<u8>>,
    log: Vec<String>,
}

fn run(tree: &Tree, request: &Collect) -> Run {
    let mut log = Vec::new();
    let (collected, stream) =
        collect(request, tree.path(), None, || Ok(Vec::new()), &mut |line| log.push(line.to_owned()))
            .unwrap();
    assert_eq!(collected.bytes, stream.as_ref().map_or(0, |stream| stream.len() as u64));
    Run { collected, stream, log }
}

/// Names in a zip as Python sees them, after it checked every checksum.
fn names(stream: &[u8]) -> Vec<String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(stream).unwrap();
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                  print('\\n'.join(z.namelist()))";
    let output = Command::new("python3").args(["-c", script]).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn zip_names(tree: &Tree, request: &Collect) -> Vec<String> {
    names(&run(tree, request).stream.unwrap())
}

#[test]
fn everything_with_hidden_files_sorted() {
    let tree = Tree::new(&["b.txt", "a/c.txt", ".env", ".git/HEAD", "a/b/d"]);
    fs::create_dir(tree.path().join("empty")).unwrap();
    let run = run(&tree, &request(&["**/*"]));
    assert_eq!(names(&run.stream.unwrap()), [".env", ".git/HEAD", "a/b/d", "a/c.txt", "b.txt"]);
    assert_eq!(run.collected.files, 5);
    assert_eq!(
        run.log,
        [
            "Expanding base directory path: .",
            "Assembling file list",
            "Expanding .",
            "Expanding file paths for base directory .",
            "Assembling file list",
            "Expanding **/*",
            "Found 5 file(s)",
        ]
    );
}

#[test]
fn nothing_found_opens_no_stream() {
    let tree = Tree::new(&["a"]);
    let mut opened = false;
    let mut log = Vec::new();
    let open = || {
        opened = true;
        Ok(Vec::new())
    };
    let (collected, stream) =
        collect(&request(&["imagedefinitions.json", "none/*"]), tree.path(), None, open, &mut |line| {
            log.push(line.to_owned());
        })
        .unwrap();
    assert!(!opened && stream.is_none());
    assert_eq!(collected.files, 0);
    assert_eq!(collected.unmatched, ["imagedefinitions.json", "none/*"]);
    assert_eq!(
        log[5..],
        [
            "Expanding imagedefinitions.json",
            "Skipping invalid file path imagedefinitions.json",
            "Expanding none/*",
        ]
    );
}

#[test]
fn base_directories_are_not_part_of_the_names() {
    let tree = Tree::new(&["my-dir1/a", "my-dir2/sub/b", "my-dir2/a", "other/c"]);
    let with_base = |base: &str| Collect { base_directory: base.to_owned(), ..request(&["**/*"]) };
    assert_eq!(zip_names(&tree, &with_base("my-dir2")), ["a", "sub/b"]);
    assert_eq!(zip_names(&tree, &with_base(tree.path().join("other").to_str().unwrap())), ["c"]);
    let run = run(&tree, &with_base("my-dir*"));
    assert_eq!(names(&run.stream.unwrap()), ["a", "sub/b"]);
    assert!(run.log.contains(&"Expanding file paths for base directory my-dir1".to_owned()), "{:?}", run.log);
    let none = self::run(&tree, &with_base("absent"));
    assert_eq!(none.collected.files, 0);
    assert!(none.log.contains(&"Skipping invalid file path absent".to_owned()), "{:?}", none.log);
}

#[test]
fn discarded_paths_keep_the_last_of_equal_names() {
    let tree = Tree::new(&["x/name", "a/name", "a/other"]);
    let request = Collect { discard_paths: true, ..request(&["x/*", "a/*"]) };
    let stream = run(&tree, &request).stream.unwrap();
    assert_eq!(names(&stream), ["name", "other"]);
    let out = tempfile::tempdir().unwrap();
    let zip = out.path().join("z.zip");
    fs::write(&zip, stream).unwrap();
    let output = Command::new("unzip").arg("-p").arg(&zip).arg("name").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "a/name");
}

#[test]
fn excluded_plain_and_outside_paths() {
    let tree = Tree::new(&["dist/a.js", "dist/.cache/x", "dist/sub/a.map", "top"]);
    let outside = Tree::new(&["report.json"]);
    let excluding =
        Collect { exclude: vec!["**/.*/**/*".into(), "**/*.map".into()], ..request(&["dist", "top"]) };
    assert_eq!(zip_names(&tree, &excluding), ["dist/a.js", "top"]);
    let path = outside.path().join("report.json");
    let name = path.to_str().unwrap().trim_start_matches('/').to_owned();
    assert_eq!(zip_names(&tree, &request(&[path.to_str().unwrap()])), [name]);
}

#[test]
fn links_are_followed_or_kept() {
    let tree = Tree::new(&["real/a", "b"]);
    symlink("b", tree.path().join("file-link")).unwrap();
    symlink("real", tree.path().join("dir-link")).unwrap();
    symlink(".", tree.path().join("real/loop")).unwrap();
    symlink("gone", tree.path().join("broken")).unwrap();
    let followed = run(&tree, &request(&["**/*"]));
    assert_eq!(names(&followed.stream.unwrap()), ["b", "file-link", "real/a"]);
    assert_eq!(followed.collected.warnings.len(), 3, "{:?}", followed.collected.warnings);
    assert_eq!(zip_names(&tree, &request(&["dir-link/*"])), ["dir-link/a"], "a named link is entered");

    let kept = run(&tree, &Collect { keep_symlinks: true, ..request(&["**/*"]) });
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("z.zip"), kept.stream.unwrap()).unwrap();
    let unzip = Command::new("unzip").args(["-q", "z.zip"]).current_dir(out.path()).output().unwrap();
    assert!(unzip.status.success(), "{}", String::from_utf8_lossy(&unzip.stderr));
    for (link, target) in [("file-link", "b"), ("dir-link", "real"), ("real/loop", "."), ("broken", "gone")] {
        assert_eq!(fs::read_link(out.path().join(link)).unwrap(), Path::new(target));
    }
}

#[test]
fn zips_keep_modes_times_and_large_files() {
    let tree = Tree::new(&["run.sh", "empty"]);
    fs::write(tree.path().join("empty"), "").unwrap();
    fs::set_permissions(tree.path().join("run.sh"), fs::Permissions::from_mode(0o751)).unwrap();
    let large: Vec<u8> = (0..9_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(tree.path().join("large.bin"), &large).unwrap();
    let stream = run(&tree, &request(&["**/*"])).stream.unwrap();
    assert_eq!(stream, run(&tree, &request(&["**/*"])).stream.unwrap(), "the same twice");
    assert_eq!(names(&stream), ["empty", "large.bin", "run.sh"]);
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("z.zip"), stream).unwrap();
    let unzip = Command::new("unzip").args(["-q", "z.zip"]).current_dir(out.path()).output().unwrap();
    assert!(unzip.status.success(), "{}", String::from_utf8_lossy(&unzip.stderr));
    assert_eq!(fs::read(out.path().join("large.bin")).unwrap(), large);
    let (new, old) = (fs::metadata(out.path().join("run.sh")), fs::metadata(tree.path().join("run.sh")));
    let (new, old) = (new.unwrap(), old.unwrap());
    assert_eq!((new.mode() & 0o777, new.mtime()), (0o751, old.mtime()));
}

#[test]
fn special_and_unreadable_files_are_warnings() {
    let tree = Tree::new(&["a"]);
    let fifo = Command::new("mkfifo").arg(tree.path().join("fifo")).status().unwrap();
    assert!(fifo.success());
    for packaging in [Packaging::Zip, Packaging::Tar] {
        let run = run(&tree, &Collect { packaging, ..request(&["**/*"]) });
        assert_eq!(run.collected.files, 1);
        assert!(run.collected.warnings[0].contains("fifo"), "{:?}", run.collected.warnings);
    }
}

#[test]
fn caches_come_back_as_they_were() {
    let tree = Tree::new(&["node_modules/x/index.js", "node_modules/.bin/real", "unrelated"]);
    let home = Tree::new(&["m2/repo/a.jar"]);
    fs::create_dir_all(home.path().join("m2/empty")).unwrap();
    symlink("real", tree.path().join("node_modules/.bin/tool")).unwrap();
    let long = format!("m2/{}/{}", "d".repeat(120), "f".repeat(120));
    fs::set_permissions(home.file(&long, "long"), fs::Permissions::from_mode(0o4755)).unwrap();
    let mut request = Collect {
        absolute_names: true,
        packaging: Packaging::Tar,
        log: CollectLog::Cache,
        ..request(&["node_modules/**/*", "absent/**/*"])
    };
    request.files.push(home.path().join("m2").to_str().unwrap().to_owned());
    let run = run(&tree, &request);
    assert_eq!(run.log[0], "Expanded cache path node_modules/**/*");
    assert_eq!(run.collected.unmatched, ["absent/**/*"]);
    assert_eq!(run.collected.files, 5);

    let stream = run.stream.unwrap();
    let modes = |path: &Path| fs::metadata(path).map(|m| (m.mode(), m.mtime(), m.uid())).unwrap();
    let before = modes(&home.path().join(&long));
    fs::remove_dir_all(home.path().join("m2")).unwrap();
    let other_source = tempfile::tempdir().unwrap();
    let unpack_request = Unpack {
        directory: other_source.path().to_str().unwrap().to_owned(),
        absolute_names: true,
        owner: None,
        remember: Vec::new(),
    };
    assert_eq!(unpack(stream.as_slice(), &unpack_request).unwrap().files, 5);
    assert_eq!(fs::read_to_string(home.path().join("m2/repo/a.jar")).unwrap(), "m2/repo/a.jar");
    assert!(home.path().join("m2/empty").is_dir());
    assert_eq!(modes(&home.path().join(&long)), before);
    let tool = other_source.path().join("node_modules/.bin/tool");
    assert_eq!(fs::read_link(tool).unwrap(), Path::new("real"));
    assert!(!other_source.path().join("unrelated").exists());
    // A second time over what is there now.
    assert_eq!(unpack(stream.as_slice(), &unpack_request).unwrap().files, 5);
}

#[test]
fn a_file_that_grows_or_vanishes_does_not_break_the_stream() {
    struct Meddler {
        stream: Vec<u8>,
        tree: PathBuf,
        done: bool,
    }
    impl Write for Meddler {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if !self.done && self.stream.len() > (2 << 20) + 512 {
                // `b` was opened, and its header is out.
                self.done = true;
                fs::remove_file(self.tree.join("z"))?;
                fs::OpenOptions::new().write(true).open(self.tree.join("b"))?.set_len(5)?;
            }
            self.stream.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl SendFile for Meddler {}
    let tree = Tree::new(&["z"]);
    tree.file("a", &"x".repeat(2 << 20));
    tree.file("b", &"y".repeat(2 << 20));
    let request = Collect { packaging: Packaging::Tar, ..request(&["**/*"]) };
    let open = || Ok(Meddler { stream: Vec::new(), tree: tree.path().to_owned(), done: false });
    let (collected, sink) = collect(&request, tree.path(), None, open, &mut |_| {}).unwrap();
    assert_eq!(collected.warnings.len(), 2, "{:?}", collected.warnings);
    assert!(
        collected.warnings[0].ends_with("b became shorter while it was read"),
        "{:?}",
        collected.warnings
    );
    let out = tempfile::tempdir().unwrap();
    let request = Unpack {
        directory: out.path().to_str().unwrap().into(),
        absolute_names: false,
        owner: None,
        remember: Vec::new(),
    };
    assert_eq!(unpack(sink.unwrap().stream.as_slice(), &request).unwrap().files, 2);
}

#[test]
fn names_that_are_no_text_stay_apart() {
    let tree = Tree::new(&[]);
    for name in [&b"caf\xe9"[..], b"caf\xe8"] {
        fs::write(tree.path().join(OsStr::from_bytes(name)), name).unwrap();
    }
    assert_eq!(zip_names(&tree, &request(&["*"])), ["caf\\xe8", "caf\\xe9"]);
    let tar = run(&tree, &Collect { packaging: Packaging::Tar, ..request(&["*"]) }).stream.unwrap();
    let out = tempfile::tempdir().unwrap();
    let directory = out.path().to_str().unwrap().to_owned();
    unpack(tar.as_slice(), &Unpack { directory, absolute_names: false, owner: None, remember: Vec::new() })
        .unwrap();
    assert_eq!(fs::read(out.path().join(OsStr::from_bytes(b"caf\xe9"))).unwrap(), b"caf\xe9");
}

#[test]
fn an_owner_gets_everything_unpacked() {
    let Ok(passwd) = fs::read_to_string("/etc/passwd") else { return };
    let nobody = passwd.lines().find(|line| line.starts_with("nobody:"));
    let Some(uid) = nobody.and_then(|line| line.split(':').nth(2)?.parse::<u32>().ok()) else { return };
    if !rustix::process::geteuid().is_root() {
        drop(writeln!(std::io::stderr(), "SKIPPED: only root gives files away"));
        return;
    }
    let tree = Tree::new(&["a/b"]);
    symlink("b", tree.path().join("a/link")).unwrap();
    let all = Collect { packaging: Packaging::Tar, keep_symlinks: true, ..request(&["**/*"]) };
    let stream = run(&tree, &all).stream.unwrap();
    let out = tempfile::tempdir().unwrap();
    let directory = out.path().join("src").to_str().unwrap().to_owned();
    let owner = Some("nobody".to_owned());
    unpack(stream.as_slice(), &Unpack { directory, absolute_names: false, owner, remember: Vec::new() })
        .unwrap();
    for path in ["src", "src/a/b", "src/a/link"] {
        assert_eq!(fs::symlink_metadata(out.path().join(path)).unwrap().uid(), uid, "{path}");
    }
}

#[test]
fn a_broken_sink_is_an_error_not_a_hang() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl SendFile for Broken {}
    let tree = Tree::new(&[]);
    for n in 0..2000 {
        tree.file(&format!("f{n}"), &"text ".repeat(200));
    }
    for packaging in [Packaging::Zip, Packaging::Tar] {
        let request = Collect { packaging, ..request(&["**/*"]) };
        let result = collect(&request, tree.path(), None, || Ok(Broken), &mut |_| {});
        assert!(matches!(result, Err(FilesError::Send(_))));
    }
}

#[test]
fn unpacked_files_are_sent_again_only_when_one_was_touched() {
    let made = Tree::new(&["kept/a", "kept/deep/b"]);
    symlink("a", made.path().join("kept/link")).unwrap();
    let mut order = Collect {
        keep_symlinks: true,
        absolute_names: true,
        packaging: Packaging::Tar,
        unless_unchanged: true,
        ..request(&["kept/**/*"])
    };
    let stream = run(&made, &order).stream.unwrap();
    let tree = Tree::new(&["beside"]);
    let directory = tree.path().to_str().unwrap().to_owned();
    let unpacking = Unpack { directory, absolute_names: true, owner: None, remember: order.files.clone() };
    let unpacked = || unpack(stream.as_slice(), &unpacking).unwrap().remembered;
    let is_unchanged = |order: &Collect, remembered: Option<&Remembered>| {
        let (collected, stream) =
            collect(order, tree.path(), remembered, || Ok(Vec::new()), &mut |_| {}).unwrap();
        assert_eq!(collected.unchanged, stream.is_none());
        collected.unchanged
    };
    let remembered = unpacked();
    assert!(remembered.is_some());
    assert!(is_unchanged(&order, remembered.as_ref()));
    tree.file("beside", "changed");
    assert!(is_unchanged(&order, remembered.as_ref()), "what is beside it is not looked at");
    assert!(!is_unchanged(&order, None));
    order.files = vec!["kept/deep/**/*".into()];
    assert!(!is_unchanged(&order, remembered.as_ref()), "other globs");
    order.files = unpacking.remember.clone();
    order.unless_unchanged = false;
    assert!(!is_unchanged(&order, remembered.as_ref()), "nobody asked");
    order.unless_unchanged = true;

    let a = tree.path().join("kept/a");
    let as_before = fs::metadata(&a).unwrap().modified().unwrap();
    let same_size_and_time = || {
        fs::write(&a, "kept/z").unwrap();
        fs::File::open(&a).unwrap().set_modified(as_before).unwrap();
    };
    let replaced = || {
        fs::copy(&a, tree.path().join("other")).unwrap();
        fs::File::open(tree.path().join("other")).unwrap().set_modified(as_before).unwrap();
        fs::rename(tree.path().join("other"), &a).unwrap();
    };
    let touches: [(&str, &dyn Fn()); 7] = [
        ("content of the same size, and its time put back", &same_size_and_time),
        ("a copy in its place, and its time put back", &replaced),
        ("a mode", &|| fs::set_permissions(&a, fs::Permissions::from_mode(0o600)).unwrap()),
        ("one more", &|| drop(tree.file("kept/deep/c", ""))),
        ("one less", &|| fs::remove_file(tree.path().join("kept/deep/b")).unwrap()),
        ("a directory", &|| fs::create_dir(tree.path().join("kept/empty")).unwrap()),
        ("another link", &|| {
            fs::remove_file(tree.path().join("kept/link")).unwrap();
            symlink("b", tree.path().join("kept/link")).unwrap();
        }),
    ];
    for (what, touch) in touches {
        fs::remove_dir_all(tree.path().join("kept")).unwrap();
        let remembered = unpacked();
        assert!(is_unchanged(&order, remembered.as_ref()), "before {what}");
        touch();
        assert!(!is_unchanged(&order, remembered.as_ref()), "{what}");
    }

    // What was there before is no part of the archive.
    fs::remove_dir_all(tree.path().join("kept")).unwrap();
    tree.file("kept/older", "");
    assert!(unpacked().is_none());
}

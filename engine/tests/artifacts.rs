//! Artifacts stored on a real disk, a full one too.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use runspan_archive::{Limits, TarWriter};
use runspan_engine::artifacts::{ArtifactError, Packaging, Stored, store};

fn put(dir: &Path, packaging: Packaging, key: &str, mut bytes: &[u8]) -> Result<Stored, ArtifactError> {
    store(&mut bytes, packaging, dir, key, Limits::default())
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut tar = TarWriter::new(Vec::new());
    for (name, text) in files {
        let path = dir.path().join("f");
        fs::write(&path, text).unwrap();
        let file = fs::File::open(&path).unwrap();
        tar.file(Path::new(name), &file.metadata().unwrap(), &file).unwrap();
    }
    tar.finish().unwrap()
}

fn names(dir: &Path) -> String {
    let output =
        Command::new("find").args([".", "-mindepth", "1", "-printf", "%P\n"]).current_dir(dir).output();
    let mut names: Vec<_> =
        String::from_utf8(output.unwrap().stdout).unwrap().lines().map(str::to_owned).collect();
    names.sort();
    names.join(" ")
}

#[test]
fn a_zip_is_one_file_with_its_sums() {
    let dir = tempfile::tempdir().unwrap();
    let stored = put(dir.path(), Packaging::Zip, "out/v1/app.zip", b"content").unwrap();
    assert_eq!(stored.path, dir.path().join("out/v1/app.zip"));
    assert_eq!(stored.bytes, 7);
    for (program, sum) in [("sha256sum", &stored.sha256), ("md5sum", &stored.md5)] {
        let output = Command::new(program).arg(&stored.path).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed.split(' ').next(), sum.as_deref());
    }
    put(dir.path(), Packaging::Zip, "out/v1/app.zip", b"newer").unwrap();
    assert_eq!(fs::read_to_string(&stored.path).unwrap(), "newer");
    assert_eq!(names(dir.path()), "out out/v1 out/v1/app.zip");
}

#[test]
fn a_folder_is_merged_as_in_s3() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), Packaging::None, "app", &tar(&[("a", "1"), ("sub/b", "1")])).unwrap();
    put(dir.path(), Packaging::None, "app", &tar(&[("a", "2"), ("c", "2")])).unwrap();
    assert_eq!(names(dir.path()), "app app/a app/c app/sub app/sub/b");
    assert_eq!(fs::read_to_string(dir.path().join("app/a")).unwrap(), "2");
    let root = put(dir.path(), Packaging::None, "", &tar(&[("top", "x")])).unwrap();
    assert_eq!(root.path, dir.path());
    assert_eq!(names(dir.path()), "app app/a app/c app/sub app/sub/b top");
}

#[test]
fn names_do_not_lead_out() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("artifacts");
    for packaging in [Packaging::Zip, Packaging::None] {
        for key in ["../x", "a/../../x", "a/\0", &"n".repeat(300)] {
            let error = put(&dir, packaging, key, &tar(&[("f", "x")])).unwrap_err();
            assert!(matches!(error, ArtifactError::Name { .. }), "{error}");
        }
        fs::create_dir_all(&dir).unwrap();
        let _ = symlink("..", dir.join("out"));
        assert!(put(&dir, packaging, "out/x", &tar(&[("f", "x")])).is_err());
        assert_eq!(names(outer.path()), "artifacts artifacts/out");
    }
    assert!(matches!(put(&dir, Packaging::Zip, "/", b""), Err(ArtifactError::Name { .. })));
    let stored = put(&dir, Packaging::Zip, "/etc/passwd", b"x").unwrap();
    assert_eq!(stored.path, dir.join("etc/passwd"));
}

#[test]
fn a_broken_stream_leaves_what_was_there() {
    struct Cut<'a>(&'a [u8]);
    impl Read for Cut<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::ErrorKind::ConnectionReset.into()),
                read => Ok(read),
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), Packaging::Zip, "app.zip", b"old").unwrap();
    put(dir.path(), Packaging::None, "app", &tar(&[("f", "old")])).unwrap();
    let new = tar(&[("f", "new"), ("g", "new")]);
    for (packaging, key) in [(Packaging::Zip, "app.zip"), (Packaging::None, "app")] {
        let cut = &new[..1500];
        assert!(store(&mut Cut(cut), packaging, dir.path(), key, Limits::default()).is_err());
    }
    assert_eq!(names(dir.path()), "app app.zip app/f");
    assert_eq!(fs::read_to_string(dir.path().join("app/f")).unwrap(), "old");
    assert_eq!(fs::read_to_string(dir.path().join("app.zip")).unwrap(), "old");
}

#[test]
fn a_full_disk_is_one_clear_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir.path()).output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        drop(writeln!(std::io::stderr(), "SKIPPED: a full disk needs the right to mount"));
        return;
    }
    let big = "x".repeat(2 << 20);
    let errors = [
        put(dir.path(), Packaging::Zip, "app.zip", big.as_bytes()).unwrap_err(),
        put(dir.path(), Packaging::None, "app", &tar(&[("small", "x"), ("zbig", &big)])).unwrap_err(),
    ];
    let left = names(dir.path());
    assert!(Command::new("umount").arg(dir.path()).status().unwrap().success());
    for error in errors {
        assert!(matches!(error, ArtifactError::DiskFull { .. }), "{error}");
    }
    assert_eq!(left, "");
}

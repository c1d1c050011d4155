//! The local cache, used by many at once.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use runspan_engine::cache::{
    CacheError, Directories, Put, Slot, Store, copy_entry, open_file, version, write_file,
};

fn slot(namespace: &str) -> Slot {
    Slot { namespace: namespace.into(), version: version(&["/root/.m2/**/*".into()]) }
}

fn text(
    store: &Store,
    slot: &Slot,
    key: Option<&str>,
    fallback: &[&str],
) -> Option<(Option<String>, String)> {
    let fallback: Vec<String> = fallback.iter().map(|key| (*key).to_owned()).collect();
    let mut hit = store.lookup(slot, key, &fallback).unwrap()?;
    let mut text = String::new();
    hit.reader.read_to_string(&mut text).unwrap();
    assert_eq!(hit.is_exact(), hit.key.as_deref() == key);
    Some((hit.key, text))
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path)
            } else if !path.ends_with("lock") {
                found.push(path)
            }
        }
    }
    found
}

/// Bytes that do not compress.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn entries_with_keys_never_change_and_fall_back_to_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), u64::MAX).unwrap();
    let slot = slot("project");
    assert!(text(&store, &slot, Some("npm-1"), &["npm-"]).is_none());
    for (key, body) in [("npm-1", "one"), ("npm-2", "two"), ("yarn-1", "yarn")] {
        assert!(matches!(store.put(&slot, Some(key), &mut body.as_bytes()).unwrap(), Put::Saved { .. }));
        std::thread::sleep(Duration::from_millis(3));
    }
    assert_eq!(store.put(&slot, Some("npm-1"), &mut "other".as_bytes()).unwrap(), Put::AlreadyThere);
    assert_eq!(text(&store, &slot, Some("npm-1"), &["npm-"]), Some((Some("npm-1".into()), "one".into())));
    assert_eq!(text(&store, &slot, Some("npm-9"), &["npm-"]), Some((Some("npm-2".into()), "two".into())));
    let second = text(&store, &slot, Some("x"), &["none-", "yarn-", "npm-"]);
    assert_eq!(second, Some((Some("yarn-1".into()), "yarn".into())));
    assert_eq!(text(&store, &slot, Some("x"), &["", "none-"]), None, "an empty prefix is none");
    assert_eq!(text(&store, &slot, None, &["npm-"]), None, "fallback keys need a key");
    assert!(store.contains(&slot, "npm-2") && !store.contains(&slot, "npm-"));
}

#[test]
fn without_a_key_there_is_one_entry_and_slots_are_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), u64::MAX).unwrap();
    let (one, two) = (slot("one"), slot("two"));
    for body in ["first", "second"] {
        store.put(&one, None, &mut body.as_bytes()).unwrap();
    }
    assert_eq!(text(&store, &one, None, &[]), Some((None, "second".into())));
    assert_eq!(files(dir.path()).len(), 1);
    assert_eq!(text(&store, &two, None, &[]), None);
    let other_paths = Slot { version: version(&["/root/.m2/**/*".into(), "x".into()]), ..one.clone() };
    assert_eq!(text(&store, &other_paths, None, &[]), None);
    assert_ne!(version(&["a".into(), "b".into()]), version(&["ab".into()]));
    store.invalidate("one").unwrap();
    assert_eq!(text(&store, &one, None, &[]), None);
}

#[test]
fn the_least_recently_used_goes_and_its_readers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 350_000).unwrap();
    let slot = slot("p");
    for key in ["a", "b", "c"] {
        store.put(&slot, Some(key), &mut noise(7, 100_000).as_slice()).unwrap();
    }
    let old = SystemTime::now() - Duration::from_secs(1000);
    for path in files(dir.path()) {
        fs::File::options().append(true).open(path).unwrap().set_modified(old).unwrap();
    }
    let mut b = store.lookup(&slot, Some("b"), &[]).unwrap().unwrap();
    let mut a = store.lookup(&slot, Some("a"), &[]).unwrap().unwrap();
    store.put(&slot, Some("d"), &mut noise(8, 100_000).as_slice()).unwrap();
    assert!(!store.contains(&slot, "c"), "c was not used");
    assert!(["a", "b", "d"].iter().all(|key| store.contains(&slot, key)));
    store.put(&slot, Some("e"), &mut noise(9, 300_000).as_slice()).unwrap();
    assert_eq!(files(dir.path()).len(), 1);
    for hit in [&mut a, &mut b] {
        let mut bytes = Vec::new();
        hit.reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, noise(7, 100_000));
    }
}

#[test]
fn nothing_unfinished_is_ever_an_entry() {
    struct Cut(usize);
    impl Read for Cut {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::ConnectionReset)?;
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 200_000).unwrap();
    let slot = slot("p");
    let error = store.put(&slot, Some("k"), &mut Cut(5)).unwrap_err();
    assert!(matches!(error, CacheError::Stream(_)), "{error}");
    let error = store.put(&slot, Some("k"), &mut noise(1, 500_000).as_slice()).unwrap_err();
    assert!(matches!(error, CacheError::TooLarge { limit: 200_000 }), "{error}");
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());

    // What a killed process leaves is swept; what somebody is writing is not.
    let temporary = dir.path().join("temporary");
    let old = SystemTime::now() - Duration::from_secs(1000);
    for name in ["left", "held"] {
        fs::File::create(temporary.join(name)).unwrap().set_modified(old).unwrap();
    }
    let held = fs::File::open(temporary.join("held")).unwrap();
    held.lock().unwrap();
    Store::open(dir.path(), 200_000).unwrap();
    assert_eq!(files(dir.path()), [temporary.join("held")]);
}

#[test]
fn broken_entries_are_misses_and_can_be_saved_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), u64::MAX).unwrap();
    let slot = slot("p");
    store.put(&slot, Some("k"), &mut "body".as_bytes()).unwrap();
    for junk in ["", "no head at all", "{\"key\":"] {
        fs::write(&files(dir.path())[0], junk).unwrap();
        assert_eq!(text(&store, &slot, Some("k"), &[]), None, "{junk}");
        store.put(&slot, Some("k"), &mut "body".as_bytes()).unwrap();
    }
    let path = &files(dir.path())[0];
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..whole.len() - 3]).unwrap();
    let mut hit = store.lookup(&slot, Some("k"), &[]).unwrap().unwrap();
    assert!(hit.reader.read_to_end(&mut Vec::new()).is_err(), "a cut archive never reads as whole");
}

/// One of several processes at work on one store; run by the test below.
#[test]
fn worker() {
    let Some(root) = std::env::var_os("RUNSPAN_CACHE_TEST") else { return };
    let store = Store::open(Path::new(&root), 3_000_000).unwrap();
    let slot = slot("shared");
    for round in 0..20_u64 {
        let key = format!("k{}", round % 8);
        store.put(&slot, Some(&key), &mut noise(round % 8, 500_000).as_slice()).unwrap();
        store.put(&slot, None, &mut noise(99, 200_000).as_slice()).unwrap();
        for (key, seed, length) in [(Some(key.as_str()), round % 8, 500_000), (None, 99, 200_000)] {
            if let Some(mut hit) = store.lookup(&slot, key, &[]).unwrap() {
                let mut bytes = Vec::new();
                hit.reader.read_to_end(&mut bytes).unwrap();
                assert_eq!(bytes, noise(seed, length));
            }
        }
    }
}

#[test]
fn processes_and_threads_share_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            Command::new(&program)
                .args(["--exact", "worker", "--quiet"])
                .env("RUNSPAN_CACHE_TEST", dir.path())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let bytes: u64 = files(dir.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(bytes <= 3_000_000, "{bytes}");
    assert!(files(&dir.path().join("temporary")).is_empty());
}

#[test]
fn directories_belong_to_one_build_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let directories = Directories::open(dir.path()).unwrap();
    let first = directories.acquire("project /root/.m2").unwrap();
    fs::write(first.path().join("kept"), "x").unwrap();
    let second = directories.acquire("project /root/.m2").unwrap();
    assert!(first.is_kept() && !second.is_kept());
    assert_eq!(fs::read_dir(second.path()).unwrap().count(), 0);
    let scratch = second.path().to_owned();
    drop((first, second));
    assert!(!scratch.exists());
    let third = directories.acquire("project /root/.m2").unwrap();
    assert!(third.is_kept() && third.path().join("kept").exists());
    assert!(directories.acquire("project /root/.npm").unwrap().is_kept());
}

#[test]
fn copies_are_found_by_where_they_are_from_and_what_is_in_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 1 << 20).unwrap();
    let elsewhere = dir.path().join("downloaded");
    let written = write_file(&elsewhere, Some("k"), &mut "archive".as_bytes(), Some(&store)).unwrap();
    store.end_copy(written.copy.unwrap(), "s3://bucket/mine/", &written.sha256).unwrap();
    let read = |from: &str, sum: &str| {
        let mut hit = store.copy_of(from, sum, Some("k")).unwrap()?;
        assert!(hit.is_exact() && hit.reader.as_file().is_some());
        let mut text = String::new();
        hit.reader.read_to_string(&mut text).unwrap();
        Some(text)
    };
    assert_eq!(read("s3://bucket/mine/", &written.sha256), Some("archive".to_owned()));
    assert_eq!(read("s3://bucket/theirs/", &written.sha256), None, "what others have is not for us");
    assert_eq!(read("s3://bucket/mine/", &"0".repeat(64)), None);

    // What came from elsewhere holds what its sum says, or is not kept.
    let mut hit = open_file(&elsewhere, None).unwrap();
    let mut copy = store.begin_copy(None, hit.created_ms).unwrap();
    assert_eq!(copy_entry(&mut hit, &mut copy).unwrap(), written.sha256);
    store.end_copy(copy, "s3://bucket/other/", &written.sha256).unwrap();
    assert_eq!(files(&dir.path().join("entries")).len(), 2);

    // After the machine has started anew nobody knows how much of a copy the disk has.
    for path in files(&dir.path().join("entries")) {
        let bytes = String::from_utf8(fs::read(&path).unwrap()).unwrap();
        let (before, after) = bytes.split_once(r#""boot":""#).unwrap();
        fs::write(&path, format!(r#"{before}"boot":"another{after}"#)).unwrap();
    }
    assert_eq!(read("s3://bucket/mine/", &written.sha256), None);

    // What is too much for the store leaves the entry as it is.
    let large = noise(1, 2 << 20);
    let written = write_file(&elsewhere, None, &mut large.as_slice(), Some(&store)).unwrap();
    assert!(written.copy.is_none() && written.bytes > 1 << 20);
}

//! What a store keeps, what goes, and what a killed process leaves.

use std::path::Path;
use std::process::Command;

use runspan_sandbox::image::{Image, ImageError, Store};

use crate::fake::{Answer, Fake, Pieces, gzip, tar};
use crate::rig::{Rig, impatient, skip};

const SIZE: usize = 100_000;

/// A registry with images `a`, `b`, `c`: one layer that all have, and one of each.
fn registry() -> Fake {
    let shared = tar(&[("shared", &[9; SIZE])]);
    let images: Vec<(String, Pieces)> = ["a", "b", "c"]
        .map(|name| {
            let own = tar(&[(name, &[7; SIZE])]);
            let layers = [(shared.clone(), gzip(&shared)), (own.clone(), gzip(&own))];
            (format!("/v2/{name}/"), Pieces::new(&layers))
        })
        .into();
    Fake::start(move |request| match images.iter().find(|(prefix, _)| request.path.starts_with(prefix)) {
        Some((_, pieces)) => pieces.answer(request),
        None => Answer::status(404, &[], ""),
    })
}

async fn get(store: &Store, fake: &Fake, name: &str) -> Image {
    store.resolve(&format!("{}/{name}", fake.host), None, &|_| ()).await.unwrap()
}

fn names(store: &Store) -> Vec<String> {
    let names = store.list().unwrap().into_iter().flat_map(|image| image.names);
    names.map(|name| name.rsplit_once('/').unwrap().1.trim_end_matches(":latest").to_owned()).collect()
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes_first() {
    let fake = registry();
    // Room for the shared layer and two more.
    let rig = Rig::with(|settings| settings.limit = 3 * SIZE as u64 + 1000);
    drop(get(&rig.store, &fake, "a").await);
    drop(get(&rig.store, &fake, "b").await);
    let list = rig.store.list().unwrap();
    assert_eq!((list[0].bytes, list[0].own_bytes), (2 * SIZE as u64, SIZE as u64));
    // Used again, so `b` is the older one.
    drop(get(&rig.store, &fake, "a").await);
    drop(get(&rig.store, &fake, "c").await);
    assert_eq!(names(&rig.store), ["c", "a"]);
    assert_eq!((rig.part("layers").len(), rig.part("tmp").len(), rig.part("names").len()), (3, 0, 2));
    let requests = fake.paths().len();
    drop(get(&rig.store, &fake, "a").await);
    assert_eq!(fake.paths().len(), requests);
    // It comes back, without the layer that the others have kept.
    let before = rig.part("layers").len();
    drop(get(&rig.store, &fake, "b").await);
    assert_eq!(rig.part("layers").len(), before);
}

#[tokio::test]
async fn an_image_in_use_is_never_evicted() {
    let fake = registry();
    let rig = Rig::with(|settings| settings.limit = 2 * SIZE as u64 + 1000);
    let [a, b] = [get(&rig.store, &fake, "a").await, get(&rig.store, &fake, "b").await];
    assert_eq!(names(&rig.again()), ["b", "a"]);
    assert!(rig.store.list().unwrap().iter().all(|image| image.in_use));
    let freed = rig.again().prune(0).unwrap();
    assert_eq!((freed.images.len(), freed.bytes), (0, 0));
    let error = rig.store.remove(&a.id).unwrap_err();
    assert!(matches!(error, ImageError::InUse(_)), "{error}");
    let there = |image: &Image| image.layers.iter().all(|layer| layer.is_dir());
    assert!(there(&a) && there(&b));
    drop(a);
    let freed = rig.store.prune(0).unwrap();
    assert_eq!((freed.images.len(), freed.bytes), (1, SIZE as u64));
    assert!(there(&b));
    drop(b);
    assert_eq!(rig.store.prune(0).unwrap().bytes, 2 * SIZE as u64);
    rig.assert_empty();
    assert_eq!(rig.part("locks").len(), 0);
}

#[tokio::test]
async fn a_lease_is_kept_by_whoever_locks_its_file_too() {
    let fake = registry();
    let rig = Rig::new();
    let image = get(&rig.store, &fake, "a").await;
    // As a sandbox's first process does, which outlives its supervisor.
    let other = std::fs::File::open(image.lease.path().unwrap()).unwrap();
    other.lock_shared().unwrap();
    drop(image);
    assert_eq!(rig.store.prune(0).unwrap().bytes, 0);
    drop(other);
    assert_eq!(rig.store.prune(0).unwrap().bytes, 2 * SIZE as u64);
}

#[tokio::test]
async fn a_name_goes_before_its_image() {
    let fake = registry();
    let rig = Rig::new();
    let path = rig.dir.path().join("app.tar");
    std::fs::write(&path, tar(&[("x", b"1")])).unwrap();
    let copy = rig.dir.path().join("copy.tar");
    std::fs::copy(&path, &copy).unwrap();
    let [one, other] = [&path, &copy].map(|path| path.display().to_string());
    drop((rig.resolve(&one).await.unwrap(), rig.resolve(&other).await.unwrap()));
    assert_eq!(rig.store.list().unwrap().len(), 1);
    assert_eq!(rig.store.remove(&one).unwrap().images.len(), 0);
    std::fs::remove_file(&copy).unwrap();
    assert_eq!(rig.store.remove(&other).unwrap().images.len(), 1);
    assert!(matches!(rig.store.remove(&one), Err(ImageError::Unknown(_))));
    drop(get(&rig.store, &fake, "a").await);
    let id = rig.store.list().unwrap()[0].id.clone();
    assert_eq!(rig.store.remove(&id).unwrap().bytes, 2 * SIZE as u64);
    rig.assert_empty();
}

#[tokio::test]
async fn what_a_dead_process_left_is_swept_and_living_work_is_not() {
    let pieces = Pieces::of_size(1 << 20);
    let fake = Fake::start(move |request| match request.path.ends_with(&pieces.layer) {
        true => Answer::Stall(pieces.blobs[&pieces.layer].clone(), 500_000),
        false => pieces.answer(request),
    });
    let rig = Rig::with(|settings| settings.patience.stall = std::time::Duration::from_secs(20));
    let dead =
        rig.dir.path().join(format!("images/of-{}/tmp/work-dead", rustix::process::geteuid().as_raw()));
    std::fs::create_dir_all(dead.join("fs/closed/in")).unwrap();
    std::fs::write(dead.join("fs/closed/in/file"), "x").unwrap();
    std::fs::set_permissions(dead.join("fs/closed"), std::os::unix::fs::PermissionsExt::from_mode(0o000))
        .unwrap();
    let name = format!("{}/app", fake.host);
    let pull = rig.store.resolve(&name, None, &|_| ());
    let look = async {
        while rig.part("tmp").len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        drop(rig.again());
        assert!(!dead.exists());
        assert_eq!(rig.part("tmp").len(), 1);
    };
    // Then the pull is dropped in the middle, as when a build is stopped.
    tokio::select! {
        done = pull => panic!("{done:?}"),
        () = look => {}
    }
    for _ in 0..200 {
        if rig.part("tmp").is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    rig.assert_empty();
}

#[tokio::test]
async fn a_full_disk_is_one_clear_error() {
    let test = "a_full_disk_is_one_clear_error";
    if !rustix::process::geteuid().is_root() {
        return skip(&format!("{test} needs root"));
    }
    let pieces = Pieces::of_size(8 << 20);
    let fake = Fake::start(move |request| pieces.answer(request));
    let small = Small::mount(4);
    let settings = runspan_sandbox::image::Settings { patience: impatient(), ..Default::default() };
    let store = Store::open(&small.0.path().join("images"), settings).unwrap();
    let error = store.resolve(&format!("{}/app", fake.host), None, &|_| ()).await.unwrap_err();
    assert!(matches!(error, ImageError::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("runspan images prune"), "{error}");
    let left = Command::new("find").arg(small.0.path()).args(["-path", "*/of-0/tmp/*"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
}

/// A file system of so many MiB.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(mib: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={mib}m");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).status();
        assert!(done.unwrap().success());
        Self(dir)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Runs this test again as an ordinary user.
#[tokio::test]
async fn an_ordinary_user_has_a_store_too() {
    const NOBODY: u32 = 65534;
    let test = "eviction::an_ordinary_user_has_a_store_too";
    if rustix::process::geteuid().is_root() {
        // Where that user can reach it.
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("test");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        for path in [place.path(), &program] {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let done = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(["--exact", test, "--nocapture"])
            .env("TMPDIR", place.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(
            done.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&done.stderr)
        );
        return;
    }
    let rig = Rig::new();
    let path = rig.dir.path().join("root.tar");
    std::fs::write(&path, hard_for_users()).unwrap();
    let image = rig.resolve(&path.display().to_string()).await.unwrap();
    let root: &Path = &image.layers[0];
    let mark = |name: &str| std::fs::symlink_metadata(root.join(name)).unwrap();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&mark("gone").file_type()));
    let mut value = [0; 4];
    assert_eq!(rustix::fs::lgetxattr(root.join("opaque"), "user.overlay.opaque", &mut value), Ok(1));
    drop(image);
    assert_eq!(rig.store.prune(0).unwrap().images.len(), 1);
    rig.assert_empty();
}

/// A layer of somebody else's files, with a directory that is closed.
fn hard_for_users() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut put = |name: &str, kind: tar::EntryType, mode: u32| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        tar.append_data(&mut header, name, std::io::empty()).unwrap();
    };
    put("closed", tar::EntryType::Directory, 0o000);
    put("closed/in", tar::EntryType::Directory, 0o500);
    put("closed/in/file", tar::EntryType::Regular, 0o4755);
    put(".wh.gone", tar::EntryType::Regular, 0);
    put("opaque/.wh..wh..opq", tar::EntryType::Regular, 0);
    tar.into_inner().unwrap()
}

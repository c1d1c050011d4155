//! Builds that mean no good: each is contained, and nothing of it stays.

use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use runspan_engine::Executor as _;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::case::{Case, is_root};

#[tokio::test]
async fn forks_without_end_are_limited() {
    let mut case =
        Case::new(r#"i=0; while [ $i -lt 400 ]; do sleep 600 & i=$((i + 1)); done; echo "all $i""#);
    case.asked.limits.pids = 60;
    let placement = case.place().await.unwrap();
    // The shell gives up, or goes on without what it was refused.
    let executor = case.executor();
    let _end = tokio::time::timeout(Duration::from_secs(20), executor.observe(&placement)).await;
    assert!(case.output().to_lowercase().contains("fork"), "{}", case.output());
    executor.collect(&placement).await.unwrap();
    case.assert_nothing_left();
}

#[tokio::test]
async fn processes_that_ignore_every_signal_die() {
    let case = Case::new(
        r#"trap '' HUP INT QUIT TERM USR1 USR2
           for i in 1 2 3 4 5; do setsid sh -c 'trap "" HUP INT QUIT TERM; while :; do sleep 60; done' & done
           kill -STOP $! ; echo deaf; while :; do sleep 60; done"#,
    );
    let placement = case.place().await.unwrap();
    case.wait_for("deaf");
    let started = Instant::now();
    case.executor().collect(&placement).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    case.assert_nothing_left();
}

#[tokio::test]
async fn modes_owners_and_depth_do_not_keep_a_directory() {
    let case = Case::new(
        r#"cd /tmp && mkdir -p a/b/c && touch a/b/c/file && chmod 0 a/b/c a/b a
           d=/tmp/deep; mkdir $d; for i in $(seq 200); do d=$d/abcdefghij; mkdir $d || break; done
           chown 1000:1000 /tmp/deep 2>/dev/null; mkfifo /tmp/fifo; ln -s /etc/passwd /tmp/link; echo done"#,
    );
    let (output, _) = case.run().await;
    assert!(output.contains("done"), "{output}");
    assert!(Path::new("/etc/passwd").exists());
}

#[tokio::test]
async fn mounts_are_refused_and_none_reaches_the_machine() {
    let case = Case::new(
        "mount -t tmpfs x /tmp && echo mounted; mount --bind / /mnt && echo mounted
         umount /proc && echo unmounted; unshare -r true && echo unshared; echo done",
    );
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let (output, _) = case.run().await;
    assert!(!output.contains("mounted") && !output.contains("unshared"), "{output}");
    assert!(output.contains("done"));
    let own = |text: &str| text.lines().filter(|line| line.contains("/sandbox/")).count();
    assert_eq!(own(&before), own(&fs::read_to_string("/proc/self/mountinfo").unwrap()));
}

#[tokio::test]
async fn a_full_layer_is_the_builds_own_trouble() {
    if !is_root("mounting a small disk") {
        return;
    }
    let case = Case::new(
        "dd if=/dev/zero of=/usr/large bs=64k || echo full; rm /usr/large; echo ok > /usr/small && cat /usr/small",
    );
    fs::create_dir_all(case.state()).unwrap();
    let size = CString::new("size=16m").unwrap();
    mount("tmpfs", case.state(), "tmpfs", MountFlags::empty(), Some(&*size)).unwrap();
    let placement = case.place().await;
    let ended = match &placement {
        Ok(placement) => Some(case.executor().observe(placement).await),
        Err(_) => None,
    };
    let collected = match &placement {
        Ok(placement) => case.executor().collect(placement).await,
        Err(_) => Ok(()),
    };
    let left = fs::read_dir(case.state().join("sandbox")).map(Iterator::count);
    unmount(case.state(), UnmountFlags::DETACH).unwrap();
    placement.unwrap();
    ended.unwrap().unwrap();
    collected.unwrap();
    assert_eq!(left.unwrap(), 1, "only the directory of id ranges");
    let output = case.output();
    assert!(output.contains("full") && output.ends_with("ok\n"), "{output}");
}

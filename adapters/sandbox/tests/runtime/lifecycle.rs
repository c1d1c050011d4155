//! The executor's verbs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use runspan_engine::{
    Beside, CheckState, Company, Container, Executor as _, ExecutorError, Mount, Network, Progress, RootFs,
};

use crate::case::{Case, is_root};

#[tokio::test]
async fn a_sandbox_is_placed_observed_and_collected() {
    let mut case = Case::new(
        r#"echo $$; id -u; pwd
           touch /codebuild/run/written /cache/written && echo writable
           touch /codebuild/agent /locked/x || echo read-only
           exit 7"#,
    );
    let cache = case.dir().join("cache");
    fs::create_dir(&cache).unwrap();
    let mount =
        |container: &str, writable| Mount { host: cache.clone(), container: container.into(), writable };
    case.asked.mounts = vec![mount("/cache", true), mount("/locked", false)];
    let progress = std::sync::Mutex::new(Vec::new());
    let executor = case.executor();
    let placement = executor.place(&case.asked, &|step| progress.lock().unwrap().push(step)).await.unwrap();
    assert_eq!(progress.lock().unwrap()[0], Progress::Starting);
    assert_eq!((placement.executor.as_str(), &placement.attempt), ("sandbox", &case.asked.attempt));
    assert_eq!(placement.image_id, "host");
    let end = executor.observe(&placement).await.unwrap();
    assert_eq!((end.exit_code, end.out_of_memory), (Some(7), false));
    let output = case.output();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[..4], ["1", "0", "/", "writable"]);
    assert_eq!(lines.last(), Some(&"read-only"), "{output}");
    assert!(cache.join("written").exists() && case.asked.run_dir.join("written").exists());

    // Observed again after the end, as a supervisor that comes back does.
    assert_eq!(case.executor().observe(&placement).await.unwrap(), end);
    executor.collect(&placement).await.unwrap();
    executor.collect(&placement).await.unwrap();
    assert_eq!(executor.observe(&placement).await.unwrap().exit_code, None);
    case.assert_nothing_left();
}

#[tokio::test]
async fn a_cancelled_sandbox_ends_at_once_with_all_that_is_in_it() {
    let case = Case::new(
        "trap '' TERM INT; setsid sh -c 'trap \"\" TERM; sleep 600' & echo up; while :; do sleep 1; done",
    );
    let placement = case.place().await.unwrap();
    case.wait_for("up");
    let executor = case.executor();
    let (end, cancelled) = tokio::join!(executor.observe(&placement), executor.cancel(&placement));
    cancelled.unwrap();
    assert_eq!(end.unwrap().exit_code, Some(137));
    executor.cancel(&placement).await.unwrap();
    executor.collect(&placement).await.unwrap();
    case.assert_nothing_left();
}

#[tokio::test]
async fn a_sandbox_ends_with_its_first_process() {
    let case = Case::new("echo up; sleep 600");
    let placement = case.place().await.unwrap();
    case.wait_for("up");
    let killed = std::process::Command::new("kill").args(["-9", &placement.container]).status().unwrap();
    assert!(killed.success());
    assert_eq!(case.executor().observe(&placement).await.unwrap().exit_code, None);
    case.executor().collect(&placement).await.unwrap();
    case.assert_nothing_left();
}

#[tokio::test]
async fn real_time_priority_is_not_handed_on() {
    if !is_root("real-time priority") {
        return;
    }
    // Field 41 is the policy. The shell may be busybox, so nothing but `read` is counted on.
    let case = Case::new("read -r stat < /proc/self/stat; set -- ${stat##*)}; shift 38; echo policy $1");
    // The runtime of this test has one thread, which also starts the sandbox.
    let own = rustix::thread::gettid().as_raw_nonzero().to_string();
    let changed = std::process::Command::new("chrt").args(["--fifo", "--pid", "1", &own]).status().unwrap();
    assert!(changed.success());
    let placement = case.place().await.unwrap();
    case.executor().observe(&placement).await.unwrap();
    assert_eq!(case.output(), "policy 0\n");
    case.executor().collect(&placement).await.unwrap();
    case.assert_nothing_left();
}

#[tokio::test]
async fn limits_hold_and_running_out_of_memory_is_told() {
    if !is_root("limits of memory") {
        return;
    }
    let case = Case::new(
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max
         cat /sys/fs/cgroup/pids/pids.max || cat /sys/fs/cgroup/pids.max",
    );
    let (output, _) = case.run().await;
    let numbers: Vec<_> = output.lines().filter_map(|line| line.parse::<u64>().ok()).collect();
    assert_eq!(numbers, [256 << 20, 200], "{output}");

    let mut hungry = Case::new("exec tail /dev/zero");
    hungry.asked.limits.memory_bytes = Some(32 << 20);
    let (_, end) = hungry.run().await;
    assert_eq!((end.exit_code, end.out_of_memory), (Some(137), true));
}

#[tokio::test]
async fn a_sweep_takes_what_nobody_owns_and_leaves_the_rest() {
    let (lost, owned) = (Case::new("echo up; sleep 600"), Case::new("echo up; sleep 600"));
    let (placed, other) = (lost.place().await.unwrap(), owned.place().await.unwrap());
    let executor = lost.executor();
    let none = executor.sweep(&|attempt| attempt == placed.attempt).await.unwrap();
    assert_eq!(none, Vec::<String>::new());
    let removed = executor.sweep(&|_| false).await.unwrap();
    assert_eq!(removed, [format!("removed sandbox of build {}", placed.attempt)]);
    lost.assert_nothing_left();
    // Another state directory's are not ours to judge.
    owned.wait_for("up");
    owned.executor().collect(&other).await.unwrap();
}

#[tokio::test]
async fn what_is_placed_and_given_up_is_removed() {
    for moment in (0..40).chain([60, 80]) {
        let case = Case::new("sleep 600");
        let executor = case.executor();
        let placing = executor.place(&case.asked, &|_| {});
        let placed = tokio::time::timeout(Duration::from_millis(moment), placing).await;
        if let Ok(placement) = placed {
            executor.collect(&placement.unwrap()).await.unwrap();
        }
        // What was given up is removed on a thread of its own, which a sweep does not wait for.
        let end = Instant::now() + Duration::from_secs(10);
        let entries = || fs::read_dir(case.state().join("sandbox")).map_or(0, Iterator::count);
        while entries() > 1 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(50));
        case.assert_nothing_left();
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_said() {
    let refused = |case: Case| async move {
        let error = case.place().await.unwrap_err();
        case.assert_nothing_left();
        error
    };
    let mut case = Case::new("true");
    case.asked.privileged = true;
    assert!(refused(case).await.to_string().contains("--executor docker"));
    let mut case = Case::new("true");
    case.asked.root = RootFs::Directory("/nowhere/at/all".into());
    assert!(matches!(refused(case).await, ExecutorError::Image { .. } | ExecutorError::Start { .. }));
    let mut case = Case::new("true");
    case.asked.network = Network::Private;
    assert!(refused(case).await.to_string().contains("not in these tests"));
    let case = Case::new("true");
    fs::set_permissions(&case.asked.agent, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(refused(case).await.to_string().contains("/codebuild/agent"));
}

#[tokio::test]
async fn doctor_rehearses() {
    let case = Case::new("true");
    let checks = case.executor().check().await;
    let sandbox = checks.iter().find(|check| check.name == "sandbox").unwrap();
    assert_eq!(sandbox.state, CheckState::Good, "{sandbox:?}");
    case.assert_nothing_left();
}

#[tokio::test]
async fn companions_share_network_and_files_and_go_with_their_host() {
    if !is_root("a network that several sandboxes share") {
        return;
    }
    let wait = "while :; do sleep 1; done";
    let mut host =
        Case::new(&format!("readlink /proc/self/ns/net; echo from the host > /codebuild/output/x; {wait}"));
    host.asked.company = Company::Expected;
    let executor = host.executor();
    let placed = host.place().await.unwrap();
    host.wait_for("net:");
    let beside = |name: &str, shares_files| {
        Company::Beside(Beside { host: placed.clone(), name: name.into(), shares_files })
    };
    let mut one =
        Case::new(&format!("readlink /proc/self/ns/net; cat /codebuild/output/x; echo up $1; {wait}"));
    one.asked = Container { attempt: host.asked.attempt.clone(), company: beside("a1", true), ..one.asked };
    let mut other = Case::new("cat /codebuild/output/x || echo sees nothing");
    other.asked =
        Container { attempt: host.asked.attempt.clone(), company: beside("s0", false), ..other.asked };
    let of_one = executor.place(&one.asked, &|_| {}).await.unwrap();
    one.wait_for("up --companion");
    assert_eq!(of_one.companion.as_deref(), Some("a1"));
    let namespace = host.output().lines().next().unwrap().to_owned();
    assert!(one.output().starts_with(&format!("{namespace}\nfrom the host\n")), "{}", one.output());
    let of_other = executor.place(&other.asked, &|_| {}).await.unwrap();
    other.wait_for("sees nothing");
    executor.collect(&of_other).await.unwrap();
    // What is left goes with the host, and a sweep takes companions of the dead alone.
    let kept = executor.sweep(&|_| true).await.unwrap();
    assert_eq!(kept, Vec::<String>::new());
    executor.collect(&placed).await.unwrap();
    host.assert_nothing_left();
}

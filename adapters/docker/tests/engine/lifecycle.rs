//! The five verbs against a real engine.

use std::time::Duration;

use crate::case::{BUSYBOX, Case, engine, is_podman, left_of, raw};
use bollard::{
    models::{ContainerConfig, ContainerCreateBody},
    query_parameters::{CommitContainerOptions, CreateContainerOptions, RemoveImageOptions},
};
use runspan_engine::{
    Beside, CheckState, Company, Container, Executor, ExecutorError, Limits, Mount, Network, Progress, RootFs,
};

#[tokio::test]
async fn a_container_is_placed_observed_and_collected() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let mut case = Case::new(
        r#"tr '\0' ' ' </proc/1/cmdline; echo; id -u; pwd
           touch /codebuild/run/written /cache/written && echo writable
           touch /codebuild/agent /locked/x || echo read-only
           exit 7"#,
    );
    let cache = case.dir().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let mount =
        |container: &str, writable| Mount { host: cache.clone(), container: container.into(), writable };
    case.asked.mounts = vec![mount("/cache", true), mount("/locked", false)];
    let progress = std::sync::Mutex::new(Vec::new());
    let placement = executor.place(&case.asked, &|step| progress.lock().unwrap().push(step)).await.unwrap();
    assert_eq!(*progress.lock().unwrap(), [Progress::Starting]);
    assert_eq!((placement.executor.as_str(), &placement.attempt), ("docker", &case.asked.attempt));
    assert_eq!(Some(placement.image_id.clone()), raw().inspect_image(BUSYBOX).await.unwrap().id);
    let end = executor.observe(&placement).await.unwrap();
    assert_eq!((end.exit_code, end.out_of_memory), (Some(7), false));
    let output = case.output();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[0].trim(), format!("/bin/sh /codebuild/agent --attempt {}", case.asked.attempt));
    assert_eq!(lines[1..4], ["0", "/", "writable"]);
    assert_eq!(lines.last(), Some(&"read-only"), "{output}");
    assert!(cache.join("written").exists() && case.asked.run_dir.join("written").exists());

    // Observed again after the end, as a supervisor that comes back does.
    assert_eq!(executor.observe(&placement).await.unwrap(), end);
    executor.collect(&placement).await.unwrap();
    executor.collect(&placement).await.unwrap();
    assert_eq!(executor.observe(&placement).await.unwrap().exit_code, None);
    assert_eq!(left_of(&case.asked.attempt).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_cancelled_container_ends_at_once() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let case = Case::new("trap '' TERM INT; while :; do sleep 1; done");
    let placement = case.place(&executor).await.unwrap();
    let (end, cancelled) = tokio::join!(executor.observe(&placement), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        executor.cancel(&placement).await
    });
    cancelled.unwrap();
    assert_eq!(end.unwrap().exit_code, Some(137));
    executor.cancel(&placement).await.unwrap();
    executor.collect(&placement).await.unwrap();
    executor.cancel(&placement).await.unwrap();
    assert_eq!(left_of(&case.asked.attempt).await, Vec::<String>::new());
}

#[tokio::test]
async fn limits_hold_and_running_out_of_memory_is_told() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let case = Case::new(
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max
         cat /sys/fs/cgroup/pids/pids.max || cat /sys/fs/cgroup/pids.max",
    );
    let (output, _) = case.run(&executor).await;
    let numbers: Vec<_> = output.lines().filter_map(|line| line.parse::<u64>().ok()).collect();
    assert_eq!(numbers, [256 << 20, 200], "{output}");

    let mut hungry = Case::new("exec tail /dev/zero");
    hungry.asked.limits.memory_bytes = Some(32 << 20);
    let placement = hungry.place(&executor).await.unwrap();
    let end = executor.observe(&placement).await.unwrap();
    assert_eq!(end.exit_code, Some(137));
    // podman learns of it only where its monitor can watch the cgroup.
    assert!(end.out_of_memory || is_podman().await);
    executor.collect(&placement).await.unwrap();
}

#[tokio::test]
async fn each_build_has_its_own_network_or_none() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let script = "ip -o -4 addr | awk '{print $2, $4}'; ip route; cat /etc/resolv.conf; sleep 60";
    let mut first = Case::new(script);
    let mut second = Case::new(script);
    first.asked.network = Network::Private;
    second.asked.network = Network::Private;
    let (one, two) = tokio::join!(first.place(&executor), second.place(&executor));
    let (one, two) = (one.unwrap(), two.unwrap());
    let docker = raw();
    let mut networks = Vec::new();
    for placement in [&one, &two] {
        let found = docker.inspect_container(&placement.container, None).await.unwrap();
        networks.extend(found.network_settings.unwrap().networks.unwrap().into_keys());
    }
    assert_eq!(networks.len(), 2, "{networks:?}");
    assert_ne!(networks[0], networks[1]);
    for (case, placement) in [(&first, &one), (&second, &two)] {
        assert_eq!(left_of(&case.asked.attempt).await.len(), 2, "a container and a network");
        executor.cancel(placement).await.unwrap();
        assert!(case.output().contains("default via "), "{}", case.output());
        assert!(case.output().contains("nameserver "), "{}", case.output());
        executor.collect(placement).await.unwrap();
        assert_eq!(left_of(&case.asked.attempt).await, Vec::<String>::new());
    }

    let (output, _) = Case::new("ip -o -4 addr | awk '{print $2}'; ip route").run(&executor).await;
    assert_eq!(output, "lo\n");
}

#[tokio::test]
async fn volumes_of_an_image_go_with_the_container() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let docker = raw();
    let image = format!("runspan-test/dockertest-volume-{}", std::process::id());
    let base = ContainerCreateBody { image: Some(BUSYBOX.into()), ..Default::default() };
    let base = docker.create_container(None::<CreateContainerOptions>, base).await.unwrap().id;
    let commit = CommitContainerOptions {
        container: Some(base.clone()),
        repo: Some(image.clone()),
        changes: Some("VOLUME /data".into()),
        ..Default::default()
    };
    docker.commit_container(commit, ContainerConfig::default()).await.unwrap();
    docker.remove_container(&base, None).await.unwrap();

    let mut case = Case::new("echo kept >/data/file; cat /data/file; mount | grep -c ' /data '");
    case.asked.root = RootFs::Image(image.clone());
    let placement = case.place(&executor).await.unwrap();
    let found = docker.inspect_container(&placement.container, None).await.unwrap().mounts.unwrap();
    let volume = found.into_iter().find(|mount| mount.destination.as_deref() == Some("/data")).unwrap();
    let volume = volume.name.unwrap();
    if !is_podman().await {
        let made = left_of(&case.asked.attempt).await;
        assert!(made.contains(&format!("volume {volume}")), "{made:?}");
    }
    executor.observe(&placement).await.unwrap();
    assert_eq!(case.output(), "kept\n1\n");
    executor.collect(&placement).await.unwrap();
    assert!(docker.inspect_volume(&volume).await.is_err(), "volume {volume} is left");
    assert_eq!(left_of(&case.asked.attempt).await, Vec::<String>::new());
    docker.remove_image(&image, None::<RemoveImageOptions>, None).await.unwrap();
}

#[tokio::test]
async fn a_sweep_takes_what_nobody_owns_and_no_more() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let mut lost = Case::new("sleep 60");
    let mut owned = Case::new("sleep 60");
    lost.asked.network = Network::Private;
    owned.asked.network = Network::Private;
    lost.place(&executor).await.unwrap();
    let placement = owned.place(&executor).await.unwrap();
    let dead = lost.asked.attempt.clone();
    // Other builds of this machine are none of this test's business.
    let swept = executor.sweep(&|attempt| attempt != dead).await.unwrap();
    assert_eq!(swept.len(), 2, "{swept:?}");
    assert!(swept[0].starts_with("removed container ") && swept[0].ends_with(&dead), "{swept:?}");
    assert!(swept[1].starts_with("removed network "), "{swept:?}");
    assert_eq!(left_of(&dead).await, Vec::<String>::new());
    assert_eq!(left_of(&owned.asked.attempt).await.len(), 2);
    executor.collect(&placement).await.unwrap();
}

#[tokio::test]
async fn a_failed_start_leaves_nothing() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let break_it: [fn(&mut Container); 3] = [
        |asked| asked.agent = "/nonexistent/agent".into(),
        |asked| asked.limits = Limits { memory_bytes: Some(1), ..asked.limits },
        // Found out only when it starts.
        |asked| {
            std::fs::set_permissions(&asked.agent, std::os::unix::fs::PermissionsExt::from_mode(0o644))
                .unwrap();
        },
    ];
    for break_it in break_it {
        let mut case = Case::new("true");
        case.asked.network = Network::Private;
        break_it(&mut case.asked);
        let error = case.place(&executor).await.unwrap_err();
        assert!(matches!(error, ExecutorError::Start { .. }), "{error}");
        assert_eq!(left_of(&case.asked.attempt).await, Vec::<String>::new(), "{error}");
    }
}

#[tokio::test]
async fn the_same_attempt_twice_does_not_harm_the_first() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let case = Case::new("sleep 60");
    let placement = case.place(&executor).await.unwrap();
    let error = case.place(&executor).await.unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");
    assert_eq!(left_of(&case.asked.attempt).await.len(), 1);
    executor.collect(&placement).await.unwrap();
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_nothing() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    for patience in [0, 3, 10, 40, 80, 150, 250] {
        let mut case = Case::new("sleep 60");
        case.asked.network = Network::Private;
        let placed = tokio::time::timeout(Duration::from_millis(patience), case.place(&executor)).await;
        if let Ok(placed) = placed {
            executor.collect(&placed.unwrap()).await.unwrap();
        }
        // The work that was under way ends, then is undone.
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let busy = tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0;
            if !busy && left_of(&case.asked.attempt).await.is_empty() {
                break;
            }
        }
        assert_eq!(left_of(&case.asked.attempt).await, Vec::<String>::new(), "after {patience} ms");
    }
}

#[tokio::test]
async fn doctor_finds_a_working_engine() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let checks = executor.check().await;
    for check in &checks {
        eprintln!("{check:?}");
    }
    assert!(checks.iter().all(|check| !matches!(check.state, CheckState::Bad { .. })));
    let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        ["container engine", "image storage", "cgroups", "limits", "isolation", "disk", "leftovers"]
    );
}

#[tokio::test]
async fn companions_share_network_and_files_and_go_with_their_host() {
    let Some(executor) = engine(BUSYBOX).await else { return };
    let wait = "trap 'exit 0' TERM; while :; do sleep 1; done";
    let mut host =
        Case::new(&format!("readlink /proc/self/ns/net; echo from the host > /codebuild/output/x; {wait}"));
    host.asked.company = Company::Expected;
    let placed = host.place(&executor).await.unwrap();
    while !host.output().contains("net:") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let beside = |name: &str, shares_files| {
        Company::Beside(Beside { host: placed.clone(), name: name.into(), shares_files })
    };
    let mut one = Case::new("readlink /proc/self/ns/net; cat /codebuild/output/x; echo \"$1 $2\"");
    one.asked = Container { attempt: host.asked.attempt.clone(), company: beside("a1", true), ..one.asked };
    let mut other = Case::new("cat /codebuild/output/x || echo sees nothing");
    other.asked =
        Container { attempt: host.asked.attempt.clone(), company: beside("s0", false), ..other.asked };
    for case in [&one, &other] {
        let placement = case.place(&executor).await.unwrap();
        assert_eq!(executor.observe(&placement).await.unwrap().exit_code, Some(0), "{}", case.output());
    }
    let namespace = host.output().lines().next().unwrap().to_owned();
    assert!(
        one.output().starts_with(&format!("{namespace}\nfrom the host\n--companion {{")),
        "{}",
        one.output()
    );
    assert!(one.output().contains("/bin/sh"), "the image's own program: {}", one.output());
    assert!(other.output().contains("sees nothing"), "{}", other.output());
    executor.collect(&placed).await.unwrap();
    assert_eq!(left_of(&host.asked.attempt).await, Vec::<String>::new());
}

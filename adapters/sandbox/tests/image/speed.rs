//! How fast it is: `cargo test --release -p runspan-sandbox --test image -- --ignored --nocapture speed`.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::docker::{Registry, docker, ok};
use crate::rig::Rig;

#[tokio::test]
#[ignore = "a measurement"]
async fn a_pull_beside_docker_s() {
    let Some(registry) = Registry::start(false) else { return };
    // Docker must not have the layer, so it is one of its own.
    let local = format!("runspan-test/measured-{}", std::process::id());
    let container = ok(docker(&["create", "runspan-test/debian"]));
    ok(Command::new("sh")
        .args(["-c", "docker export \"$1\" | docker import - \"$2\"", "sh", &container, &local])
        .output());
    ok(docker(&["rm", &container]));
    let name = registry.push(&local, "measured");
    ok(docker(&["rmi", &local]));
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut bytes = 0;
    for _ in 0..3 {
        rustix::fs::sync();
        let rig = Rig::new();
        let begun = Instant::now();
        let image = rig.resolve(&name).await.unwrap();
        ours.push(begun.elapsed());
        bytes = rig.store.list().unwrap()[0].bytes;
        drop(image);
        rustix::fs::sync();
        let begun = Instant::now();
        ok(docker(&["pull", "-q", &name]));
        theirs.push(begun.elapsed());
        ok(docker(&["rmi", &name]));
    }
    let rate = |took: &Duration| bytes as f64 / 1e6 / took.as_secs_f64();
    for (who, all) in [("runspan", &ours), ("docker", &theirs)] {
        let best = all.iter().min().unwrap();
        println!("{who:8} pull of {} MB unpacked: {all:.2?}, best {:.0} MB/s", bytes / 1_000_000, rate(best));
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn an_image_that_is_here() {
    let Some(registry) = Registry::start(false) else { return };
    let name = registry.push("runspan-test/busybox", "busybox");
    let rig = Rig::new();
    let image = rig.resolve(&name).await.unwrap();
    let mut all: Vec<Duration> = Vec::new();
    for _ in 0..1000 {
        let begun = Instant::now();
        let again = rig.resolve(&name).await.unwrap();
        all.push(begun.elapsed());
        drop(again);
    }
    all.sort();
    println!("resolve of a present image: median {:.1?}, 99th {:.1?}", all[500], all[990]);
    let open = Instant::now();
    let other = rig.again();
    println!("opening the store: {:.1?}", open.elapsed());
    drop(other);
    drop(image);
}

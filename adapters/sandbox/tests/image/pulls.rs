//! Pulls from Debian's registry of what Docker pushed to it.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use runspan_engine::Progress;
use runspan_sandbox::image::ImageError;

use crate::docker::{Layered, PASSWORD, Registry, USER};
use crate::rig::{Rig, login, mounted, tree};

#[tokio::test]
async fn an_image_of_many_layers_looks_as_docker_shows_it() {
    let Some(registry) = Registry::start(false) else { return };
    let layered = Layered::build();
    let name = registry.push(&layered.0, "deep/er/layered:v1");
    let rig = Rig::new();
    let told = Mutex::new(Vec::new());
    let progress = |step: Progress| told.lock().unwrap().push(step);
    let image = rig.store.resolve(&name, None, &progress).await.unwrap();
    assert!(image.layers.len() >= 5, "{:?}", image.layers);
    let config = &image.config;
    assert_eq!(config.env.last().map(String::as_str), Some("SECOND=two words"));
    assert_eq!((config.user.as_str(), config.working_dir.as_str()), ("1234:4321", "/work"));
    assert_eq!(
        (&config.entrypoint[..], &config.cmd[..]),
        (&["/bin/sh".into(), "-c".into()][..], &["echo hello".into()][..])
    );
    let told = told.into_inner().unwrap();
    let Some(Progress::Pulling { done, total: Some(total) }) = told.last() else { panic!("{told:?}") };
    assert!(*total > 100_000 && done == total, "{told:?}");

    if rustix::process::geteuid().is_root() {
        let both = tempfile::tempdir().unwrap();
        let (ours, theirs) = (both.path().join("ours"), both.path().join("theirs"));
        mounted(&image, &ours);
        layered.export(&theirs);
        let [mut ours, mut theirs] = [tree(&ours.join("all")), tree(&theirs)];
        // Docker makes these in every container; pipes are left out here.
        let made = [
            "dev",
            "proc",
            "sys",
            ".dockerenv",
            "pipe",
            "etc/hostname",
            "etc/hosts",
            "etc/resolv.conf",
            "etc/mtab",
        ];
        for tree in [&mut ours, &mut theirs] {
            tree.retain(|path, _| !made.iter().any(|made| path.starts_with(made)));
        }
        assert!(
            theirs.contains_key(&PathBuf::from("d/hard")) && !theirs.contains_key(&PathBuf::from("gone"))
        );
        assert_eq!(ours, theirs);
    }
}

#[tokio::test]
async fn what_is_here_is_used_without_the_registry() {
    let Some(registry) = Registry::start(false) else { return };
    let name = registry.push("runspan-test/busybox", "busybox");
    let rig = Rig::new();
    assert!(rig.store.present(&name).unwrap().is_none());
    let first = rig.resolve(&name).await.unwrap();
    drop(registry);
    let begun = Instant::now();
    let second = rig.again().resolve(&name, None, &|_| ()).await.unwrap();
    let took = begun.elapsed();
    assert_eq!((&first.id, &first.layers, &first.config), (&second.id, &second.layers, &second.config));
    assert!(took.as_millis() < 50, "{took:?}");
    let by_id = rig.resolve(&first.id).await.unwrap();
    assert_eq!(by_id.layers, first.layers);
    let error = rig.store.pull(&name, None, &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn a_tag_is_looked_up_again_only_when_asked_to() {
    let Some(registry) = Registry::start(false) else { return };
    let layered = Layered::build();
    let name = registry.push("runspan-test/busybox", "moving");
    let rig = Rig::new();
    let old = rig.resolve(&name).await.unwrap().id;
    registry.push(&layered.0, "moving");
    assert_eq!(rig.resolve(&name).await.unwrap().id, old);
    let new = rig.store.pull(&name, None, &|_| ()).await.unwrap().id;
    assert_ne!(new, old);
    assert_eq!(rig.resolve(&name).await.unwrap().id, new);
    // The old one has no name any more, and its one layer is the new one's, too.
    let list = rig.store.list().unwrap();
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0].names, [format!("{name}:latest")]);
}

#[tokio::test]
async fn a_digest_pins_the_image() {
    let Some(registry) = Registry::start(false) else { return };
    let name = registry.push("runspan-test/busybox", "busybox:1");
    let repository = name.rsplit_once(':').unwrap().0;
    let manifests = "storage/docker/registry/v2/repositories/busybox/_manifests/revisions/sha256";
    let digest = std::fs::read_dir(registry.dir.path().join(manifests)).unwrap().next().unwrap().unwrap();
    let digest = digest.file_name().into_string().unwrap();
    let rig = Rig::new();
    let pinned = format!("{repository}@sha256:{digest}");
    let image = rig.resolve(&pinned).await.unwrap();
    assert_eq!(rig.resolve(&name).await.unwrap().id, image.id);
    // One that the registry changes under its name is not taken.
    std::fs::write(registry.blob(&digest), r#"{"schemaVersion":2,"layers":[]}"#).unwrap();
    let error = Rig::new().resolve(&pinned).await.unwrap_err().to_string();
    assert!(
        error.contains("digest") || error.contains("no such image") || error.contains("in trouble"),
        "{error}"
    );
    let absent = format!("{repository}@sha256:{}", "0".repeat(64));
    let error = rig.resolve(&absent).await.unwrap_err().to_string();
    assert!(error.contains("no such image (404)"), "{error}");
}

#[tokio::test]
async fn a_private_registry_wants_its_login() {
    let Some(registry) = Registry::start(true) else { return };
    let name = registry.push("runspan-test/busybox", "private");
    let rig = Rig::new();
    let error = rig.resolve(&name).await.unwrap_err().to_string();
    assert!(error.contains("wants a login (401)") && error.contains("docker login"), "{error}");
    let wrong = rig.store.resolve(&name, Some(&login(USER, "wrong")), &|_| ()).await;
    let error = wrong.unwrap_err().to_string();
    assert!(error.contains("refuses the login of \"builder\" (401)"), "{error}");
    assert!(!error.contains("wrong"), "{error}");
    rig.assert_empty();
    rig.store.resolve(&name, Some(&login(USER, PASSWORD)), &|_| ()).await.unwrap();

    let settings = tempfile::tempdir().unwrap();
    let config = settings.path().join("config.json");
    let path = settings.path().to_owned();
    let other = Rig::with(|settings| settings.docker_config = Some(path));
    std::fs::write(&config, r#"{"credsStore": "/bin/false"}"#).unwrap();
    let error = other.resolve(&name).await.unwrap_err().to_string();
    assert!(error.contains("helpers are never run"), "{error}");
    std::fs::write(&config, registry.logins()).unwrap();
    other.resolve(&name).await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let Some(registry) = Registry::start(false) else { return };
    registry.push("runspan-test/busybox", "busybox");
    let rig = Rig::new();
    for name in ["busybox:absent", "absent"] {
        let error = rig.resolve(&format!("{}/{name}", registry.host)).await.unwrap_err();
        assert!(matches!(error, ImageError::Registry { .. }), "{error}");
        assert!(error.to_string().contains("no such image (404)"), "{error}");
    }
    rig.assert_empty();
}

#[tokio::test]
async fn many_at_once_download_each_layer_once() {
    let Some(registry) = Registry::start(false) else { return };
    let layered = Layered::build();
    let name = registry.push(&layered.0, "layered");
    let rig = Rig::new();
    let stores: Vec<_> = (0..6).map(|_| rig.again()).collect();
    let bytes = Mutex::new(0);
    let pulls = stores.iter().map(|store| async {
        let last = Mutex::new(0);
        let progress = |step| {
            if let Progress::Pulling { done, .. } = step {
                *last.lock().unwrap() = done;
            }
        };
        let image = store.resolve(&name, None, &progress).await.unwrap();
        *bytes.lock().unwrap() += 1;
        image
    });
    let images = futures_util::future::join_all(pulls).await;
    assert!(images.iter().all(|image| image.layers == images[0].layers));
    assert_eq!(rig.part("tmp"), Vec::<PathBuf>::new());
    assert_eq!(rig.part("layers").len(), images[0].layers.len());
}

#[tokio::test]
async fn a_layer_that_the_registry_changed_is_not_taken() {
    let Some(registry) = Registry::start(false) else { return };
    let name = registry.push("runspan-test/busybox", "busybox");
    // The largest blob is the layer.
    let all = walk(&registry.dir.path().join("storage"));
    let layer = all.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let whole = std::fs::read(layer).unwrap();
    let rig = Rig::new();
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for bad in [&changed[..], &whole[..whole.len() / 2], &[whole.as_slice(), b"more"].concat()] {
        std::fs::write(layer, bad).unwrap();
        let error = rig.resolve(&name).await.unwrap_err().to_string();
        assert!(
            ["digest", "less of a layer", "ended early", "broke", "longer than"]
                .iter()
                .any(|word| error.contains(word)),
            "{error}"
        );
        rig.assert_empty();
    }
    std::fs::write(layer, whole).unwrap();
    rig.resolve(&name).await.unwrap();
}

fn walk(root: &std::path::Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

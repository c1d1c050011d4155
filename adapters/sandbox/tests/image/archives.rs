//! Images from files: Docker's archives, OCI layouts, tars and directories.

use std::path::Path;
use std::process::Command;

use runspan_sandbox::image::ImageError;

use crate::docker::{Layered, docker, engine, ok};
use crate::fake::{Pieces, digest, gzip, tar};
use crate::rig::{Rig, mounted, tree};

fn name(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn a_directory_is_used_in_place() {
    let rig = Rig::new();
    let root = rig.dir.path().join("root");
    std::fs::create_dir_all(root.join("bin")).unwrap();
    let before = tree(&root);
    let image = rig.resolve(&name(&root)).await.unwrap();
    assert_eq!(image.layers, [root.canonicalize().unwrap()]);
    assert!(image.lease.path().is_none() && image.id.starts_with("dir:/"));
    assert_eq!(tree(&root), before);
    rig.assert_empty();
}

#[tokio::test]
async fn a_tar_of_files_is_one_layer_however_it_is_packed() {
    let rig = Rig::new();
    let plain = tar(&[("bin/sh", b"#!"), ("etc/passwd", b"root")]);
    let packed = [plain.clone(), gzip(&plain), zstd::encode_all(plain.as_slice(), 0).unwrap()];
    let mut ids = Vec::new();
    for (number, bytes) in packed.iter().enumerate() {
        let path = rig.dir.path().join(format!("{number}.tar"));
        std::fs::write(&path, bytes).unwrap();
        let image = rig.resolve(&name(&path)).await.unwrap();
        assert_eq!(std::fs::read(image.layers[0].join("etc/passwd")).unwrap(), b"root");
        ids.push(image.id);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!((rig.part("layers").len(), rig.part("tmp").len()), (1, 0));
}

#[tokio::test]
async fn a_changed_archive_is_read_again_and_an_old_one_is_not() {
    let rig = Rig::new();
    let path = rig.dir.path().join("root.tar");
    std::fs::write(&path, tar(&[("v", b"1")])).unwrap();
    let first = rig.resolve(&name(&path)).await.unwrap();
    assert!(rig.store.present(&name(&path)).unwrap().is_some());
    std::fs::write(&path, tar(&[("v", b"22")])).unwrap();
    assert!(rig.store.present(&name(&path)).unwrap().is_none());
    let second = rig.resolve(&name(&path)).await.unwrap();
    assert_ne!(first.id, second.id);
    // The first is leased still, so it has its layer still.
    assert_eq!(std::fs::read(first.layers[0].join("v")).unwrap(), b"1");
}

/// The parts of an image as an OCI layout.
fn layout(root: &Path, pieces: &Pieces) {
    let blobs = root.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for (digest, body) in &pieces.blobs {
        std::fs::write(blobs.join(&digest[7..]), body).unwrap();
    }
    let manifest = digest(&pieces.manifest);
    std::fs::write(blobs.join(&manifest[7..]), &pieces.manifest).unwrap();
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"digest":"{manifest}","size":{},
            "annotations":{{"io.containerd.image.name":"docker.io/some/app:2"}}}}]}}"#,
        pieces.manifest.len()
    );
    std::fs::write(root.join("index.json"), index).unwrap();
    std::fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

#[tokio::test]
async fn an_oci_layout_is_read_as_directory_and_as_archive() {
    let rig = Rig::new();
    let tars = [tar(&[("a", b"1")]), tar(&[("b", b"2")])];
    let pieces = Pieces::new(&[(tars[0].clone(), gzip(&tars[0])), (tars[1].clone(), tars[1].clone())]);
    let root = rig.dir.path().join("layout");
    layout(&root, &pieces);
    let image = rig.resolve(&name(&root)).await.unwrap();
    assert_eq!((image.layers.len(), &image.config.env[..]), (2, &["A=1".to_owned()][..]));
    let archive = rig.dir.path().join("layout.tar");
    let packed = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&root).arg(".").output();
    ok(packed);
    let packed = rig.resolve(&name(&archive)).await.unwrap();
    assert_eq!((&packed.id, &packed.layers), (&image.id, &image.layers));
    // Names of its own only when it was asked for with them.
    assert!(rig.store.present("some/app:2").unwrap().is_none());
    rig.store.pull(&name(&archive), None, &|_| ()).await.unwrap();
    assert_eq!(rig.store.present("some/app:2").unwrap().unwrap().id, image.id);

    let layer = root.join("blobs/sha256").join(&pieces.layer[7..]);
    std::fs::write(layer, tar(&[("b", b"3")])).unwrap();
    let error = Rig::new().resolve(&name(&root)).await.unwrap_err().to_string();
    assert!(error.contains("digest"), "{error}");
}

#[tokio::test]
async fn what_docker_saves_is_what_docker_shows() {
    if !engine() {
        return;
    }
    let layered = Layered::build();
    let rig = Rig::new();
    let path = rig.dir.path().join("saved.tar");
    ok(docker(&["save", "-o", path.to_str().unwrap(), &layered.0]));
    let image = rig.store.pull(&name(&path), None, &|_| ()).await.unwrap();
    assert!(image.layers.len() >= 5);
    assert_eq!((image.config.user.as_str(), image.config.working_dir.as_str()), ("1234:4321", "/work"));
    assert_eq!(ok(docker(&["image", "inspect", "-f", "{{.Id}}", &layered.0])), image.id);
    assert_eq!(rig.store.present(&layered.0).unwrap().unwrap().id, image.id);
    if rustix::process::geteuid().is_root() {
        let both = tempfile::tempdir().unwrap();
        mounted(&image, both.path());
        assert!(both.path().join("all/d/hard").exists() && !both.path().join("all/gone").exists());
    }
}

#[tokio::test]
async fn archives_that_are_none_are_refused() {
    let rig = Rig::new();
    let saved = |manifest: &str| tar(&[("manifest.json", manifest.as_bytes())]);
    for (bytes, words) in [
        (b"not an archive".to_vec(), "broken archive"),
        (Vec::new(), "it has no"),
        (b"BZh91AY".to_vec(), "bzip2 is not read here"),
        (saved("{"), "its manifest.json is none"),
        (saved("[]"), "it holds 0 images"),
        (saved(r#"[{"Config":"../../etc/passwd","Layers":[]}]"#), "it has no file etc/passwd"),
        (saved(r#"[{"Config":"manifest.json","Layers":["a"]}]"#), "its configuration is none"),
        (gzip(&tar(&[("a", b"1")]))[..20].to_vec(), "cannot be used"),
    ] {
        let path = rig.dir.path().join("bad.tar");
        std::fs::write(&path, &bytes).unwrap();
        let result = rig.resolve(&name(&path)).await;
        // An empty file is an empty archive.
        match result {
            Ok(image) => assert!(bytes.is_empty(), "{words}: {image:?}"),
            Err(error) => {
                assert!(matches!(error, ImageError::Broken { .. }), "{error}");
                assert!(error.to_string().contains(words), "{words}: {error}");
            }
        }
        assert_eq!(rig.part("tmp").len(), 0);
    }
    let error = rig.resolve("/absent/image.tar").await.unwrap_err().to_string();
    assert!(error.contains("cannot use the image at /absent/image.tar"), "{error}");
}

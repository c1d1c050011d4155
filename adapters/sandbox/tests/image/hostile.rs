//! Registries that stall, cut, lie, refuse, or are none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use runspan_sandbox::image::{Image, ImageError};

use crate::docker::{PASSWORD, USER};
use crate::fake::{Answer, Fake, Pieces, Request, digest, gzip, tar};
use crate::rig::{Rig, login};

/// Pulls from it; where that fails, nothing may be left.
async fn pull(fake: &Fake) -> Result<(Rig, Image), String> {
    let rig = Rig::new();
    match rig.resolve(&format!("{}/some/app:1", fake.host)).await {
        Ok(image) => Ok((rig, image)),
        Err(error) => {
            // Unpacking ends a moment after its download.
            for _ in 0..100 {
                if rig.part("tmp").is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for part in ["names", "images", "layers", "tmp"] {
                assert_eq!(rig.part(part).len(), 0, "{part} after {error}");
            }
            Err(error.to_string())
        }
    }
}

async fn refused(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (String, Fake) {
    let fake = Fake::start(handler);
    let error = pull(&fake).await.unwrap_err();
    (error, fake)
}

fn is_layer(request: &Request, pieces: &Pieces) -> bool {
    request.path.ends_with(&pieces.layer)
}

#[tokio::test]
async fn gzip_zstd_and_plain_layers_of_an_index_are_unpacked() {
    let tars = [tar(&[("a", b"1"), ("b", b"1")]), tar(&[("b", b"2")]), tar(&[("c", b"3")])];
    let packed = [tars[0].clone(), gzip(&tars[1]), zstd::encode_all(tars[2].as_slice(), 0).unwrap()];
    let pieces = Pieces::new(&tars.into_iter().zip(packed).collect::<Vec<_>>());
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let own = digest(&pieces.manifest);
    let other = digest(b"windows");
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[
            {{"digest":"{other}","size":1,"platform":{{"os":"windows","architecture":"{arch}"}}}},
            {{"digest":"{own}","size":1,"platform":{{"os":"linux","architecture":"{arch}"}}}}]}}"#
    );
    let fake = Fake::start(move |request| match request.path.ends_with("/manifests/1") {
        true => Answer::ok(index.as_bytes()),
        false => pieces.answer(request),
    });
    let (_rig, image) = pull(&fake).await.unwrap();
    assert_eq!(image.config.env, ["A=1"]);
    let read = |layer: usize, name: &str| std::fs::read_to_string(image.layers[layer].join(name)).unwrap();
    assert_eq!([read(0, "a"), read(0, "b"), read(1, "b"), read(2, "c")], ["1", "1", "2", "3"]);
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_was_cut() {
    let pieces = Pieces::of_size(1 << 20);
    let cuts = AtomicUsize::new(0);
    let good = pieces.clone();
    let fake = Fake::start(move |request| match (good.answer(request), is_layer(request, &good)) {
        (Answer::Whole(200, headers, body), true) => Answer::Cut(headers, body, 300_000),
        (Answer::Whole(206, headers, body), true) if cuts.fetch_add(1, Ordering::Relaxed) < 3 => {
            // Never as much as would be the end.
            let sent = body.len().min(100_000);
            Answer::Whole(206, headers, body[..sent].to_vec())
        }
        (answer, _) => answer,
    });
    let (_rig, image) = pull(&fake).await.unwrap();
    assert_eq!(std::fs::metadata(image.layers[0].join("file")).unwrap().len(), 1 << 20);
    let seen = fake.seen.lock().unwrap();
    let ranges: Vec<&str> =
        seen.iter().filter_map(|one| one.headers.get("range")).map(String::as_str).collect();
    assert_eq!(ranges, ["bytes=300000-", "bytes=400000-", "bytes=500000-", "bytes=600000-"]);
}

#[tokio::test]
async fn a_registry_without_ranges_begins_anew() {
    let pieces = Pieces::of_size(1 << 20);
    let tries = AtomicUsize::new(0);
    let fake = Fake::start(move |request| match is_layer(request, &pieces) {
        true => {
            let whole = pieces.blobs[&pieces.layer].clone();
            match tries.fetch_add(1, Ordering::Relaxed) {
                0 => Answer::Cut(Vec::new(), whole, 400_000),
                _ => Answer::ok(whole),
            }
        }
        false => pieces.answer(request),
    });
    pull(&fake).await.unwrap();
}

#[tokio::test]
async fn one_that_cuts_or_stalls_for_ever_is_given_up() {
    let pieces = Pieces::of_size(100_000);
    let layer = pieces.blobs[&pieces.layer].clone();
    let (good, body) = (pieces.clone(), layer.clone());
    let (error, fake) = refused(move |request| match is_layer(request, &good) {
        true if request.headers.contains_key("range") => Answer::Close,
        true => Answer::Cut(Vec::new(), body.clone(), 5000),
        false => good.answer(request),
    })
    .await;
    assert!(error.contains("broke") && error.contains("tried 3 times"), "{error}");
    assert_eq!(fake.paths().iter().filter(|path| path.ends_with(&pieces.layer)).count(), 4);

    let begun = Instant::now();
    let (error, _) = refused(move |request| match is_layer(request, &pieces) {
        true => Answer::Stall(layer.clone(), 5000),
        false => pieces.answer(request),
    })
    .await;
    assert!(error.contains("sends nothing for 0.4 s after 5000 of"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let (error, _) = refused(|_| Answer::Stall(vec![b' '; 100], 50)).await;
    assert!(error.contains("sends nothing for"), "{error}");
}

#[tokio::test]
async fn bad_answers_are_explained() {
    for (answer, words) in [
        (Answer::page(), "answers with a web page"),
        (Answer::ok("plain text"), "its manifest is none"),
        (Answer::ok(r#"{"schemaVersion":1,"fsLayers":[]}"#), "first schema"),
        (Answer::ok(r#"{"schemaVersion":2,"manifests":[]}"#), "not published for linux/"),
        (Answer::ok(vec![b' '; 5 << 20]), "longer than"),
        (
            Answer::status(403, &[], r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#),
            "forbids it (403): not you",
        ),
        (Answer::status(404, &[("content-type", "text/html")], "<p>"), "no such image (404)"),
        (Answer::status(418, &[("content-type", "text/html")], "<p>"), "answers 418 with a web page"),
        (Answer::status(500, &[], "oops"), "in trouble itself (500) (tried 3 times)"),
        (Answer::status(401, &[], ""), "does not say which way"),
        (Answer::status(302, &[("location", "/v2/some/app/manifests/1")], ""), "redirects in circles"),
        (
            Answer::status(429, &[("retry-after", "3600")], ""),
            "limits requests (429); with a login the limit is higher; it asks to wait 3600 s",
        ),
        (Answer::Close, "tried 3 times"),
    ] {
        let shown = format!("{answer:?}");
        let (error, _) = refused(move |_| answer.clone()).await;
        assert!(error.contains(words), "{error}\n{}", &shown[..shown.len().min(200)]);
    }
}

#[tokio::test]
async fn trouble_that_passes_is_waited_for() {
    let pieces = Pieces::of_size(1000);
    let tries = AtomicUsize::new(0);
    let fake = Fake::start(move |request| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::status(429, &[("retry-after", "1")], ""),
        1 => Answer::status(503, &[], ""),
        3 => Answer::Close,
        _ => pieces.answer(request),
    });
    let begun = Instant::now();
    pull(&fake).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn nothing_with_another_digest_is_taken() {
    let pieces = Pieces::of_size(100_000);
    for lie in ["manifest", "config", "layer", "page", "longer"] {
        let good = pieces.clone();
        let (error, _) = refused(move |request| {
            let config = !is_layer(request, &good) && request.path.contains("/blobs/");
            match lie {
                "manifest" if request.path.contains("/manifests/") => {
                    let promise = ("docker-content-digest".to_owned(), digest(b"other"));
                    Answer::Whole(200, vec![promise], good.manifest.clone())
                }
                "config" if config => Answer::ok(r#"{"rootfs":{"diff_ids":[]}}"#),
                "layer" if is_layer(request, &good) => Answer::ok(tar(&[("file", &[7; 100_000])])),
                "page" if is_layer(request, &good) => Answer::page(),
                "longer" if is_layer(request, &good) => {
                    Answer::ok([good.blobs[&good.layer].as_slice(), b"more"].concat())
                }
                _ => good.answer(request),
            }
        })
        .await;
        let words = match lie {
            "page" => "web page",
            "longer" => "the length its manifest says",
            _ => "digest",
        };
        assert!(error.contains(words), "{lie}: {error}");
    }
}

#[tokio::test]
async fn hostile_layers_leave_nothing() {
    let bomb = {
        // More than a gigabyte of zeros.
        let zeros = zstd::encode_all(vec![0; 16 << 20].as_slice(), 0).unwrap();
        zeros.repeat(70)
    };
    let far = {
        let mut tar = tar(&[("aa/aaaa", b"x")]);
        tar[..7].copy_from_slice(b"../../x");
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes().copy_from_slice(&tar[..512]);
        header.set_cksum();
        tar[..512].copy_from_slice(header.as_bytes());
        tar
    };
    let whole = tar(&[("a", &[1; 5000])]);
    for (name, tar, blob, words) in [
        ("escape", far.clone(), far, "it leads upwards"),
        ("no tar", b"neither this nor that".to_vec(), b"neither this nor that".to_vec(), "broken archive"),
        ("xz", whole.clone(), [b"\xfd7zXZ\0".as_slice(), &[0; 100]].concat(), "xz is not read here"),
        ("cut tar", whole[..2000].to_vec(), gzip(&whole[..2000]), "broken archive"),
        ("cut gzip", whole.clone(), gzip(&whole)[..30].to_vec(), "cannot be used"),
        ("bomb", Vec::new(), bomb, "the most a layer may unpack to"),
    ] {
        let pieces = Pieces::new(&[(tar, blob)]);
        let (error, _) = refused(move |request| pieces.answer(request)).await;
        assert!(error.contains(words), "{name}: {error}");
    }
    let other = Pieces::new(&[(tar(&[("a", b"1")]), tar(&[("a", b"2")]))]);
    let (error, _) = refused(move |request| other.answer(request)).await;
    assert!(error.contains("its tar has the digest"), "{error}");
}

#[tokio::test]
async fn a_layer_over_the_store_s_limit_is_refused() {
    let pieces = Pieces::of_size(100_000);
    let fake = Fake::start(move |request| pieces.answer(request));
    let rig = Rig::with(|settings| settings.limit = 50_000);
    let error = rig.resolve(&format!("{}/app", fake.host)).await.unwrap_err();
    assert!(error.to_string().contains("longer than 50000 bytes, the most a layer may unpack to"), "{error}");
    rig.assert_empty();
}

/// A registry that gives tokens for a login.
fn with_tokens(pieces: Pieces, realm: &'static str) -> Fake {
    let host = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let own = std::sync::Arc::clone(&host);
    let fake = Fake::start(move |request| {
        let authorization = request.headers.get("authorization").map(String::as_str).unwrap_or_default();
        if request.path.starts_with("/token") {
            return match authorization {
                // builder and its password.
                "Basic YnVpbGRlcjpwYXNzOndpdGgvZXZlcnl0aGluZw==" => Answer::ok(r#"{"token":"t0ken"}"#),
                "" if request.method == "POST" => Answer::ok(r#"{"access_token":"t0ken"}"#),
                _ => Answer::status(401, &[], r#"{"errors":[{"message":"who are you?"}]}"#),
            };
        }
        if authorization == "Bearer t0ken" {
            return pieces.answer(request);
        }
        let realm = realm.replace("HOST", own.get().unwrap());
        let challenge =
            format!(r#"Bearer realm="{realm}",service="the registry",scope="repository:some/app:pull""#);
        Answer::status(401, &[("www-authenticate", &challenge)], "")
    });
    host.set(fake.host.clone()).unwrap();
    fake
}

#[tokio::test]
async fn tokens_are_got_for_a_login() {
    let fake = with_tokens(Pieces::of_size(1000), "http://HOST/token");
    let name = format!("{}/some/app", fake.host);
    let rig = Rig::new();
    rig.store.resolve(&name, Some(&login(USER, PASSWORD)), &|_| ()).await.unwrap();
    let paths = fake.paths();
    assert!(paths.iter().filter(|path| path.starts_with("/token")).count() == 1, "{paths:?}");
    assert!(paths[1].ends_with("?scope=repository%3Asome%2Fapp%3Apull&service=the+registry"), "{paths:?}");

    let error = Rig::new().resolve(&name).await.unwrap_err().to_string();
    assert!(error.contains("wants a login (401): who are you?"), "{error}");
    let wrong = login(USER, "not this");
    let error = Rig::new().store.resolve(&name, Some(&wrong), &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("refuses the login of \"builder\"") && !error.contains("not this"), "{error}");

    // What `docker login` keeps of some registries is a token for tokens.
    let settings = tempfile::tempdir().unwrap();
    let auth = format!(r#"{{"auths": {{"{}": {{"identitytoken": "long"}}}}}}"#, fake.host);
    std::fs::write(settings.path().join("config.json"), auth).unwrap();
    let path = settings.path().to_owned();
    Rig::with(|settings| settings.docker_config = Some(path)).resolve(&name).await.unwrap();
}

#[tokio::test]
async fn a_login_is_not_sent_in_the_clear() {
    let elsewhere = Fake::start(|_| Answer::ok(r#"{"token":"t0ken"}"#));
    let fake = with_tokens(Pieces::of_size(1000), "http://registry.example/token");
    let rig = Rig::new();
    let name = format!("{}/some/app", fake.host);
    let error = rig.store.resolve(&name, Some(&login(USER, PASSWORD)), &|_| ()).await.unwrap_err();
    assert!(error.to_string().contains("is without TLS, so no login is sent there"), "{error}");
    assert_eq!(elsewhere.paths(), Vec::<String>::new());

    // Nor to where a registry sends us on.
    let target = format!("http://{}/stolen", elsewhere.host);
    let fake = Fake::start(move |request| match request.headers.get("authorization") {
        Some(_) => Answer::status(307, &[("location", &target)], ""),
        None => Answer::status(401, &[("www-authenticate", "Basic realm=x")], ""),
    });
    let name = format!("{}/some/app", fake.host);
    let error = rig.store.resolve(&name, Some(&login(USER, PASSWORD)), &|_| ()).await.unwrap_err();
    assert!(matches!(error, ImageError::Registry { .. }), "{error}");
    let seen = elsewhere.seen.lock().unwrap();
    assert!(
        !seen.is_empty() && seen.iter().all(|one| !one.headers.contains_key("authorization")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_said_so() {
    let rig = Rig::new();
    let error = rig.resolve("127.0.0.1:1/app").await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1 cannot be reached"), "{error}");
    let error = rig.resolve("registry.invalid/app").await.unwrap_err().to_string();
    assert!(error.contains("registry.invalid cannot be reached"), "{error}");
}

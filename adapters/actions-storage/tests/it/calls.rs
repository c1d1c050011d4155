//! Single calls: what is refused, what is handed on, what goes when there is no room.

use std::fs;

use reqwest::{Client, Method, StatusCode};
use runspan_actions_storage::Artifacts;
use serde_json::{Value, json};

use crate::bench::{Bench, branch};

const CACHES: &str = "/twirp/github.actions.results.api.v1.CacheService";

struct Caller<'a> {
    bench: &'a Bench,
    token: String,
    client: Client,
}

impl<'a> Caller<'a> {
    fn new(bench: &'a Bench, job: &str) -> Self {
        Self { bench, token: bench.admit(branch(job, "main")), client: Client::new() }
    }

    async fn call(&self, method: &str, message: Value) -> (StatusCode, Value) {
        let request = self.client.post(self.bench.url(&format!("{CACHES}/{method}")));
        let sent = request.bearer_auth(&self.token).header("content-type", "application/json");
        let answer = sent.body(message.to_string()).send().await.unwrap();
        (answer.status(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn begin(&self, key: &str) -> String {
        let (status, answer) = self.call("CreateCacheEntry", json!({"key": key, "version": "v"})).await;
        assert_eq!((status, &answer["ok"]), (StatusCode::OK, &json!(true)), "{answer}");
        answer["signed_upload_url"].as_str().unwrap().to_owned()
    }

    async fn put(&self, url: &str, body: &[u8]) -> StatusCode {
        self.client.put(url).body(body.to_vec()).send().await.unwrap().status()
    }

    async fn finalize(&self, key: &str, size: usize) -> (StatusCode, Value) {
        let message = json!({"key": key, "version": "v", "size_bytes": size.to_string()});
        self.call("FinalizeCacheEntryUpload", message).await
    }

    async fn save(&self, key: &str, bytes: &[u8]) {
        let url = self.begin(key).await;
        assert_eq!(self.put(&url, bytes).await, StatusCode::CREATED);
        let (status, answer) = self.finalize(key, bytes.len()).await;
        assert_eq!((status, &answer["ok"]), (StatusCode::OK, &json!(true)), "{answer}");
    }

    async fn find(&self, key: &str) -> Option<String> {
        let message = json!({"key": key, "version": "v"});
        let (_, answer) = self.call("GetCacheEntryDownloadURL", message).await;
        answer["ok"].as_bool().unwrap().then(|| answer["signed_download_url"].as_str().unwrap().to_owned())
    }

    async fn get(&self, url: &str, range: Option<&str>) -> (StatusCode, Vec<u8>) {
        let request = self.client.get(url);
        let request = range.into_iter().fold(request, |request, range| request.header("range", range));
        let answer = request.send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap().to_vec())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_joined_in_the_order_of_the_list_and_parts_are_read() {
    let bench = Bench::new().await;
    let caller = Caller::new(&bench, "job");
    let url = caller.begin("k").await;
    for (id, text) in [("Yg%3D%3D", "world"), ("YQ%3D%3D", "hello "), ("Yw%3D%3D", "unused")] {
        let status = caller.put(&format!("{url}&comp=block&blockid={id}"), text.as_bytes()).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    let list = |ids: &[&str]| {
        let ids: String = ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect();
        format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{ids}</BlockList>")
    };
    let joined = format!("{url}&comp=blocklist");
    assert_eq!(caller.put(&joined, list(&["YQ==", "ZZ=="]).as_bytes()).await, StatusCode::BAD_REQUEST);
    // A block that the failed call had used is sent anew, as clients do.
    caller.put(&format!("{url}&comp=block&blockid=YQ%3D%3D"), b"hello ").await;
    for _ in 0..2 {
        let status = caller.put(&joined, list(&["YQ==", "Yg=="]).as_bytes()).await;
        assert_eq!(status, StatusCode::CREATED, "also when the first answer was lost");
    }
    assert_eq!(caller.finalize("k", 10).await.0, StatusCode::BAD_REQUEST, "the size is another");
    assert_eq!(caller.finalize("k", 11).await.0, StatusCode::OK);
    assert_eq!(caller.finalize("k", 11).await.0, StatusCode::OK, "the answer was lost");
    assert_eq!(caller.finalize("k", 12).await.0, StatusCode::NOT_FOUND);
    let url = caller.find("k").await.unwrap();
    assert_eq!(caller.get(&url, None).await, (StatusCode::OK, b"hello world".to_vec()));
    assert_eq!(caller.get(&url, Some("bytes=6-8")).await, (StatusCode::PARTIAL_CONTENT, b"wor".to_vec()));
    assert_eq!(caller.get(&url, Some("bytes=11-12")).await.0, StatusCode::BAD_REQUEST);
    let head = caller.client.request(Method::HEAD, &url).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "11");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_what_is_not_theirs() {
    let bench = Bench::new().await;
    let caller = Caller::new(&bench, "job");
    caller.save("k", b"bytes").await;
    let read = caller.find("k").await.unwrap();
    let write = caller.begin("other").await;
    let later = read.replace("se=1", "se=2");
    let (place, query) = read.split_once('?').unwrap();
    let elsewhere = [
        later,
        format!("{}x", read),
        read.replace("job=job", "job=other"),
        format!("{place}/../../../../../../key?{query}"),
        format!("{}/storage/key?{query}", bench.url("")),
        place.to_owned(),
        write.clone(),
    ];
    for url in &elsewhere {
        let (status, body) = caller.get(url, None).await;
        assert!(status.is_client_error() && body != b"bytes", "{url}: {status}");
    }
    assert_eq!(caller.put(&read, b"evil").await, StatusCode::FORBIDDEN);
    assert_eq!(caller.put(&format!("{write}&comp=block&blockid="), b"x").await, StatusCode::BAD_REQUEST);
    assert_eq!(
        caller.put(&format!("{write}&comp=block&blockid=..%2F..%2Fx"), b"x").await,
        StatusCode::CREATED
    );
    assert!(!bench.path("x").exists() && !bench.path("storage/x").exists());
    for token in ["", "x", &caller.token[1..]] {
        let stranger = Caller { token: token.to_owned(), ..Caller::new(&bench, "job") };
        assert_eq!(stranger.call("GetCacheEntryDownloadURL", json!({})).await.0, StatusCode::UNAUTHORIZED);
    }
    let (status, _) = caller.call("CreateCacheEntry", json!({"key": "a,b", "version": "v"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    // What nobody finished goes with the job, and its addresses with it.
    bench.storage.dismiss("job");
    assert_eq!(caller.get(&read, None).await.0, StatusCode::FORBIDDEN);
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        if fs::read_dir(bench.path("storage/uploads")).unwrap().count() == 0 {
            return;
        }
    }
    panic!("the upload is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_used_for_longest_goes_first_and_the_same_bytes_are_kept_once() {
    let bench = Bench::with(1000, Artifacts::Local).await;
    let caller = Caller::new(&bench, "job");
    let second = async || tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    caller.save("a", &[1; 400]).await;
    second().await;
    caller.save("b", &[2; 400]).await;
    second().await;
    caller.save("same as a", &[1; 400]).await;
    assert_eq!(fs::read_dir(bench.path("storage/blobs")).unwrap().count(), 2);
    assert!(caller.find("a").await.is_some());
    second().await;
    caller.save("c", &[3; 400]).await;
    let mut left = Vec::new();
    for key in ["a", "b", "same as a", "c"] {
        left.push(caller.find(key).await.is_some());
    }
    assert_eq!(left, [true, false, true, true]);
    // More than there is room for is refused while it arrives.
    let url = caller.begin("d").await;
    assert_eq!(caller.put(&url, &[4; 1001]).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(caller.finalize("d", 1001).await.0, StatusCode::BAD_REQUEST);
    let again = caller.begin("d").await;
    assert_eq!(caller.put(&again, &[4; 900]).await, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_may_be_protocol_buffers() {
    let bench = Bench::new().await;
    let caller = Caller::new(&bench, "job");
    caller.save("sccache-1", b"object").await;
    // key = 2, restore_keys = 3, version = 4.
    let message = b"\x12\x01x\x1a\x08sccache-\x22\x01v";
    let request = caller.client.post(bench.url(&format!("{CACHES}/GetCacheEntryDownloadURL")));
    let request = request.bearer_auth(&caller.token).header("content-type", "application/protobuf");
    let answer = request.body(message.to_vec()).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(answer[..2], [8, 1], "ok");
    assert!(answer.ends_with(b"\x1a\x09sccache-1"), "matched_key: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_githubs_goes_to_github() {
    let github = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}/results/", github.local_addr().unwrap());
    let echo = axum::Router::new().fallback(async |request: axum::extract::Request| {
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        format!("{} {} {token}", request.method(), request.uri())
    });
    tokio::spawn(async move { axum::serve(github, echo).await });
    let bench = Bench::with(1 << 20, Artifacts::GitHub).await;
    let mut grant = branch("job", "main");
    grant.upstream = Some(upstream);
    let token = bench.admit(grant);
    let path = "/twirp/github.actions.results.api.v1.ArtifactService/ListArtifacts?x=1";
    let client = Client::new();
    let request = client.post(bench.url(path)).body("{}");
    let answer = request.bearer_auth(&token).send().await.unwrap().text().await.unwrap();
    assert_eq!(answer, format!("POST /results{path} Bearer {token}"));
    let stranger = client.post(bench.url(path)).bearer_auth("the-jobs-own").send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
}

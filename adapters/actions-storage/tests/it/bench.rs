//! A storage that can be reached over TCP, and GitHub's clients.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use runspan_actions_storage::{Artifacts, Grant, Scope, Settings, Storage};
use runspan_agent_protocol::Secret;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixStream};

pub(crate) struct Bench {
    pub(crate) storage: Storage,
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
}

/// Whether GitHub's clients are on this machine, where the tests install them.
pub(crate) fn toolkit() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let path = cache?.join("runspan-tests/toolkit/toolkit.mjs");
    if path.exists() {
        return Some(path);
    }
    let why = format!("GitHub's clients are not at {}; `tests/all` installs them", path.display());
    assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{why}");
    // Past the harness, which keeps what a passing test prints.
    drop(std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED: {why}\n")));
    None
}

const RUN: &str = "11111111-1111-1111-1111-111111111111";

pub(crate) fn grant(job: &str, scopes: Vec<Scope>) -> Grant {
    Grant {
        repository: "octo/hello".into(),
        run: RUN.into(),
        job: job.into(),
        scopes,
        token: token_of(RUN, job),
        upstream: None,
    }
}

/// A token that says what the artifact client reads from it.
pub(crate) fn token_of(run: &str, job: &str) -> Secret {
    let claims = format!(r#"{{"scp":"Actions.Results:{run}:{job}"}}"#);
    Secret::new(format!("e30.{}.{job}", BASE64_URL_SAFE_NO_PAD.encode(claims)))
}

/// A job of a branch.
pub(crate) fn branch(job: &str, name: &str) -> Grant {
    grant(job, Scope::of_event(&format!("refs/heads/{name}"), None, Some("main")))
}

/// A job of a pull request.
pub(crate) fn pull_request(job: &str) -> Grant {
    grant(job, Scope::of_event("refs/pull/7/merge", Some("main"), Some("main")))
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(1 << 30, Artifacts::Local).await
    }

    pub(crate) async fn with(limit: u64, artifacts: Artifacts) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("storage");
        let storage = Storage::open(Settings { root, limit, artifacts }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handed_on = storage.clone();
        // What an agent does.
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let (ours, mut theirs) = UnixStream::pair().unwrap();
                let storage = handed_on.clone();
                tokio::task::spawn_blocking(move || storage.connect(ours.into_std().unwrap()).unwrap());
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut tcp, &mut theirs).await });
            }
        });
        Self { storage, folder, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn admit(&self, grant: Grant) -> String {
        let token = grant.token.reveal().to_owned();
        self.storage.admit(grant);
        token
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of this many bytes that do not compress.
    pub(crate) fn file(&self, name: &str, length: usize) -> Vec<u8> {
        let mut state = length as u64 | 1;
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &bytes).unwrap();
        bytes
    }

    /// One call of GitHub's clients, with this token.
    pub(crate) async fn call(&self, token: &str, arguments: &[&str]) -> Value {
        self.call_at("https://github.com", token, arguments).await
    }

    /// The same in a job of another server.
    pub(crate) async fn call_at(&self, server: &str, token: &str, arguments: &[&str]) -> Value {
        let temporary = self.path("temp");
        fs::create_dir_all(&temporary).unwrap();
        let output = tokio::process::Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/client.mjs"))
            .arg(toolkit().unwrap())
            .args(arguments)
            .env("ACTIONS_RESULTS_URL", self.url("/"))
            .env("ACTIONS_CACHE_URL", self.url("/"))
            .env("ACTIONS_RUNTIME_TOKEN", token)
            .env("ACTIONS_CACHE_SERVICE_V2", "True")
            .env("GITHUB_SERVER_URL", server)
            .env("RUNNER_TEMP", &temporary)
            .env("GITHUB_WORKSPACE", self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let result = said.lines().find_map(|line| line.strip_prefix("result "));
        let Some(result) = result else { panic!("{said}{}", String::from_utf8_lossy(&output.stderr)) };
        let mut result: Value = serde_json::from_str(result).unwrap();
        result["said"] = said.into();
        result
    }
}

//! Caches, artifacts and id tokens of jobs, with GitHub's own clients.

use std::path::PathBuf;

use fake_github::model::{Conclusion, Push, Settings};

use crate::github_bench::{Bench, quick};

const ACTION: &str = "
name: Store
inputs: {do: {required: true}, key: {required: true}, artifacts: {default: 'false'}}
runs: {using: node20, main: main.mjs}
";

/// Keeps a directory as a cache and as an artifact, or takes both.
const MAIN: &str = r#"
import fs from "node:fs";
import { artifact, cache } from "./toolkit.mjs";
const key = process.env.INPUT_KEY;
const say = (name, value) => fs.appendFileSync(process.env.GITHUB_OUTPUT, `${name}=${value}\n`);
if (process.env.INPUT_DO === "keep") {
  fs.mkdirSync("deps", { recursive: true });
  fs.writeFileSync("deps/lib.bin", Buffer.alloc(3 << 20, key));
  say("saved", (await cache.saveCache(["deps"], key)) >= 0);
  if (process.env.INPUT_ARTIFACTS === "true") await artifact.uploadArtifact(`of ${key}`, ["deps/lib.bin"], ".");
} else {
  say("found", (await cache.restoreCache(["deps"], key, ["lib-"])) ?? "nothing");
  if (fs.existsSync("deps/lib.bin")) say("first", fs.readFileSync("deps/lib.bin").subarray(0, 6));
  const { artifacts } = await artifact.listArtifacts();
  say("artifacts", artifacts.map((one) => one.name).join());
  for (const { id } of artifacts) await artifact.downloadArtifact(id, { path: "out" });
  if (artifacts.length) say("bytes", fs.statSync("out/deps/lib.bin").size);
}
process.exit(0);
"#;

const WORKFLOW: &str = r#"
on: push
permissions: {id-token: write}
jobs:
  keep:
    runs-on: self-hosted
    outputs: {saved: "${{ steps.keep.outputs.saved }}"}
    steps:
      - id: keep
        uses: octo/store@v1
        with: {do: keep, key: KEY, artifacts: ARTIFACTS}
  take:
    needs: keep
    runs-on: self-hosted
    outputs:
      found: ${{ steps.take.outputs.found }}
      first: ${{ steps.take.outputs.first }}
      artifacts: ${{ steps.take.outputs.artifacts }}
      bytes: ${{ steps.take.outputs.bytes }}
    steps:
      - id: take
        uses: octo/store@v1
        with: {do: take, key: lib-other}
      - run: |
          test -z "$ACTIONS_RUNTIME_TOKEN"
          test -n "$ACTIONS_ID_TOKEN_REQUEST_TOKEN"
          echo "id tokens are at ${ACTIONS_ID_TOKEN_REQUEST_URL%%idtoken*}"
"#;

/// GitHub's clients, where the tests install them.
fn toolkit() -> Option<String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let path = cache.join("runspan-tests/toolkit/toolkit.mjs");
    let read = std::fs::read_to_string(&path).ok();
    if read.is_none() {
        let why = format!("GitHub's clients are not at {}; `tests/all` installs them", path.display());
        assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{why}");
        // Past the harness, which keeps what a passing test prints.
        drop(std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("SKIPPED: {why}\n")));
    }
    read
}

/// What came of a push: what was saved, what was found, its first bytes, the artifacts and their bytes.
async fn run(bench: &Bench, key: &str, reference: &str, artifacts: bool) -> [String; 5] {
    let workflow = WORKFLOW.replace("KEY", key).replace("ARTIFACTS", &artifacts.to_string());
    let push = Push::new("octo/hello", [(".github/workflows/ci.yml", workflow.as_str())]).to(reference);
    let run = bench.github.change(|github| github.push(&push)).unwrap().1[0];
    let conclusion = bench.conclusion(run).await;
    let jobs = bench.jobs(run);
    let log: String = jobs.iter().map(|job| bench.log(job)).collect();
    assert_eq!(conclusion, Conclusion::Success, "{log}{}", bench.said());
    // Tokens for clouds are asked of GitHub itself, wherever the rest is kept.
    assert!(log.contains(&format!("id tokens are at {}/run/1//", bench.github.url())), "{log}");
    let output = |name: &str| jobs.iter().find_map(|job| Some(job.outputs.get(name)?.value.clone()));
    ["saved", "found", "first", "artifacts", "bytes"].map(|name| output(name).unwrap_or_default())
}

/// Calls of jobs for artifacts that reached GitHub.
fn at_github(bench: &Bench) -> usize {
    bench.github.read(|github| {
        assert!(github.caches.is_empty(), "a cache went to GitHub");
        let calls = github.calls.iter();
        calls
            .filter(|call| call.path.contains("ArtifactService/ListArtifacts") && call.status == Some(200))
            .count()
    })
}

// The builds of these tests cannot reach this machine, and so not where the fake would take the bytes of artifacts.
#[tokio::test(flavor = "multi_thread")]
async fn caches_stay_here_and_artifacts_are_githubs_or_stay_too() {
    let Some(toolkit) = toolkit() else { return };
    let settings = Settings { server_url: Some("http://github.localhost".into()), ..quick() };
    let bench = Bench::registered(settings).await;
    let files = [("action.yml", ACTION), ("main.mjs", MAIN), ("toolkit.mjs", toolkit.as_str())];
    bench.github.change(|github| github.push(&Push::new("octo/store", files).to("refs/tags/v1"))).unwrap();
    {
        let _serving = bench.serve();
        let main = run(&bench, "lib-1", "refs/heads/main", false).await;
        assert_eq!(main, ["true", "lib-1", "lib-1l", "", ""]);
        assert_eq!(at_github(&bench), 1);
        // A branch finds its own first, and the default branch never finds a branch's.
        let branch = run(&bench, "lib-2", "refs/heads/feature", false).await;
        assert_eq!(branch, ["true", "lib-2", "lib-2l", "", ""]);
    }
    // The next process has the caches still.
    let _serving = bench.serve_with(&["--artifacts", "local"]);
    let main = run(&bench, "lib-1", "refs/heads/main", true).await;
    assert_eq!(main, ["false", "lib-1", "lib-1l", "of lib-1", &(3 << 20).to_string()]);
    assert_eq!(at_github(&bench), 2);
    let uploads = bench.state().join("actions-storage/uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
    assert_eq!(bench.violations(), Vec::<String>::new());
}

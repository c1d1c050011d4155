//! Secrets in every form, torn into pieces, on their way to everything that a job's results go to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use fake_github::model::Conclusion;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use rustix::process::Signal;

use crate::github_bench::{Bench, quick};

const SHOW: &str = include_str!("secrets/show.py");

fn workflow(seed: u64) -> String {
    let show: String = SHOW.lines().map(|line| format!("          {line}\n")).collect();
    format!(
        r#"
on: push
jobs:
  build:
    runs-on: self-hosted
    env:
      S0: ${{{{ secrets.S0 }}}}
      S1: ${{{{ secrets.S1 }}}}
      S2: ${{{{ secrets.S2 }}}}
    outputs:
      told: ${{{{ steps.tells.outputs.told }}}}
    environment:
      name: test
      url: https://host.test/?${{{{ steps.tells.outputs.told }}}}
    steps:
      - run: |
          cat > /tmp/show.py <<'END-OF-SHOW'
{show}
          END-OF-SHOW
      - name: Named ${{{{ env.S0 }}}}
        run: /usr/bin/python3 /tmp/show.py write {seed} S0 S1 S2
      - id: tells
        run: |
          /usr/bin/python3 /tmp/show.py write {seed} S0 S1 S2 2>&1 | sed 's/^/::error title=seen::/'
          /usr/bin/python3 /tmp/show.py write {seed} S0 S1 S2 >> "$GITHUB_STEP_SUMMARY" 2>&1
          printf 'told<<END\n%s\nEND\n' "$S0" >> "$GITHUB_OUTPUT"
          printf 'LATER<<END\n%s\nEND\n' "$S1" >> "$GITHUB_ENV"
      - run: |
          made=made-$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
          echo "::add-mask::$made"
          echo "made is $made" | tee -a "$GITHUB_STEP_SUMMARY"
          echo "${{{{ secrets.S0 == '' }}}} $LATER $S2" >&2
          exit 3
"#
    )
}

/// Every text below a directory.
fn texts(directory: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts(&path, all);
        } else if path.is_file() {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_show_nowhere_in_no_form() {
    // What a secret may hold: signs of every encoding's own, letters beyond ASCII, several lines.
    let secret = || "[ -~]{3}[!-~äßλ]{5,30}(\n[!-~]{6,20})?";
    let mut chance = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    for _ in 0..2 {
        let secrets = prop::array::uniform3(secret()).new_tree(&mut chance).unwrap().current();
        let seed = any::<u32>().new_tree(&mut chance).unwrap().current();
        let names = ["S0", "S1", "S2"];
        let secrets: BTreeMap<&str, String> = names.into_iter().zip(secrets).collect();

        let bench = Bench::registered(quick()).await;
        bench.github.change(|github| {
            let kept = &mut github.repositories.get_mut("octo/hello").unwrap().secrets;
            kept.extend(secrets.iter().map(|(name, value)| ((*name).into(), value.clone())));
        });
        let mut serving = bench.serve();
        let run = bench.push(&workflow(seed.into()));
        assert_eq!(bench.conclusion(run).await, Conclusion::Failure, "{}", bench.said());
        serving.signal(Signal::TERM);
        assert_eq!(serving.ended(), 0, "{}", bench.said());

        let listed = Command::new("/usr/bin/python3")
            .args(["-c", SHOW, "list", &seed.to_string(), "S0", "S1", "S2"])
            .envs(&secrets)
            .output()
            .unwrap();
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let forms: Vec<String> = serde_json::from_slice(&listed.stdout).unwrap();

        let job = bench.job(run);
        let mut seen = vec![("what the program said".to_owned(), bench.said().into_bytes())];
        seen.extend(job.steps.values().map(|step| ("a step's name".to_owned(), step.name.clone().into())));
        seen.extend(
            job.step_results.iter().map(|json| ("a step's result".to_owned(), json.to_string().into())),
        );
        seen.extend(job.telemetry.iter().map(|json| ("telemetry".to_owned(), json.to_string().into())));
        seen.extend(job.environment_url.iter().map(|url| ("an address".to_owned(), url.clone().into())));
        seen.extend(job.live.iter().map(|line| ("the live console".to_owned(), line.text.clone().into())));
        seen.extend(
            job.annotations.iter().map(|note| ("an annotation".to_owned(), note.message.clone().into())),
        );
        bench.github.read(|github| {
            let blobs = github.blobs.iter();
            seen.extend(blobs.map(|(name, blob)| (name.clone(), blob.bytes.as_slice().to_vec())));
        });
        texts(&bench.state(), &mut seen);

        let log = bench.log(&job);
        assert!(log.matches("***").count() > forms.len(), "{log}");
        assert!(log.contains("made is ***") && job.annotations.len() > 10, "{log}");
        let summary = |step: &uuid::Uuid| bench.github.read(|github| github.summary(job.id, *step));
        assert!(job.steps.keys().filter_map(summary).any(|text| text.contains("***")), "no summary came");
        for (place, bytes) in &seen {
            for form in &forms {
                assert!(
                    memchr::memmem::find(bytes, form.as_bytes()).is_none(),
                    "{form:?} shows in {place}; secrets {secrets:?}, seed {seed}"
                );
            }
        }
        assert_eq!(job.outputs.get("told").map(|output| output.value.clone()).unwrap_or_default(), "");
    }
}

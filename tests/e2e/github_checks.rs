//! Reports of a job's build as check runs.

use fake_github::model::{CheckRun, Conclusion};
use fake_github::{Effect, Fault};
use serde_json::json;

use crate::github_bench::{Bench, quick};

/// 61 cases that fail at a line, one that fails nowhere, one that does not.
const BUILDSPEC: &str = r#"
version: 0.2
phases:
  build: {commands: ['echo never']}
  post_build:
    commands:
      - |
        {
          echo '<testsuite name="s">'
          for n in $(seq 61); do
            echo "<testcase classname='Cart' name='adds $n' file='$CODEBUILD_SRC_DIR/src/cart.c' line='$n'><failure message='the key is $KEY'/></testcase>"
          done
          echo '<testcase classname="Cart" name="is lost"><error message="no @place"/></testcase>'
          echo '<testcase classname="Cart" name="is empty" time="1.5"/></testsuite>'
        } > junit.xml
        echo '<coverage lines-covered="3" lines-valid="4"><packages><package><classes><class filename="a.c"><lines>' > cover.xml
        echo '<line number="1" hits="1"/><line number="2" hits="1"/><line number="3" hits="1"/><line number="4" hits="0"/>' >> cover.xml
        echo '</lines></class></classes></package></packages></coverage>' >> cover.xml
reports:
  unit: {files: [junit.xml]}
  cover: {files: [cover.xml], file-format: COBERTURAXML}
"#;

fn workflow(run: u32, permissions: &str) -> String {
    format!(
        "on: push\npermissions: {permissions}\njobs:\n  build:\n    runs-on: [codebuild-web-{run}-1, 'buildspec-override:true']\n    steps:\n      - run: echo step\n"
    )
}

fn checks(bench: &Bench) -> Vec<CheckRun> {
    bench.github.read(|github| github.check_runs.values().cloned().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_check_runs_where_the_token_may_make_some() {
    let bench = Bench::new(quick()).await;
    bench.register(&["--name", "one", "--labels", "codebuild-web-7-1,buildspec-override:true"]);
    bench.register(&["--name", "two", "--labels", "codebuild-web-8-1,buildspec-override:true"]);
    let projects = bench.state().join("projects");
    std::fs::create_dir_all(&projects).unwrap();
    let buildspec = BUILDSPEC.replace("$KEY", "hush-hush-4711");
    let project = json!({
        "source": {"type": "GITHUB", "location": "https://github.com/octo/hello", "buildspec": buildspec},
    });
    std::fs::write(projects.join("web.json"), project.to_string()).unwrap();
    bench.github.change(|github| {
        let secrets = &mut github.repositories.get_mut("octo/hello").unwrap().secrets;
        secrets.insert("KEY".into(), "hush-hush-4711".into());
    });
    let _serving = bench.serve();

    // Not allowed: said once, and nothing else.
    let run = bench.push(&workflow(8, "{contents: read}"));
    assert_eq!(bench.conclusion(run).await, Conclusion::Success, "{}", bench.said());
    assert_eq!(checks(&bench).len(), 0);
    assert_eq!(bench.said().matches("may not show reports as check runs").count(), 1, "{}", bench.said());
    assert!(bench.said().contains("`permissions: {checks: write}`"), "{}", bench.said());

    // Answers are lost: what they are of is there all the same, and must not come twice.
    for method in ["POST", "PATCH"] {
        let lost = Fault::once("/check-runs", Effect::LoseAnswer);
        bench.github.inject(Fault { method: Some(method.into()), ..lost });
    }
    let run = bench.push(&workflow(7, "{contents: read, checks: write}"));
    assert_eq!(bench.conclusion(run).await, Conclusion::Success, "{}", bench.said());
    let job = bench.job(run);
    let sha = bench.github.read(|github| github.runs[&run].sha.clone());
    let found = checks(&bench);
    let [unit, cover] = found.as_slice() else { panic!("{found:?}: {}", bench.said()) };
    assert_eq!((unit.name.as_str(), cover.name.as_str()), ("web-unit / build", "web-cover / build"));
    for check in [unit, cover] {
        assert_eq!(check.external_id, Some(format!("{}/1", job.id)));
        assert_eq!((&check.head_sha, check.status.as_str()), (&sha, "completed"));
    }
    assert_eq!(unit.conclusion.as_deref(), Some("failure"));
    assert_eq!(unit.output["title"], "62 of 63 tests failed");
    let summary = unit.output["summary"].as_str().unwrap();
    assert!(summary.contains("| 63 | 1 | 61 | 1 | 0 | 0 | 1.500 s |"), "{summary}");
    let text = unit.output["text"].as_str().unwrap();
    assert!(text.contains("    Cart.is lost\n        no @place") && !text.contains("adds"), "{text}");
    let lines: Vec<_> = unit.annotations.iter().map(|note| note["start_line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (1..=61).collect::<Vec<_>>(), "each once, in order");
    let first = &unit.annotations[0];
    assert_eq!((&first["path"], &first["title"]), (&json!("src/cart.c"), &json!("Cart.adds 1")));
    assert_eq!(first["message"], "the key is ***");
    assert_eq!(cover.conclusion.as_deref(), Some("success"));
    assert_eq!(cover.output["title"], "75.00 % of lines covered");
    assert_eq!(bench.violations(), Vec::<String>::new());
}

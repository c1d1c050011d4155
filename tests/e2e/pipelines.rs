//! The program as a worker of CodePipeline.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Aws, BUILD_LIMIT, BUSYBOX, Home, Run, Running, SANDBOX, aws, home, root, wait_until};

const BUCKET: &str = "pipeline-artifacts";

/// A worker for this project, whose own credentials may do nothing but work for pipelines.
struct Worker<'a> {
    home: &'a Home,
    aws: &'a Aws,
    name: &'static str,
}

impl<'a> Worker<'a> {
    fn registered(home: &'a Home, aws: &'a Aws, name: &'static str) -> Self {
        aws.faults(name, json!([{ "action": "s3:PutObject", "answer": "deny" }, { "action": "s3:GetObject", "answer": "deny" }]));
        aws.boto3("s3", "create_bucket", json!({ "Bucket": BUCKET }));
        let project = json!({
            "name": name,
            "source": { "type": "CODEPIPELINE" },
            "artifacts": { "type": "CODEPIPELINE" },
            "environment": { "environmentVariables": [{ "name": "OF_PROJECT", "value": "till" }] },
        });
        fs::write(home.path("project.json"), project.to_string()).unwrap();
        let worker = Self { home, aws, name };
        let registers = worker.runspan(&["register", "codepipeline", "--poll", "1", "--show-after", "1"]);
        let url = "https://ci.example.com/builds/{ExternalExecutionId}";
        registers.arg("--project").arg(home.path("project.json")).args(["--url", url]).finish().exited(0);
        worker
    }

    fn runspan(&self, arguments: &[&str]) -> Run {
        self.aws.serve(self.home.runspan(arguments), self.name)
    }

    fn serve(&self) -> Running {
        let serve = self.runspan(&["serve", "--image"]);
        let serve = match SANDBOX {
            true => serve.arg(root(BUSYBOX)).args(["--executor", "sandbox"]),
            false => serve.args([BUSYBOX, "--executor", "docker"]),
        };
        let serving = serve.start();
        serving.wait_for_stderr("waits for jobs");
        serving
    }

    /// A job of two input artifacts and one output artifact, with this buildspec.
    fn offer(&self, key: &str, buildspec: &str, configuration: Value) -> String {
        self.offer_for(&["Made"], key, buildspec, configuration)
    }

    fn offer_for(&self, outputs: &[&str], key: &str, buildspec: &str, configuration: Value) -> String {
        let put = |name: &str, files: Value| {
            let new =
                json!({ "Bucket": BUCKET, "Key": format!("{key}/{name}.zip"), "Body": { "zip": files } });
            self.aws.boto3("s3", "put_object", new);
        };
        put("App", json!({ "buildspec.yml": buildspec, "text": "of the app\n" }));
        put("Other", json!({ "more": "of another\n" }));
        let artifact =
            |name: &str| json!({ "name": name, "bucket": BUCKET, "key": format!("{key}/{name}.zip") });
        let mut app = artifact("App");
        app["revision"] = "0123456789abcdef0123456789abcdef01234567".into();
        let id = self.aws.order(
            "pipeline",
            json!({
                "order": "offer", "project": self.name, "configuration": configuration, "key": key,
                "inputs": [app, artifact("Other")],
                "outputs": outputs.iter().map(|name| artifact(name)).collect::<Vec<_>>(),
            }),
        );
        id.as_str().unwrap().to_owned()
    }

    fn look(&self, id: &str) -> Value {
        self.aws.order("pipeline", json!({ "order": "look", "id": id }))
    }

    /// Every result of a job once the last one is no continuation.
    fn results(&self, id: &str) -> Vec<Value> {
        wait_until("the job is over", BUILD_LIMIT, || {
            let results = self.look(id)["results"].as_array().cloned().unwrap_or_default();
            results
                .last()
                .is_some_and(|last| last["success"]["continuationToken"].is_null())
                .then_some(results)
        })
    }
}

const MAKES: &str = "
version: 0.2
env: { exported-variables: [VERSION] }
phases:
  build:
    commands:
      - echo \"$OF_PROJECT and $OF_ACTION\" && cat text $CODEBUILD_SRC_DIR_Other/more
      - sleep 4
      - VERSION=7 && echo made > made.txt
artifacts: { files: [made.txt] }
";

#[test]
fn a_job_is_built_with_its_own_artifacts_and_shown_while_it_runs() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let worker = Worker::registered(&home, aws, "till");
    home.runspan(["list"]).finish().exited(0).printed(&["codepipeline", "till", "Build/Runspan/1"]);
    let variables = r#"[{"name":"OF_ACTION","value":"the action"}]"#;
    let settings = json!({ "PrimarySource": "App", "EnvironmentVariables": variables });
    let id = worker.offer("shop-key", MAKES, settings);
    let serving = worker.serve();
    let results = worker.results(&id);
    let build = home.build();
    let shown = worker.look(&id);
    // First it was only shown, then given again, then over.
    assert!(results.len() > 1, "{shown}");
    assert_eq!(results[0]["success"]["continuationToken"], build);
    assert_eq!(shown["link"], build);
    let settings = &shown["types"][0]["settings"];
    assert_eq!(settings["executionUrlTemplate"], "https://ci.example.com/builds/{ExternalExecutionId}");
    let last = &results.last().unwrap()["success"];
    assert_eq!(last["outputVariables"], json!({ "VERSION": "7" }));
    assert_eq!(last["executionDetails"]["externalExecutionId"], build);

    let made = json!({ "Bucket": BUCKET, "Key": "shop-key/Made.zip" });
    let made = aws.boto3("s3", "get_object", made);
    assert_eq!(made["Body"], json!({ "zip": { "made.txt": "made\n" } }));
    assert_eq!(
        (&made["ServerSideEncryption"], &made["SSEKMSKeyId"]),
        (&"aws:kms".into(), &"alias/pipeline".into())
    );
    assert_eq!(
        aws.requests("shop-key"),
        3,
        "two artifacts fetched and one put with the job's own credentials"
    );
    let record = home.record(&build).0;
    assert_eq!(record["initiator"], "codepipeline/shop");
    assert_eq!(record["resolvedSourceVersion"], "0123456789abcdef0123456789abcdef01234567");
    assert_eq!(record["sourceVersion"], format!("arn:aws:s3:::{BUCKET}/shop-key/App.zip"));
    let log = home.log(&build);
    assert!(log.contains("till and the action\nof the app\nof another\n"), "{log}");

    // Nothing of it is kept but the build.
    serving.signal(Signal::TERM);
    serving.finish().exited(0);
    assert_eq!(fs::read_dir(home.state().join("codepipeline/till/jobs")).unwrap().count(), 0);
    worker.runspan(&["unregister", "codepipeline", "till"]).finish().exited(0);
    home.runspan(["serve"]).finish().exited(2);
    home.assert_nothing_left();
}

#[test]
fn a_job_that_fails_says_why() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let worker = Worker::registered(&home, aws, "fails");
    let buildspec = |command: &str| {
        format!(
            "version: 0.2\nphases: {{ build: {{ commands: ['{command}'] }} }}\nartifacts: {{ files: [text] }}\n"
        )
    };
    let primary = json!({ "PrimarySource": "App" });
    let failing = worker.offer("failing-key", &buildspec("exit 3"), primary.clone());
    let wrong = worker.offer("wrong-key", &buildspec("true"), json!({ "PrimarySource": "Nothing" }));
    let denied = worker.offer("denied-key", &buildspec("true"), primary.clone());
    aws.faults("denied-key", json!([{ "action": "s3:GetObject", "answer": "deny" }]));
    let without = "version: 0.2\nphases: { build: { commands: [true] } }\n";
    let without = worker.offer("without-key", without, primary);
    let _serving = worker.serve();
    for (id, kind, said) in [
        (
            failing,
            "JobFailed",
            "BUILD FAILED: COMMAND_EXECUTION_ERROR: Error while executing command: exit 3",
        ),
        (wrong, "ConfigurationError", "PrimarySource is `Nothing`"),
        (denied, "PermissionError", "s3:GetObject"),
        (without, "JobFailed", "the build made no artifact Made"),
    ] {
        let results = worker.results(&id);
        let failure = &results.last().unwrap()["failure"];
        assert_eq!(failure["type"], kind, "{results:?}");
        assert!(failure["message"].as_str().unwrap().contains(said), "{results:?}");
    }
}

#[test]
fn a_job_outlives_its_worker_and_is_answered_once() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let worker = Worker::registered(&home, aws, "killed");
    // Answers are lost, too: what was told once is not told again.
    let id = worker.offer("killed-key", MAKES, json!({ "PrimarySource": "App" }));
    let lose = |action: &str| json!({ "action": action, "answer": "lose", "times": 1 });
    let deny = |action: &str| json!({ "action": action, "answer": "deny" });
    aws.faults(
        "killed",
        json!([
            lose("codepipeline:AcknowledgeJob"),
            lose("codepipeline:PutJobSuccessResult"),
            deny("s3:GetObject"),
            deny("s3:PutObject"),
        ]),
    );
    let first = worker.serve();
    wait_until("the job is built", BUILD_LIMIT, || {
        home.builds().first().is_some_and(|build| home.log(build).contains("of another")).then_some(())
    });
    first.kill();
    let _second = worker.serve();
    let results = worker.results(&id);
    let ends = results.iter().filter(|result| result["success"]["continuationToken"].is_null()).count();
    assert_eq!(ends, 1, "{results:?}");
    assert_eq!(results.last().unwrap()["success"]["outputVariables"], json!({ "VERSION": "7" }));
    assert_eq!(home.builds().len(), 1, "the build went on");
}

#[test]
fn a_build_that_no_pipeline_waits_for_is_stopped() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let worker = Worker::registered(&home, aws, "abandoned");
    let buildspec = "version: 0.2\nphases: { build: { commands: [echo begins, sleep 600] } }\n";
    let id = worker.offer("abandoned-key", buildspec, json!({ "PrimarySource": "App" }));
    aws.order("pipeline", json!({ "order": "look", "id": id }));
    let _serving = worker.serve();
    wait_until("the job is built", BUILD_LIMIT, || {
        home.builds().first().is_some_and(|build| home.log(build).contains("begins")).then_some(())
    });
    aws.order("pipeline", json!({ "order": "abandon", "id": id }));
    wait_until("the build is stopped", BUILD_LIMIT, || {
        (home.record(&home.build()).0["buildStatus"] == "STOPPED").then_some(())
    });
}

const BATCH: &str = "
version: 0.2
batch: { fast-fail: false, build-list: [{ identifier: one }, { identifier: two }] }
phases:
  build:
    commands:
      - name=$CODEBUILD_BATCH_BUILD_IDENTIFIER && echo made > $name.txt && cat text && $THEN
artifacts:
  files: ['*.txt']
  secondary-artifacts: { more: { files: [text] } }
";

#[test]
fn a_batch_is_built_and_its_artifacts_are_combined_or_not() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let worker = Worker::registered(&home, aws, "many");
    let settings = |then: &str, more: Value| {
        let variables = json!([{ "name": "THEN", "value": then }]).to_string();
        let mut all =
            json!({ "PrimarySource": "App", "BatchEnabled": "true", "EnvironmentVariables": variables });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let combined = worker.offer("all-key", BATCH, settings("true", json!({ "CombineArtifacts": "true" })));
    let each = worker.offer_for(&["one", "two_more"], "each-key", BATCH, settings("true", json!({})));
    let fails = worker.offer("fails-key", BATCH, settings("test -e two.txt", json!({})));
    let serving = worker.serve();
    let made =
        |key: &str| aws.boto3("s3", "get_object", json!({ "Bucket": BUCKET, "Key": key }))["Body"].clone();
    for id in [combined, each] {
        let last = worker.results(&id).pop().unwrap();
        let summary = last["success"]["executionDetails"]["summary"].as_str();
        assert!(summary.is_some_and(|summary| summary.ends_with(" succeeded")), "{last}");
    }
    assert_eq!(made("all-key/Made.zip"), json!({ "zip": { "one.txt": "made\n", "two.txt": "made\n" } }));
    assert_eq!(made("each-key/one.zip"), json!({ "zip": { "one.txt": "made\n" } }));
    assert_eq!(made("each-key/two_more.zip"), json!({ "zip": { "text": "of the app\n" } }));
    let failure = worker.results(&fails).pop().unwrap()["failure"].clone();
    assert_eq!(failure["type"], "JobFailed", "{failure}");
    assert!(failure["message"].as_str().unwrap().ends_with("FAILED: one FAILED"), "{failure}");

    // A batch outlives its process, and the pipeline gets one answer.
    let before = home.builds();
    let killed =
        worker.offer("killed-key", BATCH, settings("sleep 4", json!({ "CombineArtifacts": "true" })));
    wait_until("a build of it runs", BUILD_LIMIT, || {
        let mut new = home.builds();
        new.retain(|build| !before.contains(build) && home.log(build).contains("of the app"));
        (!new.is_empty()).then_some(())
    });
    serving.kill();
    let _next = worker.serve();
    let results = worker.results(&killed);
    let ends: Vec<_> =
        results.iter().filter(|result| result["success"]["continuationToken"].is_null()).collect();
    let summary = ends[0]["success"]["executionDetails"]["summary"].as_str();
    assert!(ends.len() == 1 && summary.is_some_and(|said| said.ends_with(" succeeded")), "{results:?}");
    assert_eq!(made("killed-key/Made.zip"), json!({ "zip": { "one.txt": "made\n", "two.txt": "made\n" } }));
    assert_eq!(home.builds().len(), before.len() + 2, "what ran went on");
    home.assert_nothing_left();
}

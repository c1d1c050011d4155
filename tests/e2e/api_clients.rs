//! AWS's clients, unchanged, do with this service what they do with CodeBuild.

use serde_json::{Value, json};

use super::api_bench::bench;

const HELLO: &str =
    "version: 0.2\nphases:\n  build:\n    commands:\n      - echo hello $WHO\n      - sleep $REST\n";

#[test]
fn the_aws_command_line_makes_a_project_and_builds_it() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    let source = json!({ "type": "NO_SOURCE", "buildspec": HELLO }).to_string();
    let environment = "type=LINUX_CONTAINER,image=host,computeType=BUILD_GENERAL1_SMALL,\
                       environmentVariables=[{name=WHO,value=project},{name=REST,value=0}]";
    let made = bench.aws(&[
        "codebuild",
        "create-project",
        "--name",
        "hello",
        "--source",
        &source,
        "--artifacts",
        "type=NO_ARTIFACTS",
        "--environment",
        environment,
        "--service-role",
        "arn:aws:iam::000000000000:role/b",
    ]);
    assert_eq!(made["project"]["arn"], "arn:aws:codebuild:us-east-1:000000000000:project/hello");
    assert_eq!(bench.aws(&["codebuild", "list-projects"]), json!({ "projects": ["hello"] }));

    let started = bench.aws(&[
        "codebuild",
        "start-build",
        "--project-name",
        "hello",
        "--environment-variables-override",
        "name=WHO,value=override",
        "--timeout-in-minutes-override",
        "7",
    ]);
    let build = &started["build"];
    let id = build["id"].as_str().unwrap();
    assert_eq!((&build["buildNumber"], &build["timeoutInMinutes"]), (&json!(1), &json!(7)), "{build}");
    let ended = bench.ended(id);
    assert_eq!((&ended["buildStatus"], &ended["currentPhase"]), (&json!("SUCCEEDED"), &json!("COMPLETED")));
    assert_eq!(ended["initiator"], "api/tester");
    let phases: Vec<&str> =
        ended["phases"].as_array().unwrap().iter().filter_map(|phase| phase["phaseType"].as_str()).collect();
    assert_eq!((phases[0], phases[1], phases.len()), ("SUBMITTED", "QUEUED", 11));
    let variables = ended["environment"]["environmentVariables"].as_array().unwrap();
    assert!(
        variables.contains(&json!({ "name": "WHO", "value": "override", "type": "PLAINTEXT" })),
        "{variables:?}"
    );

    let stream = ended["logs"]["streamName"].as_str().unwrap();
    let read = bench.aws(&[
        "logs",
        "get-log-events",
        "--log-group-name",
        "/aws/codebuild/hello",
        "--log-stream-name",
        stream,
        "--start-from-head",
    ]);
    let messages: Vec<&str> =
        read["events"].as_array().unwrap().iter().filter_map(|event| event["message"].as_str()).collect();
    assert!(messages.contains(&"hello override\n"), "{messages:?}");

    let other = bench.aws(&[
        "codebuild",
        "start-build",
        "--project-name",
        "hello",
        "--environment-variables-override",
        "name=REST,value=600",
    ]);
    let other = other["build"]["id"].as_str().unwrap();
    bench.in_phase(other, "BUILD");
    bench.aws(&["codebuild", "stop-build", "--id", other]);
    assert_eq!(bench.ended(other)["buildStatus"], "STOPPED");

    let again = bench.aws(&["codebuild", "retry-build", "--id", id]);
    let again = again["build"]["id"].as_str().unwrap();
    let retried = bench.ended(again);
    assert_eq!((&retried["buildNumber"], &retried["buildStatus"]), (&json!(3), &json!("SUCCEEDED")));
    assert!(bench.log(&retried).contains("\nhello override\n"), "a retry has the same overrides");

    let listed = bench.aws(&["codebuild", "list-builds-for-project", "--project-name", "hello"]);
    assert_eq!(listed, json!({ "ids": [again, other, id] }));
    let refused = bench.aws_output(&["codebuild", "start-build", "--project-name", "nope"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains(
            "(ResourceNotFoundException) when calling the StartBuild operation: Project cannot be found"
        ),
        "{said}"
    );
    // The same project at the command line.
    let run = bench.runspan(&["run", "--project", "hello", "--executor", "sandbox", "--env", "WHO=cli"]);
    assert!(
        String::from_utf8_lossy(&run.stdout).contains("\nhello cli\n"),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let newest = bench.call("list_builds", json!({}))["ids"][0].clone();
    bench.refused("retry_build", json!({ "id": newest }), "InvalidInputException", "runspan builds retry");
}

#[test]
fn boto3_turns_every_page() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    let suite: String =
        (0..7).map(|n| format!("<testcase classname=\"c\" name=\"case{n}\" time=\"0.1\"/>")).collect();
    let report = format!(
        "version: 0.2\nphases:\n  build:\n    commands:\n      - echo '<testsuite name=\"s\" tests=\"7\">{suite}</testsuite>' > r.xml\nreports:\n  unit:\n    files: [r.xml]\n"
    );
    bench.project("tested", &report);
    let build = bench.ended(&bench.start("tested"));
    let pages = |service: &str, operation: &str, list: &str, parameters: Value| -> Vec<usize> {
        let ask =
            json!({ "service": service, "operation": operation, "list": list, "parameters": parameters });
        let found = bench.ask("pages", ask);
        let pages = found["pages"].as_array().unwrap_or_else(|| panic!("{found}"));
        pages.iter().map(|page| page.as_array().map_or(0, Vec::len)).collect()
    };
    let arn = build["reportArns"][0].as_str().unwrap_or_else(|| panic!("{build}"));
    let cases = json!({ "reportArn": arn, "PaginationConfig": { "PageSize": 3 } });
    assert_eq!(pages("codebuild", "describe_test_cases", "testCases", cases), [3, 3, 1]);
    let found = bench.call("batch_get_reports", json!({ "reportArns": [arn, "arn:x"] }));
    assert_eq!(found["reports"][0]["testSummary"]["total"], 7, "{found}");
    assert_eq!(found["reportsNotFound"], json!(["arn:x"]));
    let group = &found["reports"][0]["reportGroupArn"];
    assert_eq!(bench.call("list_report_groups", json!({}))["reportGroups"], json!([group]));
    let in_group = bench.call("list_reports_for_report_group", json!({ "reportGroupArn": group }));
    assert_eq!(in_group["reports"], json!([arn]));
    let groups = bench.call("batch_get_report_groups", json!({ "reportGroupArns": [group] }));
    assert_eq!(
        (&groups["reportGroups"][0]["name"], &groups["reportGroups"][0]["type"]),
        (&json!("tested-unit"), &json!("TEST"))
    );

    for number in 0..104 {
        bench.project(&format!("project-{number:03}"), "version: 0.2");
    }
    assert_eq!(pages("codebuild", "list_projects", "projects", json!({})), [100, 5]);
    assert_eq!(pages("codebuild", "list_builds", "ids", json!({})), [1]);
    // The log in both directions, and as a stream among others.
    let place =
        json!({ "logGroupName": "/aws/codebuild/tested", "logStreamName": build["logs"]["streamName"] });
    let text = bench.log(&build);
    let all = pages(
        "logs",
        "filter_log_events",
        "events",
        json!({
            "logGroupName": "/aws/codebuild/tested", "PaginationConfig": { "PageSize": 10 },
        }),
    );
    assert_eq!(all.iter().sum::<usize>(), text.lines().count(), "{text}");
    let mut backwards = String::new();
    let mut ask = place.clone();
    ask["limit"] = json!(4);
    loop {
        let ask_now = json!({ "service": "logs", "operation": "get_log_events", "parameters": ask });
        let found = bench.ask("call", ask_now);
        let events = found["events"].as_array().unwrap_or_else(|| panic!("{found}")).clone();
        if events.is_empty() {
            break;
        }
        let piece: String = events.iter().filter_map(|event| event["message"].as_str()).collect();
        backwards = piece + &backwards;
        ask["nextToken"] = found["nextBackwardToken"].clone();
    }
    assert_eq!(backwards, text);
    let streams = json!({ "service": "logs", "operation": "describe_log_streams",
                          "parameters": { "logGroupName": "/aws/codebuild/tested" } });
    assert_eq!(bench.ask("call", streams)["logStreams"][0]["logStreamName"], build["logs"]["streamName"]);
}

#[test]
fn batches_are_begun_retried_and_listed() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    let batch = "version: 0.2\nbatch:\n  fast-fail: false\n  build-list:\n    - identifier: good\n    - identifier: bad\n      ignore-failure: false\nphases:\n  build:\n    commands:\n      - test $CODEBUILD_BATCH_BUILD_IDENTIFIER = good\n";
    bench.project("many", batch);
    let ended = |id: &str| {
        bench.until("the batch ends", || {
            let found =
                bench.call("batch_get_build_batches", json!({ "ids": [id] }))["buildBatches"][0].clone();
            Some(found).filter(|batch| batch["complete"] == true)
        })
    };
    let first = bench.call("start_build_batch", json!({ "projectName": "many" }))["buildBatch"].clone();
    let id = first["id"].as_str().unwrap();
    let first = ended(id);
    assert_eq!(
        (&first["buildBatchStatus"], &first["buildBatchNumber"]),
        (&json!("FAILED"), &json!(1)),
        "{first}"
    );
    let summary = |batch: &Value, at: usize| batch["buildGroups"][at]["currentBuildSummary"].clone();
    assert_eq!(summary(&first, 0)["buildStatus"], "SUCCEEDED", "{first}");
    let retried = bench.call("retry_build_batch", json!({ "id": id, "retryType": "RETRY_FAILED_BUILDS" }));
    let second = ended(retried["buildBatch"]["id"].as_str().unwrap());
    assert_eq!(summary(&second, 0)["arn"], summary(&first, 0)["arn"], "what succeeded is not built again");
    assert_ne!(summary(&second, 1)["arn"], summary(&first, 1)["arn"]);
    // A buildspec without a batch ends in the phase that reads it.
    let none = bench.call(
        "start_build_batch",
        json!({ "projectName": "many", "buildspecOverride": "version: 0.2\nphases: {}\n" }),
    );
    let none = ended(none["buildBatch"]["id"].as_str().unwrap());
    let last = &none["phases"].as_array().unwrap()[1];
    assert_eq!(
        (&last["phaseType"], &last["phaseStatus"]),
        (&json!("DOWNLOAD_BATCHSPEC"), &json!("FAILED")),
        "{none}"
    );
    let listed = bench.call(
        "list_build_batches_for_project",
        json!({ "projectName": "many", "filter": { "status": "FAILED" } }),
    );
    assert_eq!(listed["ids"].as_array().unwrap().len(), 3, "{listed}");
}

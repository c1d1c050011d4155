//! Who is refused, and with which words.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::api_bench::bench;

#[test]
fn only_whoever_has_a_key_is_answered() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    let raw = |more: Value| {
        let mut ask = json!({ "target": "CodeBuild_20161006.ListProjects", "body": "{}" });
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = bench.ask("raw", ask);
        (
            answer["status"].as_u64().unwrap_or_default(),
            answer["__type"].as_str().unwrap_or("none").to_owned(),
        )
    };
    let no = |status: u64, code: &str| (status, code.to_owned());
    assert_eq!(raw(json!({})), no(200, "none"));
    assert_eq!(raw(json!({ "presigned": true })), no(200, "none"));
    assert_eq!(raw(json!({ "unsigned": true })), no(400, "MissingAuthenticationTokenException"));
    assert_eq!(raw(json!({ "secret": "wrong" })), no(400, "InvalidSignatureException"));
    assert_eq!(raw(json!({ "secret": "wrong", "presigned": true })), no(400, "InvalidSignatureException"));
    assert_eq!(raw(json!({ "key": "RSPN0000000000000000" })), no(400, "UnrecognizedClientException"));
    assert_eq!(raw(json!({ "late": -600 })), no(400, "InvalidSignatureException"));
    assert_eq!(raw(json!({ "late": 600 })), no(400, "InvalidSignatureException"));
    assert_eq!(raw(json!({ "late": -600, "presigned": true })), no(400, "RequestExpired"));
    assert_eq!(raw(json!({ "body": "{\"sortBy\": " })), no(400, "SerializationException"));
    assert_eq!(raw(json!({ "body": "[]" })), no(400, "SerializationException"));
    assert_eq!(raw(json!({ "body": "{\"sortBy\": 1}" })), no(400, "SerializationException"));
    assert_eq!(
        raw(json!({ "target": "CodeBuild_20161006.MakeCoffee" })),
        no(400, "UnknownOperationException")
    );
    assert_eq!(raw(json!({ "target": "Other.ListProjects" })), no(400, "UnknownOperationException"));
    assert_eq!(raw(json!({ "body": " ".repeat(2 << 20) })), no(413, "RequestEntityTooLarge"));
    // A key that is taken away is taken away at once.
    assert!(bench.runspan(&["api-key", "rm", "tester"]).status.success());
    assert_eq!(raw(json!({})), no(400, "UnrecognizedClientException"));
    assert!(!bench.runspan(&["api-key", "rm", "tester"]).status.success());
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_passed_over() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    bench.project("known", "version: 0.2\nphases: {}\n");
    let invalid = "InvalidInputException";
    for (overrides, said) in [
        (json!({ "fleetOverride": { "fleetArn": "arn:x" } }), "fleetOverride"),
        (json!({ "certificateOverride": "b/k" }), "certificateOverride"),
        (json!({ "reportBuildStatusOverride": true }), "reportBuildStatusOverride"),
        (json!({ "hostKernelOverride": "x" }), "hostKernelOverride"),
        (json!({ "privilegedModeOverride": true }), "privilegedModeOverride"),
        (json!({ "imageOverride": "/etc" }), "`/etc` is a root of this machine"),
        (json!({ "timeoutInMinutesOverride": 4 }), "'timeoutInMinutesOverride' failed to satisfy constraint"),
        (json!({ "sourceTypeOverride": "SVN" }), "enum value set"),
        (json!({ "sourceTypeOverride": "GITHUB" }), "location is required"),
        (json!({ "environmentTypeOverride": "WINDOWS_CONTAINER" }), "WINDOWS_CONTAINER"),
        (
            json!({ "environmentVariablesOverride": [{ "name": "" , "value": "x" }] }),
            "environmentVariablesOverride.1.member.name",
        ),
    ] {
        let mut ask = json!({ "projectName": "known" });
        ask.as_object_mut().unwrap().extend(overrides.as_object().unwrap().clone());
        bench.refused("start_build", ask, invalid, said);
    }
    bench.refused(
        "start_build",
        json!({ "projectName": "other" }),
        "ResourceNotFoundException",
        "project/other",
    );
    bench.refused(
        "stop_build",
        json!({ "id": "known:none" }),
        "ResourceNotFoundException",
        "build/known:none",
    );
    bench.refused("stop_build", json!({ "id": "known" }), invalid, "Invalid build ID");
    bench.refused("list_builds", json!({ "nextToken": "x" }), invalid, "next token");
    assert_eq!(bench.call("list_builds", json!({}))["ids"], json!([]), "nothing was begun");

    bench.refused("update_project", json!({ "name": "other" }), "ResourceNotFoundException", "project/other");
    let changed =
        bench.call("update_project", json!({ "name": "known", "concurrentBuildLimit": 1 }))["project"]
            .clone();
    assert_eq!(
        (&changed["concurrentBuildLimit"], &changed["source"]["type"]),
        (&json!(1), &json!("NO_SOURCE"))
    );
    let slow = json!({ "projectName": "known", "buildspecOverride": "version: 0.2\nphases:\n  build:\n    commands: [sleep 600]\n" });
    let first = bench.call("start_build", slow)["build"]["id"].as_str().unwrap().to_owned();
    bench.refused(
        "start_build",
        json!({ "projectName": "known" }),
        "AccountLimitExceededException",
        "more than 1",
    );
    bench.call("stop_build", json!({ "id": first }));
    bench.ended(&first);

    // A login is kept for its owner's eyes, and shown to nobody.
    let login = json!({ "serverType": "GITHUB", "authType": "PERSONAL_ACCESS_TOKEN", "token": "gh-s3cr3t" });
    let arn = bench.call("import_source_credentials", login.clone())["arn"].clone();
    let mut kept = login;
    kept["shouldOverwrite"] = json!(false);
    bench.refused("import_source_credentials", kept, "ResourceAlreadyExistsException", "token/github");
    assert!(!bench.call("list_source_credentials", json!({})).to_string().contains("s3cr3t"));
    let file = bench.state().join("source-credentials.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    bench.call("delete_source_credentials", json!({ "arn": arn }));
    assert!(!std::fs::read_to_string(file).unwrap().contains("s3cr3t"));

    let hook = json!({ "projectName": "known", "manualCreation": true, "filterGroups": [[{ "type": "EVENT", "pattern": "PUSH" }]] });
    let made = bench.call("create_webhook", hook.clone());
    assert!(made["webhook"]["secret"].is_string(), "{made}");
    bench.refused("create_webhook", hook, "ResourceAlreadyExistsException", "project/known");
    let shown = bench.call("batch_get_projects", json!({ "names": ["known", "other"] }));
    assert_eq!(shown["projectsNotFound"], json!(["other"]));
    assert!(shown["projects"][0]["webhook"]["secret"].is_null(), "a secret is shown once: {shown}");
    bench.call("delete_webhook", json!({ "projectName": "known" }));
    bench.call("delete_project", json!({ "name": "known" }));
    assert_eq!(bench.call("list_projects", json!({}))["projects"], json!([]));
    assert_eq!(bench.build(&first)["buildStatus"], "STOPPED", "builds outlive their project");
}

/// Botocore's description of CodeBuild is not ours: what it says of requests is what happens here.
#[test]
fn every_operation_of_the_description_is_checked_as_it_says() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    let absent = [
        ("create_fleet", json!({ "name": "f" }), "no fleets"),
        ("update_fleet", json!({ "arn": "a" }), "no fleets"),
        ("delete_fleet", json!({ "arn": "a" }), "no fleets"),
        ("start_sandbox", json!({ "projectName": "p" }), "runspan shell"),
        ("stop_sandbox", json!({ "id": "s" }), "runspan shell"),
        ("start_sandbox_connection", json!({ "sandboxId": "s" }), "runspan shell"),
        ("start_command_execution", json!({ "sandboxId": "s", "command": "c" }), "runspan shell"),
        ("batch_get_command_executions", json!({ "sandboxId": "s" }), "runspan shell"),
        ("list_command_executions_for_sandbox", json!({ "sandboxId": "s" }), "runspan shell"),
    ];
    let camel = |name: &str| -> String {
        name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
    };
    let names: Vec<String> = absent.iter().map(|(operation, ..)| camel(operation)).collect();
    for (operation, parameters, said) in absent {
        bench.refused(operation, parameters, "InvalidInputException", said);
    }
    let judged = bench.ask("differences", json!({ "absent": names }));
    assert!(judged["tried"].as_u64() > Some(1000), "{judged}");
    assert_eq!(judged["found"], json!([]), "judged otherwise than described");
}

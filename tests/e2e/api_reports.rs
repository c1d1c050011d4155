//! Reports, their groups, and what else is kept beside builds.

use serde_json::{Value, json};

use super::api_bench::{Bench, bench};

const JUNIT: &str = "<testsuite><testcase name=\"a\" time=\"2\"/><testcase name=\"b\" time=\"1\"><failure/></testcase></testsuite>";

fn reporting(group: &str) -> String {
    format!(
        "version: 0.2\nphases:\n  build:\n    commands: ['echo ''{JUNIT}'' > r.xml']\nreports:\n  {group}: {{ files: [r.xml] }}\n"
    )
}

#[test]
fn a_group_says_where_the_raw_files_of_its_reports_go() {
    let Some(bench) = bench() else { return };
    let moto = bench.ask("moto", json!({}))["endpoint"].clone();
    let s3 = |operation: &str, parameters: Value| {
        let ask =
            json!({ "endpoint": moto, "service": "s3", "operation": operation, "parameters": parameters });
        bench.ask("call", ask)
    };
    s3("create_bucket", json!({ "Bucket": "raw" }));
    let objects = || {
        let found = s3("list_objects_v2", json!({ "Bucket": "raw" }));
        let keys = found["Contents"].as_array().into_iter().flatten();
        keys.filter_map(|object| object["Key"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let credentials = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let _serving =
        bench.serve_with(&[], &[&credentials[..], &[("AWS_ENDPOINT_URL", moto.as_str().unwrap())]].concat());

    let export = json!({ "exportConfigType": "S3", "s3Destination": { "bucket": "raw", "path": "in/here" } });
    let made = bench.aws(&[
        "codebuild",
        "create-report-group",
        "--name",
        "pp-unit",
        "--type",
        "TEST",
        "--tags",
        "key=team,value=ci",
        "--export-config",
        &export.to_string(),
    ]);
    let group = made["reportGroup"]["arn"].clone();
    assert_eq!(group, "arn:aws:codebuild:us-east-1:000000000000:report-group/pp-unit");
    let again =
        json!({ "name": "pp-unit", "type": "TEST", "exportConfig": { "exportConfigType": "NO_EXPORT" } });
    bench.refused("create_report_group", again, "ResourceAlreadyExistsException", "report-group/pp-unit");
    let nowhere = json!({ "name": "other", "type": "TEST", "exportConfig": { "exportConfigType": "S3" } });
    bench.refused("create_report_group", nowhere, "InvalidInputException", "bucket is required");

    bench.project("pp", &reporting("unit"));
    let report = |build: Value| {
        let arn = build["reportArns"][0].as_str().unwrap_or_else(|| panic!("{build}")).to_owned();
        bench.call("batch_get_reports", json!({ "reportArns": [arn] }))["reports"][0].clone()
    };
    let first = report(bench.ended(&bench.start("pp")));
    assert_eq!(first["exportConfig"]["s3Destination"]["bucket"], "raw", "{first}");
    let (_, id) = first["arn"].as_str().unwrap().rsplit_once(':').unwrap();
    assert_eq!(objects(), [format!("in/here/pp-unit/{id}/r.xml")], "{}", bench.said());

    let update = json!({ "arn": group, "exportConfig": { "exportConfigType": "NO_EXPORT" } });
    let updated = bench.call("update_report_group", update)["reportGroup"].clone();
    assert_eq!(
        (&updated["tags"][0]["value"], &updated["name"]),
        (&json!("ci"), &json!("pp-unit")),
        "{updated}"
    );
    let second = report(bench.ended(&bench.start("pp")));
    assert_eq!(second["exportConfig"]["exportConfigType"], "NO_EXPORT", "{second}");
    assert_eq!(objects().len(), 1);

    let trend = |field: &str| {
        bench.call("get_report_group_trend", json!({ "reportGroupArn": group, "trendField": field }))
    };
    assert_eq!(trend("PASS_RATE")["stats"], json!({ "average": "50", "max": "50", "min": "50" }));
    assert_eq!(trend("DURATION")["stats"]["max"], "3000000000");
    assert_eq!(trend("TOTAL")["rawData"][0], json!({ "reportArn": second["arn"], "data": "2" }));
    let coverage = json!({ "reportGroupArn": group, "trendField": "LINE_COVERAGE" });
    bench.refused("get_report_group_trend", coverage, "InvalidInputException", "type TEST");

    let listed = |order: &str| {
        bench.call("list_reports", json!({ "sortOrder": order, "filter": { "status": "FAILED" } }))["reports"]
            .clone()
    };
    assert_eq!(listed("ASCENDING"), json!([first["arn"], second["arn"]]));
    assert_eq!(listed("DESCENDING"), json!([second["arn"], first["arn"]]));
    bench.refused("delete_report_group", json!({ "arn": group }), "InvalidInputException", "has reports");
    bench.call("delete_report", json!({ "arn": first["arn"] }));
    let gone = bench.call("batch_get_reports", json!({ "reportArns": [first["arn"], second["arn"]] }));
    assert_eq!(
        (&gone["reportsNotFound"], &gone["reports"][0]["arn"]),
        (&json!([first["arn"]]), &second["arn"])
    );
    bench.refused(
        "describe_test_cases",
        json!({ "reportArn": first["arn"] }),
        "ResourceNotFoundException",
        "Report",
    );
    bench.call("delete_report_group", json!({ "arn": group, "deleteReports": true }));
    bench.refused(
        "describe_test_cases",
        json!({ "reportArn": second["arn"] }),
        "ResourceNotFoundException",
        "Report",
    );
    assert_eq!(bench.call("list_report_groups", json!({}))["reportGroups"], json!([]));
}

#[test]
fn groups_and_policies_are_listed_kept_and_forgotten() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    for name in ["b", "c", "a"] {
        let name = name.repeat(2);
        bench.call(
            "create_report_group",
            json!({ "name": name, "type": "CODE_COVERAGE", "exportConfig": {} }),
        );
    }
    let listed = |by: &str, order: &str| -> String {
        let found = bench.call("list_report_groups", json!({ "sortBy": by, "sortOrder": order }));
        let arns = found["reportGroups"].as_array().unwrap().iter().filter_map(Value::as_str);
        arns.map(|arn| &arn[arn.len() - 1..]).collect()
    };
    assert_eq!(listed("NAME", "ASCENDING"), "abc");
    assert_eq!(listed("NAME", "DESCENDING"), "cba");
    assert_eq!(listed("CREATED_TIME", "ASCENDING"), "bca");
    let of = |name: &str| format!("arn:aws:codebuild:us-east-1:000000000000:report-group/{name}");
    bench.call("update_report_group", json!({ "arn": of("bb"), "tags": [] }));
    assert_eq!(listed("LAST_MODIFIED_TIME", "DESCENDING"), "bac");
    let pages = |operation: &str, list: &str, parameters: Value| -> Vec<usize> {
        let found =
            bench.ask("pages", json!({ "operation": operation, "list": list, "parameters": parameters }));
        let pages = found["pages"].as_array().unwrap_or_else(|| panic!("{found}"));
        pages.iter().map(|page| page.as_array().map_or(0, Vec::len)).collect()
    };
    let by_two = json!({ "PaginationConfig": { "PageSize": 2 } });
    assert_eq!(pages("list_report_groups", "reportGroups", by_two), [2, 1]);
    assert_eq!(pages("list_shared_projects", "projects", json!({})), [0]);
    assert_eq!(pages("list_shared_report_groups", "reportGroups", json!({})), [0]);
    assert_eq!(bench.call("list_fleets", json!({})), json!({ "fleets": [] }));

    bench.project("p1", "version: 0.2\nphases: {}\n");
    let project = "arn:aws:codebuild:us-east-1:000000000000:project/p1";
    let policy = "{\"Version\": \"2012-10-17\"}";
    for arn in [project, &of("aa")] {
        let wanted = json!({ "resourceArn": arn });
        bench.refused("get_resource_policy", wanted.clone(), "ResourceNotFoundException", "policy");
        bench.call("put_resource_policy", json!({ "resourceArn": arn, "policy": policy }));
        assert_eq!(bench.call("get_resource_policy", wanted.clone())["policy"], policy);
        let shown = bench.call("batch_get_projects", json!({ "names": ["p1"] })).to_string()
            + &bench.call("batch_get_report_groups", json!({ "reportGroupArns": [of("aa")] })).to_string();
        assert!(!shown.contains("2012"), "{shown}");
        bench.call("delete_resource_policy", wanted.clone());
        bench.refused("get_resource_policy", wanted, "ResourceNotFoundException", "policy");
    }
    let visible = |how: &str| json!({ "projectArn": project, "projectVisibility": how });
    bench.call("update_project_visibility", visible("PRIVATE"));
    bench.refused("update_project_visibility", visible("PUBLIC_READ"), "InvalidInputException", "have a key");
}

#[test]
fn lists_have_the_order_that_is_asked_for() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    let class = |name: &str, hits: [u8; 2]| {
        let lines = [1, 2].map(|n| format!("<line number=\"{n}\" hits=\"{}\"/>", hits[n - 1])).concat();
        format!("<class name=\"{name}\" filename=\"{name}\"><lines>{lines}</lines></class>")
    };
    let classes = [class("x.py", [1, 1]), class("y.py", [0, 0]), class("z.py", [1, 0])].concat();
    let xml =
        format!("<coverage><packages><package><classes>{classes}</classes></package></packages></coverage>");
    let buildspec = format!(
        "version: 0.2\nphases:\n  build:\n    commands: ['echo ''{xml}'' > c.xml']\nreports:\n  all: {{ files: [c.xml], file-format: COBERTURAXML }}\n"
    );
    for name in ["pb", "pa", "pc"] {
        bench.project(name, &buildspec);
    }
    bench.call("update_project", json!({ "name": "pa", "description": "changed" }));
    let projects = |by: &str, order: &str| {
        bench.call("list_projects", json!({ "sortBy": by, "sortOrder": order }))["projects"].clone()
    };
    assert_eq!(projects("NAME", "DESCENDING"), json!(["pc", "pb", "pa"]));
    assert_eq!(projects("CREATED_TIME", "ASCENDING"), json!(["pb", "pa", "pc"]));
    assert_eq!(projects("LAST_MODIFIED_TIME", "DESCENDING"), json!(["pa", "pc", "pb"]));

    let builds = ["pb", "pa", "pb"].map(|name| bench.ended(&bench.start(name)));
    let id = |at: usize| builds[at]["id"].clone();
    let listed = |order: &str| bench.call("list_builds", json!({ "sortOrder": order }))["ids"].clone();
    assert_eq!(listed("ASCENDING"), json!([id(0), id(1), id(2)]));
    assert_eq!(listed("DESCENDING"), json!([id(2), id(1), id(0)]));
    let of_project = json!({ "projectName": "pb", "sortOrder": "ASCENDING" });
    assert_eq!(bench.call("list_builds_for_project", of_project)["ids"], json!([id(0), id(2)]));

    let arn = |at: usize| builds[at]["reportArns"][0].clone();
    let group = bench.call("batch_get_reports", json!({ "reportArns": [arn(0)] }))["reports"][0].clone();
    let in_group = json!({ "reportGroupArn": group["reportGroupArn"], "sortOrder": "ASCENDING" });
    assert_eq!(bench.call("list_reports_for_report_group", in_group)["reports"], json!([arn(0), arn(2)]));
    let ask = json!({ "operation": "list_reports", "list": "reports",
                      "parameters": { "PaginationConfig": { "PageSize": 2 } } });
    assert_eq!(bench.ask("pages", ask)["pages"], json!([[arn(2), arn(1)], [arn(0)]]));

    let files = |more: Value| -> Vec<String> {
        let mut ask = json!({ "reportArn": arn(0) });
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let found = bench.call("describe_code_coverages", ask);
        let files = found["codeCoverages"].as_array().unwrap().iter();
        files.filter_map(|file| file["filePath"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(files(json!({})), ["y.py", "z.py", "x.py"]);
    assert_eq!(files(json!({ "sortBy": "FILE_PATH", "sortOrder": "DESCENDING" })), ["z.py", "y.py", "x.py"]);
    assert_eq!(files(json!({ "minLineCoveragePercentage": 50, "maxLineCoveragePercentage": 99 })), ["z.py"]);
    let trend = json!({ "reportGroupArn": group["reportGroupArn"], "trendField": "LINE_COVERAGE" });
    assert_eq!(bench.call("get_report_group_trend", trend)["stats"]["average"], "50");
}

#[test]
fn a_batch_has_reports_of_its_own() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    let batch = "batch:\n  build-list: [{identifier: one}, {identifier: two}]\n";
    bench.project("many", &reporting("unit").replacen("phases:", &format!("{batch}phases:"), 1));
    let id = bench.call("start_build_batch", json!({ "projectName": "many" }))["buildBatch"]["id"].clone();
    let ended = bench.until("the batch ends", || {
        let found = bench.call("batch_get_build_batches", json!({ "ids": [id] }))["buildBatches"][0].clone();
        Some(found).filter(|batch| batch["complete"] == true)
    });
    let arn = &ended["reportArns"][0];
    let merged = bench.call("batch_get_reports", json!({ "reportArns": [arn] }))["reports"][0].clone();
    assert_eq!(
        (&merged["testSummary"]["total"], &merged["executionId"]),
        (&json!(4), &ended["arn"]),
        "{merged}"
    );
    let cases =
        bench.call("describe_test_cases", json!({ "reportArn": arn, "filter": { "status": "FAILED" } }));
    assert_eq!(cases["testCases"].as_array().unwrap().len(), 2, "{cases}");
    assert_eq!(bench.call("list_reports", json!({}))["reports"].as_array().unwrap().len(), 3);
    bench.call("delete_report", json!({ "arn": arn }));
    assert_eq!(bench.call("list_reports", json!({}))["reports"].as_array().unwrap().len(), 2);
    let single = bench.ended(&bench.start("many"));
    let deleted = bench.call("delete_build_batch", json!({ "id": id }));
    assert_eq!(deleted["statusCode"], "SUCCEEDED", "{deleted}");
    assert_eq!(deleted["buildsDeleted"].as_array().unwrap().len(), 2, "{deleted}");
    assert_eq!(bench.call("list_build_batches", json!({}))["ids"], json!([]));
    assert_eq!(bench.call("list_builds", json!({}))["ids"], json!([single["id"]]));
}

/// The log of a build of this project with this cache.
fn cached(bench: &Bench, project: &str) -> String {
    bench.log(&bench.ended(&bench.start(project)))
}

#[test]
fn an_invalidated_cache_is_gone() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    let buildspec = "version: 0.2\nphases:\n  build:\n    commands: ['test -e kept/file && echo it is kept || echo it is new', 'mkdir -p kept && touch kept/file']\ncache:\n  paths: ['kept/**/*']\n";
    for (project, cache) in [
        ("archive", json!({ "type": "LOCAL" })),
        ("directory", json!({ "type": "LOCAL", "modes": ["LOCAL_CUSTOM_CACHE"] })),
    ] {
        bench.project(project, buildspec);
        bench.call("update_project", json!({ "name": project, "cache": cache }));
        let says = |what: &str| {
            let log = cached(&bench, project);
            assert!(log.contains(&format!("\n{what}\n")), "{project}: {log}");
        };
        says("it is new");
        says("it is kept");
        bench.call("invalidate_project_cache", json!({ "projectName": project }));
        says("it is new");
    }
    let bucket = json!({ "type": "S3", "location": "b/c" });
    bench.call("update_project", json!({ "name": "archive", "cache": bucket }));
    let name = json!({ "projectName": "archive" });
    bench.refused("invalidate_project_cache", name, "InvalidInputException", "s3://b/c");
}

//! Every example, end to end, on each image it can run on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::harness::{BUSYBOX, DEBIAN, Home, IMAGES, SANDBOX, example, home, listing, root, tree, unzip};

/// Runs the body on both images, each time in a fresh state directory.
fn on_each_image(body: impl Fn(Home, &str)) {
    for image in IMAGES {
        if let Some(home) = home() {
            eprintln!("on {image}");
            body(home, image);
        }
    }
}

#[test]
fn every_example_passes_check() {
    let Some(home) = home() else { return };
    let checked = home
        .runspan(["check"])
        .arg(example(""))
        .arg(example("batch-graph/package.yml"))
        .arg(example("project/ci/build.yml"))
        .finish()
        .exited(0);
    assert!(checked.errors().contains("0 warnings"), "{checked}");
}

#[test]
fn every_example_is_tested_here() {
    let here = include_str!("examples.rs").to_owned()
        + include_str!("pauses.rs")
        + include_str!("aws.rs")
        + include_str!("github_sequence.rs");
    let names: BTreeSet<_> = fs::read_dir(example(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        let is_used = [format!("example(\"{name}"), format!("\"examples/{name}\"")];
        assert!(is_used.iter().any(|used| here.contains(used)), "no test runs examples/{name}");
    }
}

#[test]
fn hello() {
    on_each_image(|home, image| {
        let out = home.path("out");
        let ran = home
            .run(example("hello"), image)
            .args(["--env", "NAME=Ada", "--artifacts"])
            .arg(&out)
            .finish()
            .exited(0)
            .printed(&[
                "[Container] Waiting for DOWNLOAD_SOURCE\n",
                "[Container] Phase is DOWNLOAD_SOURCE\n",
                "[Container] CODEBUILD_SRC_DIR=/codebuild/output/srcN/src\n",
                "[Container] YAML location is /codebuild/output/srcN/src/buildspec.yml\n",
                "[Container] Phases found in YAML: 2\n",
                "[Container]  BUILD: 2 commands\n",
                "[Container]  POST_BUILD: 1 commands\n",
                "[Container] Phase complete: DOWNLOAD_SOURCE State: SUCCEEDED\n",
                "[Container] Phase context status code:  Message: \n",
                "[Container] Entering phase INSTALL\n",
                "[Container] Entering phase PRE_BUILD\n",
                "[Container] Entering phase BUILD\n\n[Container] Running command mkdir -p dist\n",
                "\n[Container] Running command echo \"Hello, $NAME!\" | tee dist/hello.txt\nHello, Ada!\n",
                "[Container] Phase complete: BUILD State: SUCCEEDED\n",
                "[Container] Entering phase POST_BUILD\n",
                "[Container] Phase complete: POST_BUILD State: SUCCEEDED\n",
                "[Container] Expanding base directory path: dist\n",
                "[Container] Found 1 file(s)\n",
                "Test report",
                "hello-greeting",
                "SUCCEEDED",
                "[Container] Phase complete: UPLOAD_ARTIFACTS State: SUCCEEDED\n",
            ]);
        assert_eq!(listing(&tree(&out)), "hello.txt: Hello, Ada!\n");
        let build = home.build();
        assert_eq!(home.log(&build), ran.text(), "what is printed is the log");
        let record = home.record(&build);
        assert_eq!(record.status(), "SUCCEEDED");
        assert_eq!(
            record.phases(),
            [
                "SUBMITTED SUCCEEDED",
                "QUEUED SUCCEEDED",
                "PROVISIONING SUCCEEDED",
                "DOWNLOAD_SOURCE SUCCEEDED",
                "INSTALL SUCCEEDED",
                "PRE_BUILD SUCCEEDED",
                "BUILD SUCCEEDED",
                "POST_BUILD SUCCEEDED",
                "UPLOAD_ARTIFACTS SUCCEEDED",
                "FINALIZING SUCCEEDED",
                "COMPLETED -",
            ]
        );
        let report = record.report("greeting");
        assert_eq!(report["status"], "SUCCEEDED");
        assert_eq!(report["testSummary"]["total"], 3);
        home.assert_nothing_left();
    });
}

#[test]
fn env_and_exported_variables() {
    on_each_image(|home, image| {
        home.run(example("env-and-exported-variables"), image)
            .args(["--env", "STAGE=production"])
            .finish()
            .exited(0)
            .printed(&[
                "building 1.4.2-production in work\n",
                "costs $5, not $HOME\n",
                "a child process sees 1.4.2-production\n",
                "sources are where CodeBuild has them\n",
            ]);
        let exported = home.record(&home.build()).exported();
        assert_eq!(exported["IMAGE_TAG"], "1.4.2-production");
        assert_eq!(exported["RELEASE_NOTES"], "Version 1.4.2\nfor 'production'");
        assert_eq!(exported.len(), 2, "{exported:?}");
        home.assert_nothing_left();
    });
}

#[test]
fn finally_and_on_failure() {
    on_each_image(|home, image| {
        let out = home.path("out");
        home.run(example("finally-and-on-failure"), image)
            .arg("--artifacts")
            .arg(&out)
            .finish()
            .exited(1)
            .printed(&[
                "[Container] Command did not exit successfully sh lint.sh exit status 3\n",
                "succeeding after lint is 0\n",
                "[Container] Phase complete: PRE_BUILD State: FAILED\n",
                "[Container] Phase context status code: COMMAND_EXECUTION_ERROR \
                 Message: Error while executing command: sh lint.sh. Reason: exit status 3\n",
                "[Container] Entering phase BUILD\n",
                "built all the same\n",
                "database stopped\n",
                "[Container] Phase complete: BUILD State: SUCCEEDED\n",
                "succeeding in post_build is 0\n",
            ])
            .did_not_print("\nnever printed");
        assert_eq!(
            listing(&tree(&out)),
            "database.log: database started\ndatabase stopped\nresult.txt: built all the same\n"
        );
        let record = home.record(&home.build());
        assert_eq!(record.status(), "FAILED");
        assert_eq!(record.context("PRE_BUILD").0, "COMMAND_EXECUTION_ERROR");
        assert_eq!(record.context("BUILD"), (String::new(), String::new()));
        home.assert_nothing_left();
    });
}

#[test]
fn reports() {
    on_each_image(|home, image| {
        let out = home.path("out");
        home.run(example("reports"), image).arg("--reports").arg(&out).finish().exited(0).printed(&[
            "[Container] Phase complete: POST_BUILD State: SUCCEEDED\n",
            "Test report",
            "Failing tests:\n",
            "takes a voucher",
            "expected 9.00 but was 10.00",
        ]);
        let record = home.record(&home.build());
        assert_eq!(record.status(), "SUCCEEDED", "a report does not decide a build");
        let unit = record.report("unit");
        assert_eq!((unit["status"].as_str(), unit["type"].as_str()), (Some("FAILED"), Some("TEST")));
        let counts = &unit["testSummary"]["statusCounts"];
        assert_eq!(
            (&counts["SUCCEEDED"], &counts["FAILED"], &counts["SKIPPED"]),
            (&3.into(), &1.into(), &1.into())
        );
        assert_eq!(unit["testSummary"]["durationInNanoSeconds"], 264_000_000);
        for (group, total) in [("behaviour", 2), ("dotnet", 2)] {
            let report = record.report(group);
            assert_eq!(report["status"], "SUCCEEDED", "{group}");
            assert_eq!(report["testSummary"]["total"], total, "{group}");
        }
        let coverage = record.report("coverage");
        assert_eq!(coverage["type"], "CODE_COVERAGE");
        let summary = &coverage["codeCoverageSummary"];
        assert_eq!(summary["lineCoveragePercentage"], 75.0);
        assert_eq!((&summary["branchesCovered"], &summary["branchesMissed"]), (&1.into(), &1.into()));
        let files = listing(&tree(&out));
        assert!(files.contains("takes a voucher") && files.contains("shop/basket.py"), "{files}");
        home.assert_nothing_left();
    });
}

#[test]
fn artifacts() {
    on_each_image(|home, image| {
        let out = home.path("out");
        home.run(example("artifacts"), image).arg("--artifacts").arg(&out).finish().exited(0);
        let names = tree(&out);
        let dated = regex::Regex::new(r"^shop-\d{4}-\d\d-\d\d\.zip$").unwrap();
        let primary =
            names.keys().find(|name| dated.is_match(name)).unwrap_or_else(|| panic!("{:?}", names.keys()));
        assert_eq!(
            listing(&unzip(&out.join(primary))),
            "bin/shop-2.0: echo \"shop 2.0\"\nshare/locale/de/messages: Warenkorb\n"
        );
        assert_eq!(listing(&tree(&out.join("logs"))), "build.log: all well\ntest.log: all well too\n");
        assert_eq!(listing(&tree(&out.join("modules"))), "lib/core.so: core\nlib/net.so: net\n");
        assert_eq!(
            listing(&unzip(&out.join("install.zip"))),
            "bin/shop: -> shop-2.0\nbin/shop-2.0: echo \"shop 2.0\"\n"
        );
        let record = home.record(&home.build());
        let sum = record.0["artifacts"]["sha256sum"].as_str().unwrap_or_default();
        assert_eq!(sum.len(), 64, "{record}");
        assert_eq!(record.0["secondaryArtifacts"].as_array().map(Vec::len), Some(3), "{record}");
        home.assert_nothing_left();
    });
}

#[test]
fn cache() {
    on_each_image(|home, image| {
        let source = home.path("cache");
        copy(&example("cache"), &source);
        let run = || home.run(&source, image).finish().exited(0);
        run().printed(&["fetching left-pad 1.3.0\nfetching right-pad 1.0.1\n", "right-pad@1.0.1\n"]);
        run().printed(&["found left-pad 1.3.0\nfound right-pad 1.0.1\n", "right-pad@1.0.1\n"]);
        fs::write(source.join("lock.txt"), "left-pad 1.3.0\ntop-pad 0.1.0\n").unwrap();
        run().printed(&["found left-pad 1.3.0\nfetching top-pad 0.1.0\n", "top-pad@0.1.0\n"]);
        run().printed(&["found left-pad 1.3.0\nfound top-pad 0.1.0\n"]);
        assert!(!source.join("vendor").exists(), "nothing is written into the user's tree");
        home.assert_nothing_left();
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for (name, content) in tree(from) {
        fs::create_dir_all(to.join(&name).parent().unwrap()).unwrap();
        fs::write(to.join(name), content).unwrap();
    }
}

#[test]
fn batch_graph() {
    on_each_image(|home, image| {
        let out = home.path("out");
        let ran = home.run(example("batch-graph"), image).args(["--artifacts"]).arg(&out).finish().exited(0);
        let text = ran.text();
        for wanted in [
            "compile runs as a build of its own",
            "compiled 3 files",
            "the unit tests pass",
            "main.c:3: line too long",
            "packaged after all others",
        ] {
            assert!(text.contains(wanted), "no `{wanted}` in\n{ran}");
        }
        let files = tree(&out);
        assert!(files.keys().any(|name| name.ends_with("package.txt")), "{files:?}");
        let records: Vec<_> = home.builds().iter().map(|build| home.record(build)).collect();
        let status = |identifier: &str| {
            let found = records.iter().find(|record| record.0["batchIdentifier"] == identifier);
            found.unwrap_or_else(|| panic!("no build `{identifier}`")).status().to_owned()
        };
        assert_eq!(
            ["compile", "unit_tests", "lint", "package"].map(status),
            ["SUCCEEDED", "SUCCEEDED", "FAILED", "SUCCEEDED"]
        );
        let start = |identifier: &str, member: &str| {
            let found = records.iter().find(|record| record.0["batchIdentifier"] == identifier);
            found.unwrap().0[member].as_str().unwrap().to_owned()
        };
        assert!(
            start("compile", "endTime") <= start("unit_tests", "startTime"),
            "unit_tests waits for compile"
        );
        assert!(start("lint", "endTime") <= start("package", "startTime"), "package waits for lint");
        home.assert_nothing_left();
    });
}

#[test]
fn batch_matrix() {
    on_each_image(|home, image| {
        let out = home.path("out");
        home.run(example("batch-matrix"), image).args(["--artifacts"]).arg(&out).finish().exited(0);
        let files = tree(&out);
        let mut made: Vec<_> = files.keys().map(|name| name.rsplit('/').next().unwrap()).collect();
        made.sort_unstable();
        assert_eq!(made, ["large-blue.txt", "large-red.txt", "small-blue.txt", "small-red.txt"]);
        assert_eq!(home.builds().len(), 4);
        home.assert_nothing_left();
    });
}

#[test]
fn run_as() {
    on_each_image(|home, image| {
        home.run(example("run-as"), image).finish().exited(0).printed(&[
            "built by shopkeeper, prepared by root\n",
            "root sees a file of shopkeeper\n",
            "[Container] Phase complete: POST_BUILD State: SUCCEEDED\n",
        ]);
        home.assert_nothing_left();
    });
}

#[test]
fn secondary_sources() {
    on_each_image(|home, image| {
        let out = home.path("out");
        let mut theme = std::ffi::OsString::from("theme=");
        theme.push(example("secondary-sources/theme"));
        home.run(example("secondary-sources/site"), image)
            .arg("--secondary-source")
            .arg(theme)
            .arg("--artifacts")
            .arg(&out)
            .finish()
            .exited(0);
        let files = tree(&out);
        assert_eq!(
            files["index.html"],
            "<html><link rel=\"stylesheet\" href=\"style.css\"><body>\nWelcome to the shop.\n</body></html>\n"
        );
        assert_eq!(
            files.keys().collect::<Vec<_>>(),
            ["hours.html", "index.html", "style.css", "theme/style.css"]
        );
        home.assert_nothing_left();
    });
}

#[test]
fn c_library() {
    let Some(home) = home() else { return };
    let out = home.path("out");
    home.run(example("c-library"), DEBIAN).arg("--artifacts").arg(&out).finish().exited(0).printed(&[
        "libini 1.2.0\n",
        "9 tests, 0 failed\n",
        "8080\n",
    ]);
    let tarball = fs::read(out.join("libini-1.2.0.tar.gz")).unwrap();
    assert_eq!(tarball[..2], [0x1f, 0x8b], "a gzip file");
    let record = home.record(&home.build());
    assert_eq!(record.report("libini")["testSummary"]["total"], 9);
    assert_eq!(record.exported()["VERSION"], "1.2.0");
    home.assert_nothing_left();
}

#[test]
fn project() {
    on_each_image(|home, image| {
        let out = home.path("out");
        let settings = fs::read_to_string(example("project/project.json")).unwrap();
        assert!(settings.contains("\"image\": \"debian\""));
        let project = home.path("project.json");
        let (executor, image) = match SANDBOX {
            true => ("sandbox", root(image).display().to_string()),
            false => ("docker", image.to_owned()),
        };
        fs::write(&project, settings.replace("\"image\": \"debian\"", &format!("\"image\": \"{image}\"")))
            .unwrap();
        home.runspan(["run", "--executor", executor])
            .arg(example("project"))
            .arg("--project")
            .arg(&project)
            .args(["--env", "SENDER=me@example.com", "--artifacts"])
            .arg(&out)
            .finish()
            .exited(0)
            .printed(&[
                "News of the shop (weekly) from me@example.com\n",
                "project newsletter, build number 1\n",
            ]);
        assert_eq!(
            listing(&unzip(&out.join("issues/weekly-1.zip"))),
            "newsletter.txt: News of the shop (weekly) from me@example.com\n"
        );
        let record = home.record(&home.build());
        assert_eq!(record.0["projectName"], "newsletter");
        assert_eq!(record.0["environment"]["image"], image);
        assert_eq!(record.0["environment"]["computeType"], "BUILD_GENERAL1_SMALL");
        assert_eq!(record.0["timeoutInMinutes"], 10);
        home.assert_nothing_left();
    });
}

#[test]
fn a_compiler_is_missed_in_clear_words() {
    let Some(home) = home() else { return };
    home.run(example("c-library"), BUSYBOX).finish().exited(1).printed(&[
        "cc: not found\n",
        "[Container] Phase complete: PRE_BUILD State: SUCCEEDED\n",
        "[Container] Command did not exit successfully make -j2 exit status 127\n",
        "[Container] Phase context status code: COMMAND_EXECUTION_ERROR \
         Message: Error while executing command: make -j2. Reason: exit status 127\n",
    ]);
    assert_eq!(home.record(&home.build()).context("BUILD").0, "COMMAND_EXECUTION_ERROR");
    home.assert_nothing_left();
}

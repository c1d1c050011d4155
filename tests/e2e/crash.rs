//! The supervising process dies at any moment: what the record says, what remains, and what another one makes of it.

use std::hash::{BuildHasher, RandomState};

use crate::harness::{BUILD_LIMIT, BUSYBOX, Home, Running, home, normalise, wait_until};

/// Some seconds of output in every phase, with artifacts and exported variables.
const TALKATIVE: &str = r#"version: 0.2
env:
  exported-variables: [SUM]
phases:
  install:
    commands:
      - for i in $(seq 1 200); do echo "install $i"; done
  pre_build:
    commands:
      - for i in $(seq 1 20); do echo "pre_build $i"; usleep 10000; done
  build:
    commands:
      - for i in $(seq 1 100); do echo "build $i"; usleep 10000; done
      - SUM=0; for i in $(seq 1 20000); do SUM=$((SUM + i)); echo "quick $i $SUM"; done
      - for i in $(seq 1 30); do echo "slow $i"; usleep 20000; done
    finally:
      - echo "the sum is $SUM"
  post_build:
    commands:
      - echo "$SUM" > sum.txt
      - for i in $(seq 1 50); do echo "post_build $i"; usleep 10000; done
artifacts:
  files: [sum.txt]
"#;

/// Texts whose place in the log is spread over the whole build.
const MOMENTS: [&str; 12] = [
    "Phase is DOWNLOAD_SOURCE",
    "Entering phase INSTALL",
    "\ninstall 150\n",
    "\npre_build 7\n",
    "\nbuild 31\n",
    "\nbuild 90\n",
    "\nquick 12345 ",
    "\nslow 15\n",
    "the sum is 200010000\n",
    "\npost_build 25\n",
    "Expanding base directory path",
    "Phase complete: UPLOAD_ARTIFACTS",
];

/// Of [`MOMENTS`]: when the sources go in, and when the artifacts come out.
const FILES_IN: usize = 0;
const FILES_OUT: usize = 10;

fn random(below: usize) -> usize {
    RandomState::new().hash_one(()) as usize % below
}

fn start(home: &Home) -> Running {
    let source = home.source("talkative", [("buildspec.yml", TALKATIVE)]);
    home.run(&source, BUSYBOX).start()
}

#[test]
fn a_build_whose_supervisor_died_goes_on_with_another() {
    let Some(undisturbed) = home() else { return };
    let expected = normalise(&start(&undisturbed).finish().exited(0).text());

    for sure in [Some(FILES_IN), Some(FILES_OUT), None] {
        let Some(home) = home() else { return };
        // Moments in the order of the log; the last supervisor sees the build to its end.
        let mut moments: Vec<_> =
            std::iter::repeat_with(|| random(MOMENTS.len())).take(2).chain(sure).collect();
        moments.sort_unstable();
        moments.dedup();
        let note = format!("killed at {:?}", moments.iter().map(|&index| MOMENTS[index]).collect::<Vec<_>>());
        eprintln!("{note}");
        let mut running = start(&home);
        let build = home.build();
        for &moment in &moments {
            running.wait_for(MOMENTS[moment]);
            running.kill();
            running = home.runspan(["builds", "attach", &build]).start();
        }
        let last = running.finish().exited(0);
        assert_eq!(normalise(&last.text()), expected, "printed, {note}");
        assert_eq!(normalise(&home.log(&build)), expected, "kept, {note}");
        let record = home.record(&build);
        assert_eq!(record.status(), "SUCCEEDED", "{note}");
        assert_eq!(record.exported()["SUM"], "200010000", "{note}");
        assert_eq!(record.0["artifacts"]["files"], 1, "{note}");
        home.assert_nothing_left();
    }
}

/// Makes an artifact, a report that is soon read, and one that takes its time.
const REPORTING: &str = r#"version: 0.2
phases:
  build:
    commands:
      - echo made > made.txt
      - echo "<testsuite><testcase name='small'/></testsuite>" > small.xml
      - (cat small.xml; yes '                                                  ' | head -c 60000000) > large.xml
artifacts: { files: [made.txt] }
reports:
  a: { files: [small.xml], file-format: JUNITXML }
  b: { files: [large.xml], file-format: JUNITXML }
"#;

#[test]
fn what_a_dead_supervisor_had_without_a_record_of_it_is_asked_for_again() {
    let Some(home) = home() else { return };
    let source = home.source("reporting", [("buildspec.yml", REPORTING)]);
    let running = home.run(source, BUSYBOX).start();
    let build = home.build();
    let made = home.state().join("builds").join(&build).join("artifacts/made.txt");
    wait_until("the artifact is made", BUILD_LIMIT, || made.exists().then_some(()));
    // Most often the small report has come by then, and the large one is on its way.
    std::thread::sleep(std::time::Duration::from_millis(50));
    running.kill();
    home.runspan(["builds", "attach", &build]).finish().exited(0);
    let record = home.record(&build);
    assert_eq!(record.0["artifacts"]["files"], 1, "{record}");
    let reports: Vec<_> = record.0["reports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|report| (report["status"].as_str().unwrap(), report["testSummary"]["total"].as_u64().unwrap()))
        .collect();
    assert_eq!(reports, [("SUCCEEDED", 1), ("SUCCEEDED", 1)], "{record}");
    home.assert_nothing_left();
}

#[test]
fn a_record_says_that_its_supervisor_died_and_the_next_run_sweeps() {
    let Some(home) = home() else { return };
    let running = start(&home);
    running.wait_for("\nbuild 31\n");
    let build = home.build();
    running.kill();
    assert_ne!(home.leftovers(&build), Vec::<String>::new(), "the container was there");
    home.runspan(["builds", "show", &build]).finish().exited(0).printed(&[
        "IN_PROGRESS",
        "supervis",
        "runspan builds attach",
    ]);

    let hello =
        home.source("hello", [("buildspec.yml", "version: 0.2\nphases: {build: {commands: [echo next]}}\n")]);
    home.run(&hello, BUSYBOX).finish().exited(0).printed(&["\nnext\n"]);
    home.assert_nothing_left();
    let record = home.record(&build);
    assert!(["FAULT", "FAILED", "STOPPED", "SUCCEEDED"].contains(&record.status()), "{record}");
    if record.status() == "FAULT" {
        let shown = home.runspan(["builds", "show", &build]).finish().exited(0);
        assert!(shown.text().contains("supervis"), "{shown}");
    }
}

#[test]
fn doctor_names_a_dead_build_and_leaves_it_to_be_attached() {
    let Some(home) = home() else { return };
    let running = start(&home);
    running.wait_for("\npre_build 7\n");
    let build = home.build();
    running.kill();
    home.runspan(["doctor"]).finish().exited(0).printed(&["the supervisor is gone of talkative:"]);
    home.runspan(["builds", "attach", &build]).finish().exited(0).printed(&["\npost_build 50\n"]);
    home.assert_nothing_left();
}

#[test]
fn a_dead_build_is_stopped_by_name() {
    let Some(home) = home() else { return };
    let running = start(&home);
    running.wait_for("\nbuild 31\n");
    let build = home.build();
    running.kill();
    home.runspan(["builds", "stop", &build]).finish().exited(0);
    assert_eq!(home.record(&build).status(), "STOPPED");
    home.assert_nothing_left();
}

#[test]
fn a_live_build_is_not_swept_by_others() {
    let (Some(mine), Some(theirs)) = (home(), home()) else { return };
    let running = start(&mine);
    running.wait_for("\npre_build 7\n");
    // Another process of the same state directory, and one of another.
    mine.runspan(["doctor"]).finish().exited(0);
    theirs.runspan(["doctor"]).finish().exited(0);
    running.finish().exited(0).printed(&["\npost_build 50\n"]);
    mine.assert_nothing_left();
}

//! Builds that are ended: by Ctrl-C, from another process, by their time.

use rustix::process::Signal;

use crate::harness::{BUSYBOX, IMAGES, home, stop_container};

/// A build that would go on for an hour, with children that will not hear of TERM.
const ENDLESS: &str = "version: 0.2
phases:
  build:
    commands:
      - echo on the way
      - |
        (trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 3600') &
        echo deaf; sleep 3600
    finally:
      - echo finally is not run when somebody stops the build
  post_build:
    commands:
      - echo nor is post_build
artifacts:
  files: ['*']
";

#[test]
fn ctrl_c_stops_the_build_and_leaves_nothing() {
    for image in IMAGES {
        let Some(home) = home() else { return };
        let source = home.source("endless", [("buildspec.yml", ENDLESS)]);
        let running = home.run(&source, image).start();
        running.wait_for("\ndeaf\n");
        running.signal(Signal::INT);
        running.finish().exited(130).did_not_print("\nnor is post_build");
        let record = home.record(&home.build());
        assert_eq!(record.status(), "STOPPED");
        assert!(record.phases().contains(&"BUILD STOPPED".to_owned()), "{record}");
        home.assert_nothing_left();
    }
}

#[test]
fn term_stops_like_ctrl_c_and_a_second_ctrl_c_does_not_wait() {
    let Some(home) = home() else { return };
    let source = home.source("endless", [("buildspec.yml", ENDLESS)]);
    let running = home.run(&source, BUSYBOX).start();
    running.wait_for("\ndeaf\n");
    running.signal(Signal::TERM);
    running.signal(Signal::INT);
    running.finish().exited(130);
    assert_eq!(home.record(&home.build()).status(), "STOPPED");
    home.assert_nothing_left();
}

#[test]
fn a_build_is_stopped_from_another_process() {
    let Some(home) = home() else { return };
    let source = home.source("endless", [("buildspec.yml", ENDLESS)]);
    let running = home.run(&source, BUSYBOX).start();
    running.wait_for("\ndeaf\n");
    let build = home.build();
    home.runspan(["builds", "stop", &build]).finish().exited(0);
    // It waits until the build is over, so this is no race.
    assert_eq!(home.record(&build).status(), "STOPPED");
    running.finish().exited(130);
    home.runspan(["builds", "stop", &build]).finish().exited(0);
    home.assert_nothing_left();
}

#[test]
fn a_stopped_container_is_a_stopped_build() {
    let Some(home) = home() else { return };
    let source = home.source("endless", [("buildspec.yml", ENDLESS)]);
    let running = home.run(&source, BUSYBOX).start();
    running.wait_for("\ndeaf\n");
    stop_container(&home.build());
    running.finish().did_not_print("\nnor is post_build");
    let record = home.record(&home.build());
    assert_eq!(record.status(), "STOPPED");
    assert!(record.phases().contains(&"BUILD STOPPED".to_owned()), "{record}");
    home.assert_nothing_left();
}

#[test]
fn a_build_ends_when_its_time_is_over() {
    let Some(home) = home() else { return };
    let source = home.source("endless", [("buildspec.yml", ENDLESS)]);
    home.run(&source, BUSYBOX)
        .args(["--timeout", "1"])
        .finish()
        .exited(1)
        .printed(&["\ndeaf\n"])
        .did_not_print("\nnor is post_build");
    let record = home.record(&home.build());
    assert_eq!(record.status(), "TIMED_OUT");
    assert_eq!(record.context("BUILD"), ("BUILD_TIMED_OUT".into(), "Build has timed out. ".into()));
    home.assert_nothing_left();
}

#[test]
fn a_build_is_stopped_while_it_unpacks_its_source() {
    let Some(home) = home() else { return };
    let source = home.source("large", [("buildspec.yml", ENDLESS)]);
    std::fs::write(source.join("large"), vec![7; 256 << 20]).unwrap();
    let running = home.run(&source, BUSYBOX).start();
    running.wait_for("Phase is DOWNLOAD_SOURCE");
    running.signal(Signal::INT);
    running.finish().exited(130);
    assert_eq!(home.record(&home.build()).status(), "STOPPED");
    home.assert_nothing_left();
}

#[test]
fn a_background_process_does_not_hold_the_build() {
    for image in IMAGES {
        let Some(home) = home() else { return };
        let buildspec = "version: 0.2
phases:
  build:
    commands:
      - nohup sh -c 'echo in the background; sleep 3600' &
      - echo in the foreground
";
        let source = home.source("background", [("buildspec.yml", buildspec)]);
        home.run(&source, image).finish().exited(0).printed(&["\nin the foreground\n"]);
        home.assert_nothing_left();
    }
}

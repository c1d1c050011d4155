//! Builds that wait for somebody: breakpoints, failures, and the shell inside.

use crate::harness::{BUSYBOX, IMAGES, example, home};

#[test]
fn a_breakpoint_waits_for_codebuild_resume() {
    for image in IMAGES {
        let Some(home) = home() else { return };
        let running = home.run(example("breakpoint"), image).arg("--debug-session").start();
        running.wait_for_stderr("runspan shell");
        let build = home.build();
        assert_eq!(home.record(&build).status(), "IN_PROGRESS");
        // The shell stands where the build stands, with its variables, and hands on its exit status.
        home.runspan(["shell", &build, "--", "echo \"$ANSWER\" in \"$PWD\"; exit 7"])
            .finish()
            .exited(7)
            .printed(&["41 in /codebuild/output/srcN/src\n"]);
        home.runspan(["shell", &build, "--", "echo the answer is 42 > answer.txt; codebuild-resume"])
            .finish()
            .exited(0);
        running.finish().exited(0).printed(&["codebuild-breakpoint\n", "\nthe answer is 42\n"]);
        home.assert_nothing_left();
    }
}

#[test]
fn a_breakpoint_without_a_debug_session_does_nothing() {
    for image in IMAGES {
        let Some(home) = home() else { return };
        home.run(example("breakpoint"), image).finish().exited(0).printed(&["\nthe answer is 41\n"]);
        home.assert_nothing_left();
    }
}

#[test]
fn a_failure_waits_when_asked_to() {
    let Some(home) = home() else { return };
    let buildspec = "version: 0.2
phases:
  build:
    commands:
      - WHY=nothing
      - test -f wanted
    finally:
      - echo finally
";
    let source = home.source("failing", [("buildspec.yml", buildspec)]);
    let running = home.run(&source, BUSYBOX).arg("--shell-on-failure").start();
    running.wait_for_stderr("runspan shell");
    let build = home.build();
    home.runspan(["shell", &build, "--", "echo because of $WHY; codebuild-resume"])
        .finish()
        .exited(0)
        .printed(&["because of nothing\n"]);
    // What failed has failed: it goes on with `finally`.
    running
        .finish()
        .exited(1)
        .printed(&["Command did not exit successfully test -f wanted exit status 1\n", "\nfinally\n"]);
    home.assert_nothing_left();
}

#[test]
fn a_paused_build_can_be_stopped() {
    let Some(home) = home() else { return };
    let running = home.run(example("breakpoint"), BUSYBOX).arg("--debug-session").start();
    running.wait_for_stderr("runspan shell");
    home.runspan(["builds", "stop", &home.build()]).finish().exited(0);
    running.finish().exited(130);
    home.assert_nothing_left();
}

#[test]
fn a_shell_opens_while_the_build_runs_and_not_after() {
    let Some(home) = home() else { return };
    let buildspec = "version: 0.2\nphases: {build: {commands: ['echo waiting; until [ -f go ]; do usleep 10000; done']}}\n";
    let source = home.source("waiting", [("buildspec.yml", buildspec)]);
    let running = home.run(&source, BUSYBOX).start();
    running.wait_for("\nwaiting\n");
    let build = home.build();
    home.runspan(["shell", &build, "--", "touch \"$CODEBUILD_SRC_DIR/go\""]).finish().exited(0);
    running.finish().exited(0);
    home.runspan(["shell", &build]).finish().exited(2).explained(&[&build[..8]]);
    home.assert_nothing_left();
}

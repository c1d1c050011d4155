//! Stops, timeouts, pauses, and what is left of processes.

use std::time::Duration;

use runspan_agent_protocol::{Event, Pause, PhaseEnd, Reply, StopReason, Verb};

use crate::supervisor::{Rig, phase, processes_with};

/// Every way to get away from a shell.
fn fugitives(mark: &str) -> String {
    format!(
        "setsid sh -c 'trap \"\" TERM; (setsid sleep 77{mark} &) ; sleep 78{mark}' & \
         (trap '' TERM; (sleep 79{mark} &) &) & nohup sleep 76{mark} >/dev/null 2>&1 & \
         trap '' TERM HUP; echo started; sleep 75{mark}; sleep 74{mark}"
    )
}

fn left(mark: &str) -> usize {
    processes_with(&format!("{mark}\0")).len()
}

fn rigs() -> Vec<Rig> {
    let child = Rig::start();
    let mut rigs = vec![child];
    rigs.extend(Rig::start_as_init());
    rigs
}

#[test]
fn nothing_outlives_a_stop() {
    for mut rig in rigs() {
        rig.configure(|_| {});
        let mark = rig.agent_id().to_string();
        let run = rig.send(Verb::RunPhase(phase(&[fugitives(&mark).as_str()], &["echo never"])));
        rig.wait_for_log("\nstarted\n");
        let next = rig.send(Verb::RunPhase(phase(&["echo not this either"], &[] as &[&str])));
        rig.stop(StopReason::Stopped, 300);
        let ended = Ok(Reply::Phase(PhaseEnd::Ended(StopReason::Stopped)));
        assert_eq!(rig.done(run), ended);
        assert_eq!(rig.done(next), ended, "a stop ends what was asked for before it");
        assert_eq!(left(&mark), 0);
        assert!(!rig.log().contains("\nnever") && !rig.log().contains("\nnot this"), "{}", rig.log());
        // The agent still serves.
        assert_eq!(rig.run(&["echo after"]), PhaseEnd::Succeeded);
        assert!(rig.finish().success());
    }
}

#[test]
fn a_stop_gives_time_to_clean_up() {
    for mut rig in rigs() {
        rig.configure(|_| {});
        let order = phase(
            &["trap 'echo cleaned up; exit 0' TERM; echo started; while :; do sleep 0.05; done"],
            &[] as &[&str],
        );
        let run = rig.send(Verb::RunPhase(order));
        rig.wait_for_log("\nstarted\n");
        rig.stop(StopReason::Stopped, 30_000);
        assert_eq!(rig.done(run), Ok(Reply::Phase(PhaseEnd::Ended(StopReason::Stopped))));
        assert!(rig.log().contains("\ncleaned up\n"), "{}", rig.log());
    }
}

#[test]
fn a_fork_bomb_ends() {
    let Some(mut rig) = Rig::start_as_init() else { return };
    rig.configure(|_| {});
    let mark = rig.agent_id().to_string();
    let bomb = format!(
        "echo started; f() {{ n=$1; [ $n -gt 6 ] || {{ f $((n+1)) & f $((n+1)) & }}; sleep 66{mark}; }}; f 0"
    );
    let run = rig.send(Verb::RunPhase(phase(&[bomb.as_str()], &[] as &[&str])));
    rig.wait_for_log("\nstarted\n");
    rig.stop(StopReason::Stopped, 0);
    assert_eq!(rig.done(run), Ok(Reply::Phase(PhaseEnd::Ended(StopReason::Stopped))));
    assert_eq!(left(&mark), 0);
}

#[test]
fn the_builds_own_time_ends_it() {
    let mut rig = Rig::configured(|configure| configure.timeout_seconds = 1);
    let mark = rig.agent_id().to_string();
    let end = rig.run(&[format!("setsid sleep 55{mark} & sleep 54{mark}").as_str()]);
    assert_eq!(end, PhaseEnd::Ended(StopReason::TimedOut));
    assert_eq!(left(&mark), 0);
    assert_eq!(rig.run(&["echo never"]), PhaseEnd::Ended(StopReason::TimedOut));
    assert!(rig.ask(Verb::Evaluate(vec!["x".into()])).unwrap_err().contains("time is over"));
    assert!(rig.finish().success());
}

#[test]
fn a_term_from_outside_is_told_and_ends_nothing_by_itself() {
    let mut rig = Rig::configured(|_| {});
    let run = rig.send(Verb::RunPhase(phase(&["echo started; sleep 1; echo ended"], &[] as &[&str])));
    rig.wait_for_log("\nstarted\n");
    let agent = rustix::process::Pid::from_raw(rig.agent_id().cast_signed()).unwrap();
    rustix::process::kill_process(agent, rustix::process::Signal::TERM).unwrap();
    rig.wait_for("the wish to stop", |events| events.contains(&Event::StopAsked).then_some(()));
    assert_eq!(rig.done(run), Ok(Reply::Phase(PhaseEnd::Succeeded)));
    assert!(rig.finish().success());
}

#[test]
fn a_stop_ends_an_evaluation() {
    let mut rig = Rig::configured(|_| {});
    let id = rig.send(Verb::Evaluate(vec!["$(echo begun >&2; sleep 1000)".into()]));
    rig.wait_for_log("begun");
    rig.stop(StopReason::Stopped, 0);
    assert!(rig.done(id).unwrap_err().contains("stopped"));
}

#[test]
fn finish_leaves_nothing() {
    for mut rig in rigs() {
        rig.configure(|_| {});
        let mark = rig.agent_id().to_string();
        rig.run(&[
            format!("setsid sleep 44{mark} & nohup sh -c 'trap \"\" TERM; sleep 43{mark}; :' & :").as_str()
        ]);
        assert!(rig.finish().success());
        assert_eq!(left(&mark), 0);
    }
}

#[test]
fn ten_thousand_orphans_leave_no_zombie_and_no_descriptor() {
    let Some(mut rig) = Rig::start_as_init() else { return };
    rig.configure(|_| {});
    rig.run(&["ls /proc/1/fd | wc -l > ../before"]);
    rig.run(&["i=0; while [ $i -lt 2500 ]; do (: & : & : & : &); i=$((i+1)); done; exit 9"]);
    assert!(rig.log().contains("exit status 9\n"));
    rig.run(&[
        "sleep 0.5; ls /proc/1/fd | wc -l > ../after; grep -l '^State:.Z' /proc/[0-9]*/status > ../zombies",
    ]);
    let read = |name: &str| std::fs::read_to_string(rig.path(name)).unwrap();
    assert_eq!(read("zombies"), "");
    assert_eq!(read("before"), read("after"));
}

#[test]
fn children_inherit_nothing_of_the_agents() {
    let Some(mut rig) = Rig::start_as_init() else { return };
    rig.configure(|_| {});
    assert_eq!(
        rig.prints(&[
            "for fd in /proc/$$/fd/*; do readlink $fd; done | grep -v -e pipe: -e /dev/null -e script.sh"
        ]),
        ""
    );
}

#[test]
fn breakpoints_pause_and_resume() {
    let mut rig = Rig::configured(|configure| configure.breakpoints = true);
    let run =
        rig.send(Verb::RunPhase(phase(&["echo before; codebuild-breakpoint; echo after"], &[] as &[&str])));
    let paused = |n: usize| {
        move |events: &[Event]| {
            (events.iter().filter(|e| matches!(e, Event::Paused(Pause::Breakpoint))).count() == n)
                .then_some(())
        }
    };
    rig.wait_for("a pause", paused(1));
    assert!(rig.log().contains("\nbefore\n") && !rig.log().contains("\nafter\n"));
    rig.send(Verb::Resume);
    assert_eq!(rig.done(run), Ok(Reply::Phase(PhaseEnd::Succeeded)));
    assert!(rig.log().contains("\nafter\n"));
    // From inside, by the other command.
    let commands = ["(sleep 0.5; codebuild-resume) & codebuild-breakpoint"];
    assert_eq!(rig.run(&commands), PhaseEnd::Succeeded);
    rig.wait_for("two resumes", |events| {
        (events.iter().filter(|event| matches!(event, Event::Resumed)).count() == 2).then_some(())
    });
    // A stop ends a pause.
    let run = rig.send(Verb::RunPhase(phase(&["codebuild-breakpoint"], &[] as &[&str])));
    rig.wait_for("a pause", paused(3));
    rig.stop(StopReason::Stopped, 0);
    assert_eq!(rig.done(run), Ok(Reply::Phase(PhaseEnd::Ended(StopReason::Stopped))));
}

#[test]
fn breakpoints_do_nothing_when_off() {
    let mut rig = Rig::configured(|_| {});
    assert_eq!(rig.run(&["codebuild-breakpoint", "codebuild-resume"]), PhaseEnd::Succeeded);
    assert!(rig.log().contains("codebuild-breakpoint: the build was not started with debugging"));
    assert!(!rig.events().iter().any(|event| matches!(event, Event::Paused(_))));
}

#[test]
fn a_failure_pauses_when_asked() {
    let mut rig = Rig::configured(|configure| configure.pause_on_failure = true);
    let run = rig.send(Verb::RunPhase(phase(&["false"], &["echo finally"])));
    rig.wait_for("a pause", |events| {
        events.iter().find(|event| matches!(event, Event::Paused(Pause::Failure))).map(|_| ())
    });
    std::thread::sleep(Duration::from_millis(100));
    assert!(!rig.log().contains("\nfinally"));
    rig.send(Verb::Resume);
    assert!(matches!(rig.done(run), Ok(Reply::Phase(PhaseEnd::Failed { .. }))));
    assert!(rig.log().contains("\nfinally\n"));
}

#[test]
fn samples_come_in_their_interval() {
    let rig = Rig::configured(|configure| configure.sample_interval_ms = 20);
    rig.wait_for("samples", |events| {
        (events.iter().filter(|event| matches!(event, Event::Sample(_))).count() >= 3).then_some(())
    });
}

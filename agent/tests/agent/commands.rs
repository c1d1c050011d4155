//! Commands, their state and their log lines, under the shells that images have.

use crate::supervisor::{Rig, phase, write_executable};
use runspan_agent_protocol::{Event, Exit, PhaseEnd, Reply, Shell, Variable, Verb};
use std::io::Write as _;

/// The shells: `sh` and `bash` as they are here, and `sh` as busybox has it.
const SHELLS: [(&str, &str); 3] = [("sh", "/bin/sh"), ("bash", "/bin/bash"), ("busybox", "/usr/bin/busybox")];

/// Those of the shells that this machine has.
fn shells() -> Vec<&'static str> {
    let here = |(shell, path): (&'static str, &str)| {
        let here = std::path::Path::new(path).exists();
        if !here {
            assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{shell} is not at {path}");
            drop(writeln!(std::io::stderr(), "SKIPPED: {shell}, which is not at {path}"));
        }
        here.then_some(shell)
    };
    SHELLS.into_iter().filter_map(here).collect()
}

fn rig(shell: &str) -> Rig {
    rig_with(shell, &[])
}

fn rig_with(shell: &str, variables: &[(&str, &str)]) -> Rig {
    Rig::configured(|configure| {
        configure.environment.extend(variables.iter().map(|(name, value)| Variable::new(*name, *value)));
        match shell {
            "bash" => configure.shell = Shell::Bash,
            "busybox" => {
                let bin = std::path::Path::new(&configure.source_dir).parent().unwrap().join("busybox-bin");
                std::fs::create_dir(&bin).unwrap();
                std::os::unix::fs::symlink("/usr/bin/busybox", bin.join("sh")).unwrap();
                let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
                configure.environment.push(Variable::new("PATH", path));
            }
            _ => {}
        }
    })
}

fn failed(end: PhaseEnd) -> Exit {
    match end {
        PhaseEnd::Failed { exit, .. } => exit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn directory_and_variables_survive() {
    for shell in shells() {
        let mut rig = rig(shell);
        let commands = [
            "mkdir -p 'a dir' && cd 'a dir'",
            "export X=1; Y=2",
            "export M='two\nlines' Q=\"it's \\\"quoted\\\" \\$HOME \\`x\\`\"",
            "f() { echo f; }; alias ll=ls; set -x; umask 077",
            "unset MADE; MADE=1; unset MADE",
        ];
        assert_eq!(rig.run(&commands), PhaseEnd::Succeeded, "{shell}");
        assert!(rig.prints(&["pwd"]).ends_with("/src/a dir"), "{shell}");
        assert_eq!(rig.prints(&["echo $X $Y"]), "1 2", "{shell}");
        assert_eq!(
            rig.prints(&["printf '%s|%s\\n' \"$M\" \"$Q\""]),
            "two\nlines|it's \"quoted\" $HOME `x`",
            "{shell}"
        );
        assert_eq!(rig.prints(&["sh -c 'echo $Y'"]), "2", "exported by set -a, {shell}");
        assert_eq!(rig.prints(&["umask"]), "0022", "{shell}");
        assert_eq!(rig.prints(&["echo ${MADE-unset}"]), "unset", "{shell}");
        assert_eq!(failed(rig.run(&["f"])), Exit::Status(127), "{shell}");
    }
}

#[test]
fn a_variable_of_the_start_comes_back_after_unset() {
    for shell in shells() {
        let mut rig = rig_with(shell, &[("GIVEN", "given")]);
        let printed = rig.prints(&["unset GIVEN FROM_IMAGE", "echo $GIVEN $FROM_IMAGE"]);
        assert_eq!(printed, "given image value", "{shell}");
    }
}

#[test]
fn exit_and_set_e_lose_the_state_of_their_command() {
    for shell in shells() {
        let mut rig = rig(shell);
        assert_eq!(rig.run(&["export A=kept; cd /", "export A=lost; cd /tmp; exit 0"]), PhaseEnd::Succeeded);
        assert_eq!(rig.prints(&["echo $A $PWD"]), "kept /", "{shell}");
        assert_eq!(failed(rig.run(&["export A=lost; set -e; false; true"])), Exit::Status(1), "{shell}");
        assert_eq!(failed(rig.run(&["export A=lost; exit 42"])), Exit::Status(42), "{shell}");
        assert_eq!(rig.prints(&["echo $A"]), "kept", "{shell}");
        assert_eq!(rig.run(&["false\ntrue"]), PhaseEnd::Succeeded, "only the last statement counts, {shell}");
    }
}

#[test]
fn last_exit_and_traps() {
    for shell in shells() {
        let mut rig = rig(shell);
        rig.run(&["trap 'echo trapped' EXIT; (exit 3)"]);
        assert!(rig.log().contains("\ntrapped\n"), "{shell}");
        assert_eq!(rig.prints(&["echo $CODEBUILD_LAST_EXIT"]), "3", "{shell}");
    }
}

#[test]
fn read_only_variables_stay_so_in_bash_alone() {
    let mut bash = rig("bash");
    bash.run(&["readonly R=1"]);
    assert_eq!(failed(bash.run(&["R=2"])), Exit::Status(1));
    let mut dash = rig("sh");
    dash.run(&["readonly R=1; export R"]);
    assert_eq!(dash.prints(&["R=2; echo $R"]), "2");
}

#[test]
fn arrays_and_functions_are_lost_in_bash() {
    let mut rig = rig("bash");
    rig.run(&["arr=(1 2 3); declare -A map=([k]=v); f() { :; }; export -f f; shopt -s extglob"]);
    assert_eq!(
        rig.prints(&["echo \"<${arr[*]}><${map[k]}>\"; type -t f; shopt extglob"]),
        "<><>\nextglob        \toff"
    );
}

#[test]
fn a_deleted_directory_is_told_and_the_command_runs_in_the_source() {
    for shell in shells() {
        let mut rig = rig(shell);
        rig.run(&["mkdir gone && cd gone", "rmdir ../gone"]);
        let printed = rig.prints(&["pwd"]);
        assert!(printed.contains("gone"), "{shell}: {printed}");
        assert!(printed.ends_with("/src"), "{shell}: {printed}");
        assert!(rig.prints(&["echo $PWD"]).ends_with("/src"), "{shell}");
        rig.run(&["cd /tmp", "cd /"]);
        assert_eq!(rig.prints(&["cd -"]), "/tmp", "{shell}");
    }
}

#[test]
fn errors_name_line_four() {
    let dash = |line| format!("script.sh: {line}: nope: not found");
    let bash = |line| format!("script.sh: line {line}: nope: command not found");
    let busybox = |line| format!("script.sh: line {line}: nope: not found");
    for carry in [true, false] {
        for (shell, text) in [("sh", dash(4)), ("bash", bash(4)), ("busybox", busybox(4))] {
            let mut rig = rig(shell);
            if !carry {
                rig = Rig::start();
                let busybox = shell == "busybox";
                if busybox {
                    continue;
                }
                rig.configure(|configure| {
                    configure.carry_state = false;
                    configure.shell = if shell == "bash" { Shell::Bash } else { Shell::Sh };
                });
            }
            let end = rig.run(&["nope"]);
            assert_eq!(failed(end), Exit::Status(127), "{shell}");
            assert!(rig.log().contains(&format!("codebuild/output/tmp/{text}")), "{shell}: {}", rig.log());
        }
    }
}

#[test]
fn version_0_1_carries_nothing() {
    let mut rig = Rig::configured(|configure| configure.carry_state = false);
    rig.run(&["cd /; export X=1"]);
    assert!(rig.prints(&["echo \"<$X>$PWD\""]).ends_with("/src"));
    assert_eq!(
        rig.phase(&["false"], &["test $CODEBUILD_BUILD_SUCCEEDING = 0"]),
        PhaseEnd::Failed { command: "false".into(), exit: Exit::Status(1) }
    );
    assert!(rig.log().matches("did not exit successfully").count() == 1, "{}", rig.log());
}

#[test]
fn finally_runs_after_a_failure_and_sees_it() {
    for shell in shells() {
        let mut rig = rig(shell);
        let end = rig.phase(
            &["export A=1; echo $CODEBUILD_BUILD_SUCCEEDING", "export A=2; exit 7", "echo never"],
            &["echo finally $A $CODEBUILD_BUILD_SUCCEEDING", "false", "echo never"],
        );
        assert_eq!(end, PhaseEnd::Failed { command: "export A=2; exit 7".into(), exit: Exit::Status(7) });
        let log = rig.log();
        assert!(
            log.contains("\n1\n") && log.contains("\nfinally 1 0\n") && !log.contains("\nnever"),
            "{log}"
        );
        // A later phase is told by the engine.
        let mut later = phase(&["echo later $CODEBUILD_BUILD_SUCCEEDING"], &[] as &[&str]);
        later.succeeding = false;
        rig.ask(Verb::RunPhase(later)).unwrap();
        assert!(rig.log().contains("\nlater 0\n"), "{shell}");
        // A failure in `finally` alone fails the phase.
        let end = rig.phase(&["true"], &["exit 3"]);
        assert_eq!(failed(end), Exit::Status(3), "{shell}");
    }
}

#[test]
fn log_lines_are_codebuilds() {
    let mut rig = rig("sh");
    rig.ask(Verb::Log(vec!["Entering phase BUILD".into()])).unwrap();
    rig.phase(&["echo hi", "printf 'no end'; exit 2"], &["true"]);
    rig.ask(Verb::Log(vec!["Phase complete: BUILD State: FAILED".into()])).unwrap();
    let log = rig.log();
    let stamp = |line: &str| {
        let Some(rest) = line.strip_prefix("[Container] ") else { return line.to_owned() };
        let (stamp, text) = rest.split_at(27);
        assert!(
            stamp.bytes().zip(b"0000/00/00 00:00:00.000000 ".iter()).all(|(b, like)| match like {
                b'0' => b.is_ascii_digit(),
                other => b == *other,
            }),
            "{stamp}"
        );
        format!("[Container] {text}")
    };
    let lines: Vec<String> = log.lines().map(stamp).collect();
    assert_eq!(
        lines.join("\n"),
        "[Container] Entering phase BUILD\n\n\
         [Container] Running command echo hi\nhi\n\n\
         [Container] Running command printf 'no end'; exit 2\nno end\n\n\
         [Container] Command did not exit successfully printf 'no end'; exit 2 exit status 2\n\n\
         [Container] Running command true\n\n\
         [Container] Phase complete: BUILD State: FAILED"
    );
    let events: Vec<String> = rig
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::CommandStarted { index, finally, text } => Some(format!("{index} {finally} {text}")),
            Event::CommandEnded { index, finally, exit, .. } => Some(format!("{index} {finally} {exit:?}")),
            _ => None,
        })
        .collect();
    assert_eq!(
        events,
        [
            "0 false echo hi",
            "0 false Status(0)",
            "1 false printf 'no end'; exit 2",
            "1 false Status(2)",
            "0 true true",
            "0 true Status(0)",
        ]
    );
}

#[test]
fn stdout_and_stderr_keep_their_order_and_stdin_is_empty() {
    let mut rig = rig("sh");
    let printed =
        rig.prints(&["for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done; cat; echo end > /dev/stderr"]);
    assert_eq!(printed, "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\nend");
}

#[test]
fn a_background_process_neither_holds_up_nor_dies() {
    let mut rig = rig("sh");
    let marker = rig.path("stop");
    let command =
        format!("nohup sh -c 'while ! test -e {}; do echo tick; sleep 0.02; done' &", marker.display());
    assert_eq!(rig.run(&[&*command]), PhaseEnd::Succeeded);
    rig.run(&["echo next"]);
    let ticks = rig.log().matches("tick\n").count();
    rig.wait_for_output("more ticks", |log| log.matches("tick\n").count() > ticks + 5);
    std::fs::write(marker, "").unwrap();
}

#[test]
fn set_environment_wins_over_saved_variables_once() {
    for shell in shells() {
        let mut rig = rig(shell);
        rig.run(&["export A=mine B=\"multi\nline\""]);
        let variables = vec![Variable::new("A", "it's\ntheirs"), Variable::new("not.a.shell.name", "x")];
        rig.ask(Verb::SetEnvironment(variables)).unwrap();
        assert_eq!(rig.prints(&["echo \"$A\""]), "it's\ntheirs", "{shell}");
        rig.run(&["export A=again"]);
        assert_eq!(rig.prints(&["echo $A"]), "again", "{shell}");
        let names = vec!["A".into(), "B".into(), "UNSET".into(), "FROM_IMAGE".into()];
        assert_eq!(
            rig.ask(Verb::Export(names)),
            Ok(Reply::Variables(vec![
                ("A".into(), "again".into()),
                ("B".into(), "multi\nline".into()),
                ("FROM_IMAGE".into(), "image value".into()),
            ])),
            "{shell}"
        );
    }
}

#[test]
fn texts_are_expanded_as_between_double_quotes() {
    for shell in shells() {
        let mut rig = rig(shell);
        rig.run(&["export N='a  b' ; cd /tmp"]);
        let texts =
            ["plain 'x' \"y\" *", "$N-${UNSET:-none}", "$(pwd)/$(printf '%s' \"$N\")", "\\$N", "", "end\n"];
        let expanded = ["plain 'x' \"y\" *", "a  b-none", "/tmp/a  b", "$N", "", "end\n"];
        assert_eq!(
            rig.ask(Verb::Evaluate(texts.map(str::to_owned).to_vec())),
            Ok(Reply::Texts(expanded.map(str::to_owned).to_vec())),
            "{shell}"
        );
        let error = rig.ask(Verb::Evaluate(vec!["${UNSET?is not set}".into()])).unwrap_err();
        assert!(error.contains("${UNSET?"), "{shell}: {error}");
    }
}

#[test]
fn path_ends_with_the_helpers_and_home_is_root() {
    let mut rig = rig("sh");
    assert!(rig.prints(&["echo $PATH"]).ends_with("/codebuild/user/bin"));
    assert_eq!(rig.prints(&["echo $HOME"]), "/root");
    assert!(
        rig.prints(&["command -v codebuild-breakpoint"])
            .ends_with("/codebuild/user/bin/codebuild-breakpoint")
    );
}

#[test]
fn a_missing_bash_is_named() {
    let mut rig = Rig::configured(|configure| {
        configure.shell = Shell::Bash;
        configure.environment.push(Variable::new("PATH", "/nowhere"));
    });
    match failed(rig.run(&["true"])) {
        Exit::NotStarted(reason) => assert!(reason.starts_with("bash is not in the image"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_shell_that_cannot_start_is_no_exit_code() {
    let mut rig = Rig::start();
    let bin = rig.path("bin");
    std::fs::create_dir(&bin).unwrap();
    write_executable(&bin.join("sh"), "#!/nowhere/interpreter\n").unwrap();
    rig.configure(|configure| configure.environment.push(Variable::new("PATH", bin.to_str().unwrap())));
    match failed(rig.run(&["true"])) {
        Exit::NotStarted(reason) => {
            assert!(reason.contains("/bin/sh") && reason.contains("No such file"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    // The reaper and the next command are none the worse.
    std::fs::remove_file(bin.join("sh")).unwrap();
    assert_eq!(rig.run(&["true"]), PhaseEnd::Succeeded);
}

#[test]
fn death_by_signal_is_told() {
    let mut rig = rig("sh");
    assert_eq!(failed(rig.run(&["kill -9 $$"])), Exit::Signal(9));
    assert!(rig.log().contains("Command did not exit successfully kill -9 $$ killed by signal 9 (SIGKILL)"));
    assert_eq!(failed(rig.run(&["sh -c 'kill -SEGV $$'"])), Exit::Status(139));
}

#[test]
fn run_as_changes_the_user_and_keeps_home_and_state() {
    if !rustix::process::geteuid().is_root() {
        drop(writeln!(std::io::stderr(), "SKIPPED: changing the user needs root"));
        return;
    }
    for shell in shells() {
        let mut rig = rig(shell);
        rig.run(&["export A=root-made; chmod 777 ."]);
        let mut order = phase(
            &[
                "echo I am $(id -un) $(id -gn) at $HOME with $A > /dev/stderr",
                "export B=nobody-made; cd /tmp",
                "echo \"<$B>\" $PWD",
            ],
            &[] as &[&str],
        );
        order.run_as = Some("nobody".into());
        assert_eq!(
            rig.ask(Verb::RunPhase(order.clone())),
            Ok(Reply::Phase(PhaseEnd::Succeeded)),
            "{}",
            rig.log()
        );
        let log = rig.log();
        assert!(log.contains("\nI am nobody nogroup at /root with root-made\n"), "{shell}: {log}");
        assert!(log.contains("\n<nobody-made> /tmp\n"), "{shell}: {log}");
        assert_eq!(rig.prints(&["echo $B $PWD; id -u"]), "nobody-made /tmp\n0", "{shell}");
        order.run_as = Some("daemon".into());
        assert_eq!(
            rig.ask(Verb::RunPhase(order.clone())),
            Ok(Reply::Phase(PhaseEnd::Succeeded)),
            "{}",
            rig.log()
        );
        order.run_as = Some("no-such-user".into());
        match rig.ask(Verb::RunPhase(order)) {
            Ok(Reply::Phase(PhaseEnd::Failed { exit: Exit::NotStarted(reason), .. })) => {
                assert!(reason.contains("no-such-user"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn state_files_that_a_command_deletes_are_made_again() {
    let mut rig = rig("sh");
    assert_eq!(
        rig.run(&["export A=1", "rm -rf ../codebuild/output/tmp; exit 0", "echo ok", "export B=2"]),
        PhaseEnd::Succeeded
    );
    assert_eq!(rig.prints(&["echo $B"]), "2");
}

#[test]
fn a_large_environment_and_a_long_command_pass() {
    let mut rig = rig("sh");
    let long = format!("echo {}", "x".repeat(500_000));
    rig.run(&["export BIG=$(head -c 100000 /dev/zero | tr '\\0' b)"]);
    assert_eq!(rig.prints(&["echo ${#BIG}"]), "100000");
    assert_eq!(rig.prints(&[&long]).lines().last().map(str::len), Some(500_000));
}

#[test]
fn requests_before_their_time_are_refused() {
    let mut rig = Rig::start();
    assert!(
        rig.ask(Verb::RunPhase(phase(&["true"], &[] as &[&str]))).unwrap_err().contains("not configured")
    );
    rig.configure(|_| {});
    let again = Verb::Configure(Box::new(rig.configuration()));
    assert!(rig.ask(again).unwrap_err().contains("configured already"));
}

#[test]
fn files_are_read_up_to_their_limit() {
    let mut rig = rig("sh");
    let path = rig.path("file");
    std::fs::write(&path, b"\xff12").unwrap();
    let read =
        |path: &std::path::Path, max_bytes| Verb::ReadFile { path: path.to_str().unwrap().into(), max_bytes };
    assert_eq!(rig.ask(read(&path, 3)), Ok(Reply::File(Some(b"\xff12".to_vec()))));
    assert!(rig.ask(read(&path, 2)).unwrap_err().contains("larger than the 2 bytes"));
    assert_eq!(rig.ask(read(&rig.path("none"), 2)), Ok(Reply::File(None)));
}

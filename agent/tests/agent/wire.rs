//! What crosses the wire: complete, in order, masked, whatever happens to the connection.

use std::io::Write as _;
use std::time::Duration;

use runspan_agent_protocol::{Event, Exit, PhaseEnd, Reply, Verb};

use crate::supervisor::{Rig, phase, secrets};

#[test]
fn a_log_is_byte_identical_after_hundreds_of_cuts() {
    let mut rig = Rig::start();
    // A pseudo-random number of bytes per connection, from 1 to some thousands: also inside headers.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    rig.cut_connections(Box::new(move |connection| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let limit = if connection % 3 == 0 { 40 } else { 4000 };
        (connection <= 300).then_some(1 + usize::try_from(seed % limit).unwrap())
    }));
    rig.configure(|_| {});
    let mut expected = Vec::new();
    for round in 0..3 {
        let end =
            rig.run(&[format!("seq {round}000000 {round}030000").as_str(), "echo $CODEBUILD_LAST_EXIT"]);
        assert_eq!(end, PhaseEnd::Succeeded);
        expected.extend((round * 1_000_000..=round * 1_000_000 + 30_000).map(|n: u64| format!("{n}")));
        expected.push("0".into());
    }
    let log = rig.log();
    let printed: Vec<&str> = log.lines().filter(|l| !l.is_empty() && !l.starts_with("[Container]")).collect();
    assert!(printed == expected, "{} lines for {}", printed.len(), expected.len());
    assert!(rig.connections() > 200, "only {} connections", rig.connections());
    let answers = rig.events().iter().filter(|event| matches!(event, Event::Done { .. })).count();
    assert_eq!(answers, 4, "every request is answered once, though each was sent with every connection");
    assert!(rig.finish().success());
}

#[test]
fn repeated_requests_are_carried_out_once() {
    let mut rig = Rig::configured(|_| {});
    rig.run(&["echo once >> ../count"]);
    for _ in 0..5 {
        rig.repeat_requests();
    }
    rig.run(&["true"]);
    assert_eq!(std::fs::read_to_string(rig.path("count")).unwrap(), "once\n");
    assert!(rig.finish().success());
}

#[test]
fn a_request_may_come_after_one_with_a_higher_number() {
    let mut rig = Rig::configured(|_| {});
    let upcoming = rig.take_id();
    rig.ask(Verb::Log(vec!["the later one".into()])).unwrap();
    rig.send_as(upcoming, Verb::Log(vec!["the one before".into()]));
    assert_eq!(rig.done(upcoming), Ok(Reply::Nothing));
    assert!(rig.log().contains("the one before"), "{}", rig.log());
    assert!(rig.finish().success());
}

#[test]
fn secrets_never_cross_the_wire() {
    let secret = "s3cr3t/+Zz\"q'&x";
    let mut rig = Rig::start();
    let variables = vec![runspan_agent_protocol::Variable::new("TOKEN", secret)];
    rig.configure(|configure| {
        configure.mask = secrets(&[secret, "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n-----END KEY-----"]);
        configure.environment = variables;
        // Events come in between the pieces of a secret.
        configure.sample_interval_ms = 3;
    });
    let commands = [
        "printf '%s' \"$TOKEN\" | cut -c1-7 | tr -d '\\n'; sleep 0.2; printf '%s\\n' \"$TOKEN\" | cut -c8-",
        "for i in 1 2 3; do printf '%s' \"$TOKEN\" | fold -w1 | while IFS= read -r c; do printf '%s' \"$c\"; sleep 0.01; done; done",
        "printf %s \"$TOKEN\" | base64; printf 'a%s' \"$TOKEN\" | base64; printf 'ab%s' \"$TOKEN\" | base64",
        "printf %s \"$TOKEN\" | od -An -tx1 | tr -d ' \\n'; printf 'MIIEowIBAAKCAQEA and more'; env; export -p",
        "set -x; echo \"$TOKEN\"; echo done; exit 3",
    ];
    rig.run(&commands);
    let text = format!("echo {}", "s3cr3t/+Zz\\\"q\\'\\&x");
    rig.run(&[text.as_str(), "MIIEowIBAAKCAQEA"]);
    rig.ask(Verb::Log(vec![format!("the token is {secret}")])).unwrap();
    let path = rig.path("MIIEowIBAAKCAQEA");
    std::fs::create_dir(&path).unwrap();
    let error = rig.ask(Verb::ReadFile { path: path.to_str().unwrap().into(), max_bytes: 1 }).unwrap_err();
    assert!(error.ends_with("/***: Is a directory (os error 21)"), "{error}");
    let stream = String::from_utf8_lossy(&rig.stream()).into_owned();
    for form in [secret, "MIIEowIBAAKCAQEA", "czNjcjN0LytaeiJxJyZ4", "733363723374", "s3cr3t/+Zz\\\"q"] {
        assert!(!stream.contains(form) && !rig.log().contains(form), "{form} is in:\n{}", rig.log());
    }
    assert!(rig.log().contains("done\n") && rig.log().contains("the token is ***\n"), "{}", rig.log());
    // The engine itself is told the truth.
    assert_eq!(
        rig.ask(Verb::Export(vec!["TOKEN".into()])),
        Ok(Reply::Variables(vec![("TOKEN".into(), secret.into())]))
    );
}

#[test]
fn bytes_pass_as_they_are() {
    let mut rig = Rig::configured(|_| {});
    rig.run(&["printf 'a\\000b\\377\\376\\r50%%\\r100%%\\033[1m\\n'"]);
    let output = rig.output();
    let printed: &[u8] = b"\na\0b\xff\xfe\r50%\r100%\x1b[1m\n";
    assert!(output.windows(printed.len()).any(|window| window == printed));
}

#[test]
fn a_huge_line_passes_whole() {
    let mut rig = Rig::configured(|configure| configure.mask = secrets(&["never printed"]));
    let before = rig.output().len();
    rig.run(&["head -c 100000000 /dev/zero | tr '\\0' x"]);
    let output = rig.output();
    assert_eq!(output[before..].iter().filter(|byte| **byte == b'x').count(), 100_000_000 + 1);
    assert!(rig.finish().success());
}

#[test]
fn an_acknowledged_spool_takes_no_disk() {
    use std::os::unix::fs::MetadataExt as _;
    let mut rig = Rig::configured(|_| {});
    rig.run(&["head -c 50000000 /dev/zero | tr '\\0' x"]);
    rig.run(&["true"]);
    let spool = rig.path("codebuild/run/spool").metadata().unwrap();
    assert!(spool.len() > 50_000_000 && spool.blocks() * 512 < 8 << 20, "{} blocks", spool.blocks());
    assert_eq!(spool.mode() & 0o777, 0o600);
}

#[test]
fn a_supervisor_that_never_returns_ends_the_agent() {
    let mut rig = Rig::configured(|configure| configure.orphan_seconds = 1);
    let marker = format!("31{}", rig.agent_id());
    rig.send(Verb::RunPhase(phase(
        &[format!("setsid sleep {marker} & sleep {marker}").as_str()],
        &[] as &[&str],
    )));
    rig.wait_for_log("Running command");
    rig.leave();
    assert_eq!(rig.ended().code(), Some(3));
    assert!(crate::supervisor::processes_with(&format!("sleep\0{marker}")).is_empty());
    let spool =
        String::from_utf8_lossy(&std::fs::read(rig.path("codebuild/run/spool")).unwrap()).into_owned();
    assert!(
        spool.contains("No supervisor came back for 1 seconds") && spool.contains(r#""ended":"stopped""#)
    );
}

#[test]
fn a_full_disk_costs_output_but_never_an_exit_code() {
    let dir = tempfile::Builder::new().prefix("rs").tempdir_in("/tmp").unwrap();
    let run_dir = dir.path().join("codebuild/run");
    std::fs::create_dir_all(&run_dir).unwrap();
    let mount = |arguments: &[&str]| {
        std::process::Command::new(arguments[0])
            .args(&arguments[1..])
            .arg(&run_dir)
            .status()
            .is_ok_and(|s| s.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs"]) {
        drop(writeln!(std::io::stderr(), "SKIPPED: mounting a small tmpfs needs root"));
        return;
    }
    let result = std::panic::catch_unwind(|| {
        let mut rig = Rig::start_in(dir, crate::supervisor::As::Child);
        rig.acknowledge(false);
        rig.configure(|_| {});
        let end = rig.run(&["head -c 8000000 /dev/zero | tr '\\0' x; exit 7"]);
        assert_eq!(
            end,
            PhaseEnd::Failed {
                command: "head -c 8000000 /dev/zero | tr '\\0' x; exit 7".into(),
                exit: Exit::Status(7)
            }
        );
        assert!(
            rig.log().contains("bytes of output are missing here: no space was left"),
            "no word of the loss"
        );
        // Acknowledgements make room, and the log goes on.
        rig.acknowledge(true);
        rig.ask(Verb::Log(vec!["x".into()])).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        rig.run(&["echo complete again"]);
        assert!(rig.log().contains("\ncomplete again\n"));
        assert!(rig.finish().success());
    });
    assert!(mount(&["umount", "-l"]));
    result.unwrap();
}

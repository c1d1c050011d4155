//! What goes on beside commands: shells for people, blobs, memory.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::process::Command as Process;

use runspan_agent_protocol::{
    Collect, CollectLog, End, Exit, Hello, Kind, PROTOCOL, Packaging, PhaseEnd, Purpose, Reply, StopReason,
    Unpack, Verb, decode, read_frame, write_frame, write_json,
};

use crate::supervisor::{ATTEMPT, As, Rig};

/// A shell's printed bytes and its end, after this input.
fn shell(rig: &Rig, attempt: &str, rows: u16, command: Option<&str>, input: &[&[u8]]) -> (String, End) {
    let mut stream = UnixStream::connect(rig.path("codebuild/run/shell.sock")).unwrap();
    let purpose =
        Purpose::Shell { rows, columns: 80, term: "vt100".into(), command: command.map(str::to_owned) };
    let hello = Hello { protocol: PROTOCOL, attempt: attempt.into(), purpose };
    write_json(&mut stream, Kind::Hello, &hello).unwrap();
    for piece in input {
        write_frame(&mut stream, Kind::Data, piece).unwrap();
    }
    if rows == 0 {
        write_json(&mut stream, Kind::End, &End::Complete).unwrap();
    } else {
        write_frame(&mut stream, Kind::Resize, &[33, 0, 99, 0]).unwrap();
    }
    let (mut printed, mut payload) = (Vec::new(), Vec::new());
    loop {
        match read_frame(&mut stream, &mut payload).unwrap() {
            Some(Kind::Data) => printed.extend_from_slice(&payload),
            Some(Kind::End) => break,
            other => panic!("{other:?}"),
        }
    }
    (String::from_utf8_lossy(&printed).into_owned(), decode(&payload).unwrap())
}

#[test]
fn a_shell_has_the_builds_state() {
    let mut rig = Rig::configured(|_| {});
    rig.run(&["mkdir deep && cd deep; export CARRIED='by the build'"]);
    let (printed, end) =
        shell(&rig, ATTEMPT, 0, Some("echo \"$CARRIED\" ${PWD##*/}; cat; exit 4"), &[b"typed\n"]);
    assert_eq!((printed.as_str(), end), ("by the build deep\ntyped\n", End::Exited(4)));
    let (_, end) = shell(&rig, "another attempt", 0, None, &[]);
    assert!(matches!(end, End::Failed(reason) if reason.contains("another attempt")));
    assert!(!rig.log().contains("typed"), "a shell's output is no part of the log");
}

#[test]
fn a_shell_on_a_terminal_is_interactive() {
    let mut rig = Rig::configured(|_| {});
    rig.run(&["export CARRIED=here"]);
    let input: [&[u8]; 2] =
        [b"test -t 0 && tty && echo \"<$CARRIED $TERM>\"\n", b"sleep 0.3; stty size; exit 6\n"];
    let (printed, end) = shell(&rig, ATTEMPT, 24, None, &input);
    assert_eq!(end, End::Exited(6), "{printed}");
    for text in ["/dev/pts/", "<here vt100>", "33 99"] {
        assert!(printed.contains(text), "{text} is not in {printed}");
    }
}

fn collect(files: &[&str]) -> Verb {
    Verb::Collect(Collect {
        base_directory: String::new(),
        files: files.iter().map(|&file| file.to_owned()).collect(),
        exclude: vec![],
        discard_paths: false,
        keep_symlinks: false,
        absolute_names: false,
        packaging: Packaging::Tar,
        log: CollectLog::Artifacts,
        search_seconds: 0,
        unless_unchanged: false,
    })
}

#[test]
fn files_travel_out_and_back_in() {
    let mut rig = Rig::configured(|_| {});
    rig.run(&["mkdir -p out/sub && seq 100000 > out/sub/numbers && echo hi > out/hello"]);
    let sent = match rig.ask(collect(&["out/**/*"])) {
        Ok(Reply::Collected(collected)) => collected,
        other => panic!("{other:?}"),
    };
    assert_eq!(sent.files, 2);
    assert!(rig.log().contains("Found 2 file(s)"));
    let mut uploads = rig.uploads();
    while uploads.is_empty() {
        // The answer and the blob travel on two lines.
        std::thread::yield_now();
        uploads = rig.uploads();
    }
    assert_eq!(uploads[0].len() as u64, sent.bytes);
    rig.offer(uploads.remove(0), Some(End::Complete));
    let back = rig.path("back");
    let unpack = || {
        let directory = back.to_str().unwrap().to_owned();
        Verb::Unpack(Unpack { directory, absolute_names: false, owner: None, remember: Vec::new() })
    };
    assert!(matches!(rig.ask(unpack()), Ok(Reply::Unpacked { files: 2, .. })));
    let same =
        Process::new("diff").arg("-r").arg(back.join("out")).arg(rig.source_dir().join("out")).status();
    assert!(same.unwrap().success());
    // Nothing found: no connection.
    assert!(matches!(rig.ask(collect(&["none/*"])), Ok(Reply::Collected(collected)) if collected.files == 0));
    assert!(rig.uploads().len() == 1);
    // A sender that failed says why.
    rig.offer(vec![], Some(End::Failed("the source is gone".into())));
    assert!(rig.ask(unpack()).unwrap_err().contains("the source is gone"));
    // A stop cuts a transfer that hangs.
    rig.offer(vec![0; 512], None);
    let id = rig.send(unpack());
    std::thread::sleep(std::time::Duration::from_millis(100));
    rig.stop(StopReason::Stopped, 0);
    assert_eq!(rig.done(id), Err("the build was stopped".into()));
    assert_eq!(rig.run(&["true"]), PhaseEnd::Succeeded);
}

#[test]
fn death_for_want_of_memory_is_told_with_the_limit() {
    let cgroup =
        std::path::PathBuf::from(format!("/sys/fs/cgroup/memory/runspan-test-{}", std::process::id()));
    let limited = std::fs::create_dir(&cgroup)
        .and_then(|()| std::fs::write(cgroup.join("memory.limit_in_bytes"), "67108864"))
        .is_ok();
    if !limited {
        drop(writeln!(std::io::stderr(), "SKIPPED: making a memory cgroup needs root and cgroup v1"));
        return;
    }
    let dir = tempfile::Builder::new().prefix("rs").tempdir_in("/tmp").unwrap();
    let mut rig = Rig::start_in(dir, As::MemberOf(cgroup.clone()));
    rig.configure(|_| {});
    let end = rig.run(&["x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}"]);
    let finished = rig.finish();
    let removed = std::fs::remove_dir(&cgroup);
    match end {
        PhaseEnd::Failed { exit: Exit::OutOfMemory { limit }, .. } => {
            assert_eq!(limit, Some(64 << 20))
        }
        other => panic!("{other:?}; {}", rig.log()),
    }
    assert!(rig.log().contains("was killed: memory limit 64.0 MiB"), "{}", rig.log());
    assert!(finished.success() && removed.is_ok());
}

#[test]
fn connections_of_the_build_are_handed_on_to_the_service() {
    let mut rig = Rig::configured(|_| {});
    let offered = rig.ask(Verb::OfferService { beyond_loopback: false }).unwrap();
    let Reply::Texts(addresses) = offered else { panic!("{offered:?}") };
    assert!(addresses[0].starts_with("127.0.0.1:"), "{addresses:?}");
    let call = |text: &[u8]| {
        let mut stream = std::net::TcpStream::connect(&addresses[0]).unwrap();
        stream.write_all(text).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
        answer
    };
    let large = vec![7; 3 << 20];
    assert_eq!(call(&large).len(), large.len());
    assert_eq!(call(b"hello"), b"hello");
}

//! A supervisor for tests: real sockets, the real agent, everything kept as it came over the wire.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use runspan_agent_protocol::{
    Command, Configure, End, Event, Hello, Kind, Offers, PhaseEnd, Purpose, RecordHead, Reply, Request,
    RunPhase, Secret, Shell, Stop, StopReason, Variable, Verb, Welcome, decode, read_frame, write_frame,
    write_json,
};

pub(crate) const ATTEMPT: &str = "attempt-1";
/// Nothing here takes so long; a test that waits longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the supervisor does to the connection.
pub(crate) type Fault = Box<dyn FnMut(usize) -> Option<usize> + Send>;

#[derive(Default)]
struct State {
    /// Spool bytes as they came.
    stream: Vec<u8>,
    requests: Vec<Request>,
    connection: Option<UnixStream>,
    connections: usize,
    /// Bytes of this connection after which it is cut.
    cut: Option<Fault>,
    acknowledge: bool,
    closed: bool,
    /// What came by upload.
    uploads: Vec<Vec<u8>>,
    /// What the next download gets, and how it ends.
    download: Option<(Vec<u8>, Option<End>)>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// An agent and its supervisor.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    agent: Child,
    shared: Arc<Shared>,
    next_request: u64,
}

/// How the agent is started.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum As {
    Child,
    Init,
    /// In the cgroup of this directory.
    MemberOf(PathBuf),
}

impl Rig {
    pub(crate) fn start() -> Self {
        Self::start_as(As::Child)
    }

    /// As PID 1 of a new namespace; nothing, loudly, where that cannot be made.
    pub(crate) fn start_as_init() -> Option<Self> {
        let can = Process::new("unshare").args(["--fork", "--pid", "--mount-proc", "true"]).status();
        if can.is_ok_and(|status| status.success()) {
            Some(Self::start_as(As::Init))
        } else {
            drop(writeln!(
                std::io::stderr(),
                "SKIPPED: `unshare --fork --pid --mount-proc` does not work here (it needs root)"
            ));
            None
        }
    }

    fn start_as(how: As) -> Self {
        let dir = tempfile::Builder::new().prefix("rs").tempdir_in("/tmp").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self::start_in(dir, how)
    }

    pub(crate) fn start_in(dir: tempfile::TempDir, how: As) -> Self {
        let run_dir = dir.path().join("codebuild/run");
        fs::create_dir_all(&run_dir).unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State { acknowledge: true, ..State::default() }),
            changed: Condvar::new(),
        });
        let listener = UnixListener::bind(run_dir.join("supervisor.sock")).unwrap();
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (served, stream) = (Arc::clone(&served), stream.unwrap());
                thread::spawn(move || serve(&served, stream));
            }
        });
        let binary = env!("CARGO_BIN_EXE_runspan-agent");
        let (program, arguments) = match &how {
            As::Child => (binary, vec![]),
            As::Init => ("unshare", vec!["--fork", "--pid", "--mount-proc", "--kill-child", binary]),
            As::MemberOf(_) => {
                ("sh", vec!["-c", "echo $$ > $CGROUP/cgroup.procs; exec \"$@\"", "sh", binary])
            }
        };
        let mut process = Process::new(program);
        process.args(arguments);
        if let As::MemberOf(cgroup) = &how {
            process.env("CGROUP", cgroup);
        }
        process.args(["--attempt", ATTEMPT, "--root"]).arg(dir.path());
        process.stdin(Stdio::null()).env("FROM_IMAGE", "image value").env_remove("CI");
        let agent = process.spawn().unwrap();
        Self { dir, agent, shared, next_request: 0 }
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    pub(crate) fn source_dir(&self) -> PathBuf {
        self.path("src")
    }

    pub(crate) fn configuration(&self) -> Configure {
        Configure {
            environment: vec![Variable::new("HOME", "/root")],
            mask: vec![],
            shell: Shell::Sh,
            carry_state: true,
            source_dir: self.source_dir().to_str().unwrap().to_owned(),
            timeout_seconds: 3600,
            orphan_seconds: 60,
            breakpoints: false,
            pause_on_failure: false,
            memory_limit: None,
            sample_interval_ms: 0,
            offers: Offers::default(),
        }
    }

    /// Starts an agent with this configuration.
    pub(crate) fn configured(change: impl FnOnce(&mut Configure)) -> Self {
        let mut rig = Self::start();
        rig.configure(change);
        rig
    }

    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut Configure)) {
        let mut configure = self.configuration();
        change(&mut configure);
        assert_eq!(self.ask(Verb::Configure(Box::new(configure))), Ok(Reply::Nothing));
    }

    /// Sends a request; returns its id.
    pub(crate) fn send(&mut self, verb: Verb) -> u64 {
        let id = self.take_id();
        self.send_as(id, verb);
        id
    }

    /// The id of a request.
    pub(crate) fn take_id(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    /// Sends a request under this id.
    pub(crate) fn send_as(&self, id: u64, verb: Verb) {
        let request = Request { id, verb };
        let mut state = self.shared.state.lock().unwrap();
        if let Some(connection) = &mut state.connection {
            // A broken connection gets it again later.
            let _ = write_json(connection, Kind::Request, &request);
        }
        state.requests.push(request);
    }

    /// Sends every request once more.
    pub(crate) fn repeat_requests(&self) {
        let state = self.shared.state.lock().unwrap();
        let mut connection = state.connection.as_ref().unwrap();
        for request in &state.requests {
            write_json(&mut connection, Kind::Request, request).unwrap();
        }
    }

    pub(crate) fn ask(&mut self, verb: Verb) -> Result<Reply, String> {
        let id = self.send(verb);
        self.done(id)
    }

    /// Waits for the answer.
    pub(crate) fn done(&self, id: u64) -> Result<Reply, String> {
        self.wait_for("an answer", |events| {
            events.iter().find_map(|event| match event {
                Event::Done { request, result } if *request == id => Some(result.clone()),
                _ => None,
            })
        })
    }

    pub(crate) fn wait_for<T>(&self, what: &str, find: impl Fn(&[Event]) -> Option<T>) -> T {
        self.wait_for_state(what, |state| find(&events(&state.stream)))
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        self.wait_for_output(text, |log| log.contains(text));
    }

    pub(crate) fn wait_for_output(&self, what: &str, holds: impl Fn(&str) -> bool) {
        self.wait_for_state(what, |state| {
            holds(&String::from_utf8_lossy(&output(&state.stream))).then_some(())
        });
    }

    fn wait_for_state<T>(&self, what: &str, find: impl Fn(&State) -> Option<T>) -> T {
        let since = Instant::now();
        let mut state = self.shared.state.lock().unwrap();
        loop {
            if let Some(found) = find(&state) {
                return found;
            }
            let log = || String::from_utf8_lossy(&output(&state.stream)).into_owned();
            assert!(since.elapsed() < PATIENCE, "waited too long for {what}; log:\n{}", log());
            state = self.shared.changed.wait_timeout(state, Duration::from_secs(1)).unwrap().0;
        }
    }

    /// Runs commands as a phase.
    pub(crate) fn run<C: Into<Command> + Clone>(&mut self, commands: &[C]) -> PhaseEnd {
        self.phase(commands, &[] as &[C])
    }

    pub(crate) fn phase<C: Into<Command> + Clone, D: Into<Command> + Clone>(
        &mut self,
        commands: &[C],
        finally: &[D],
    ) -> PhaseEnd {
        let order = phase(commands, finally);
        match self.ask(Verb::RunPhase(order)) {
            Ok(Reply::Phase(end)) => end,
            other => panic!("{other:?}"),
        }
    }

    /// What these commands print, without the agent's lines, in one string.
    pub(crate) fn prints(&mut self, commands: &[&str]) -> String {
        let before = self.log().len();
        self.run(commands);
        let log = self.log();
        let own = |line: &&str| !line.starts_with("[Container] ") && !line.is_empty();
        log[before..].lines().filter(own).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        events(&self.shared.state.lock().unwrap().stream)
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8(self.output()).unwrap()
    }

    pub(crate) fn output(&self) -> Vec<u8> {
        output(&self.shared.state.lock().unwrap().stream)
    }

    pub(crate) fn stream(&self) -> Vec<u8> {
        self.shared.state.lock().unwrap().stream.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().connections
    }

    pub(crate) fn cut_connections(&self, fault: Fault) {
        self.shared.state.lock().unwrap().cut = Some(fault);
    }

    /// Closes the connection now and takes no other.
    pub(crate) fn leave(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.closed = true;
        if let Some(connection) = state.connection.take() {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }

    pub(crate) fn acknowledge(&self, yes: bool) {
        self.shared.state.lock().unwrap().acknowledge = yes;
    }

    /// What the next download gets, and how it ends.
    pub(crate) fn offer(&self, blob: Vec<u8>, end: Option<End>) {
        self.shared.state.lock().unwrap().download = Some((blob, end));
    }

    pub(crate) fn uploads(&self) -> Vec<Vec<u8>> {
        self.shared.state.lock().unwrap().uploads.clone()
    }

    pub(crate) fn stop(&mut self, reason: StopReason, grace_ms: u64) -> u64 {
        self.send(Verb::Stop(Stop { reason, grace_ms }))
    }

    pub(crate) fn finish(&mut self) -> ExitStatus {
        assert_eq!(self.ask(Verb::Finish), Ok(Reply::Nothing));
        self.ended()
    }

    /// Waits for the agent's process.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.agent.try_wait().unwrap() {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "the agent does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn agent_id(&self) -> u32 {
        self.agent.id()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

pub(crate) fn phase<C: Into<Command> + Clone, D: Into<Command> + Clone>(
    commands: &[C],
    finally: &[D],
) -> RunPhase {
    RunPhase {
        phase: "BUILD".into(),
        commands: commands.iter().cloned().map(Into::into).collect(),
        finally: finally.iter().cloned().map(Into::into).collect(),
        run_as: None,
        succeeding: true,
    }
}

pub(crate) fn secrets(values: &[&str]) -> Vec<Secret> {
    values.iter().map(|value| Secret::new(*value)).collect()
}

fn serve(shared: &Shared, mut stream: UnixStream) {
    let mut payload = Vec::new();
    let Ok(Some(Kind::Hello)) = read_frame(&mut stream, &mut payload) else { return };
    let hello: Hello = decode(&payload).unwrap();
    assert_eq!(hello.attempt, ATTEMPT);
    match hello.purpose {
        Purpose::Events => {}
        Purpose::Upload { .. } => return receive_blob(shared, &mut stream),
        Purpose::Download { .. } => return send_blob(shared, &mut stream),
        // A service that answers with what it was told.
        Purpose::Service => {
            let _ = std::io::copy(&mut &stream, &mut &stream);
            return;
        }
        Purpose::Shell { .. } | Purpose::Ask(_) => panic!("the supervisor has no shell and no answer"),
    }
    let mut cut = {
        let mut state = shared.state.lock().unwrap();
        if state.closed {
            return;
        }
        state.connections += 1;
        let connections = state.connections;
        let cut = state.cut.as_mut().and_then(|fault| fault(connections));
        let resume_from = state.stream.len() as u64;
        if write_json(&mut stream, Kind::Welcome, &Welcome { resume_from }).is_err() {
            return;
        }
        for request in &state.requests {
            let _ = write_json(&mut stream, Kind::Request, request);
        }
        state.connection = Some(stream.try_clone().unwrap());
        cut
    };
    let mut piece = vec![0; 1 << 16];
    loop {
        let limit = cut.map_or(piece.len(), |left| left.min(piece.len()));
        let read = match (&stream).read(&mut piece[..limit]) {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        let mut state = shared.state.lock().unwrap();
        state.stream.extend_from_slice(&piece[..read]);
        let applied = state.stream.len() as u64;
        let acknowledge = state.acknowledge;
        drop(state);
        shared.changed.notify_all();
        if acknowledge && write_frame(&mut &stream, Kind::Ack, &applied.to_le_bytes()).is_err() {
            return;
        }
        if let Some(left) = &mut cut {
            *left -= read;
            if *left == 0 {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    }
}

fn receive_blob(shared: &Shared, stream: &mut UnixStream) {
    let (mut blob, mut payload) = (Vec::new(), Vec::new());
    loop {
        match read_frame(stream, &mut payload).unwrap() {
            Some(Kind::Data) => blob.extend_from_slice(&payload),
            Some(Kind::End) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(decode::<End>(&payload).unwrap(), End::Complete);
    shared.state.lock().unwrap().uploads.push(blob);
    write_json(stream, Kind::End, &End::Complete).unwrap();
}

fn send_blob(shared: &Shared, stream: &mut UnixStream) {
    let (blob, end) = shared.state.lock().unwrap().download.take().unwrap();
    for piece in blob.chunks(1000) {
        let _ = write_frame(stream, Kind::Data, piece);
    }
    match end {
        Some(end) => write_json(stream, Kind::End, &end).unwrap(),
        // Neither an end nor a word: a stop must cut it.
        None => drop(stream.read(&mut [0])),
    }
}

/// The whole records of a stream, checked for their numbers.
pub(crate) fn records(mut stream: &[u8]) -> Vec<(Kind, Vec<u8>)> {
    let mut records = Vec::new();
    let mut payload = Vec::new();
    while let Ok(Some(kind)) = read_frame(&mut stream, &mut payload) {
        let (head, body) = RecordHead::split(&payload).unwrap();
        assert_eq!(head.number, records.len() as u64 + 1, "records are numbered from 1 without gaps");
        records.push((kind, body.to_vec()));
    }
    records
}

pub(crate) fn events(stream: &[u8]) -> Vec<Event> {
    let of = |(kind, body): &(Kind, Vec<u8>)| (*kind == Kind::Event).then(|| decode(body).unwrap());
    records(stream).iter().filter_map(of).collect()
}

pub(crate) fn output(stream: &[u8]) -> Vec<u8> {
    let of = |(kind, body): (Kind, Vec<u8>)| (kind == Kind::Output).then_some(body);
    records(stream).into_iter().filter_map(of).flatten().collect()
}

/// Processes whose command line holds this text.
pub(crate) fn processes_with(text: &str) -> Vec<PathBuf> {
    let holds = |path: &Path| {
        fs::read(path.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    };
    fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(|path| holds(path)).collect()
}

pub(crate) fn write_executable(path: &Path, text: &str) -> io::Result<()> {
    fs::File::create(path)?.write_all(text.as_bytes())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

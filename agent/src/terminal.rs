//! Interactive shells in the build's environment, beside its commands.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use runspan_agent_protocol::{
    End, Hello, Kind, PROTOCOL, Purpose, Shell, decode, read_frame, write_frame, write_json,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::carried::find_shell;
use crate::processes::Waited;
use crate::shared::Shared;
use crate::{exit_status, launch};

const PIECE: usize = 32 << 10;
/// How often a silent shell is looked at.
const EXIT_LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Listens for `runspan shell` in the run directory, for its owner alone.
pub(crate) fn listen(shared: &Arc<Shared>) -> io::Result<()> {
    let path = shared.layout.shell_socket();
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let owner = shared.layout.run_dir().metadata()?;
    // A rootless supervisor owns the directory, not us.
    let _ = chown(&path, Some(owner.uid()), Some(owner.gid()));
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("shells".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            // A connection that cannot be served is closed.
            let _ = std::thread::Builder::new().name("shell".into()).spawn(move || serve(&shared, stream));
        }
    })?;
    Ok(())
}

fn serve(shared: &Shared, mut stream: UnixStream) {
    let end = match open(shared, &mut stream) {
        Ok(shell) => shell.run(shared, &stream),
        Err(error) => End::Failed(format!("cannot start a shell in the build: {error}")),
    };
    // The other end may have left.
    let _ = write_json(&mut stream, Kind::End, &end);
}

/// A started shell and our ends of its input and output.
struct Running {
    pid: Pid,
    input: File,
    output: File,
    terminal: bool,
}

fn open(shared: &Shared, stream: &mut UnixStream) -> io::Result<Running> {
    let mut payload = Vec::new();
    let hello: Hello = match read_frame(stream, &mut payload)? {
        Some(Kind::Hello) => decode(&payload)?,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    if hello.protocol != PROTOCOL || hello.attempt != shared.attempt {
        return Err(io::Error::other("this is another attempt's agent"));
    }
    let Purpose::Shell { rows, columns, term, command } = hello.purpose else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let session = shared.session().ok_or_else(|| io::Error::other("the build is not configured yet"))?;
    let mut environment = session.state.variables(shared, &session.environment).map_err(io::Error::other)?;
    if rows > 0 {
        environment.put("TERM", term);
    }
    let program = find_shell(&environment, Shell::Bash).or_else(|_| find_shell(&environment, Shell::Sh));
    let program = program.map_err(io::Error::other)?;
    let arguments: Vec<String> = command.into_iter().flat_map(|text| ["-c".into(), text]).collect();
    let directory = session.state.directory();
    let (agent, directory) = (shared.layout.agent(), directory.as_ref());
    if rows == 0 {
        let mut command = launch::command(agent, &program, &arguments, &environment, directory, None);
        let (input, input_of_shell) = UnixStream::pair()?;
        let (output, output_of_shell) = UnixStream::pair()?;
        command.process_group(0).stdin(Stdio::from(OwnedFd::from(input_of_shell)));
        command.stdout(Stdio::from(OwnedFd::from(output_of_shell.try_clone()?)));
        command.stderr(Stdio::from(OwnedFd::from(output_of_shell)));
        let pid = shared.processes.spawn(&mut command)?;
        let file = |stream: UnixStream| File::from(OwnedFd::from(stream));
        return Ok(Running { pid, input: file(input), output: file(output), terminal: false });
    }
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    resize(&master, rows, columns);
    let arguments: Vec<_> = [launch::TERMINAL.into(), program.into_os_string()]
        .into_iter()
        .chain(arguments.into_iter().map(Into::into))
        .collect();
    let mut command = launch::command(agent, agent, &arguments, &environment, directory, None);
    // It makes a session of its own, which the leader of a group cannot.
    command.stdin(Stdio::from(slave.try_clone()?));
    command.stdout(Stdio::from(slave.try_clone()?)).stderr(Stdio::from(slave));
    let pid = shared.processes.spawn(&mut command)?;
    let input = File::from(master.try_clone()?);
    Ok(Running { pid, input, output: File::from(master), terminal: true })
}

fn resize(terminal: impl AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // A terminal of the wrong size is still a terminal.
    let _ = tcsetwinsize(terminal, size);
}

impl Running {
    fn run(self, shared: &Shared, stream: &UnixStream) -> End {
        let Self { pid, input, mut output, terminal } = self;
        let status = std::thread::scope(|scope| {
            scope.spawn(move || {
                if feed(stream, input, terminal).is_err() {
                    // Whoever left needs no shell.
                    let _ = kill_process_group(pid, Signal::HUP);
                }
            });
            let mut piece = vec![0; PIECE];
            let mut to = stream;
            let mut status = None;
            loop {
                let look = if status.is_none() { EXIT_LOOK } else { Timespec::default() };
                let ready = poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&look));
                if ready.is_ok_and(|ready| ready > 0) {
                    // A terminal whose last process is gone reads as an error.
                    if let Ok(read @ 1..) = output.read(&mut piece) {
                        let _ = write_frame(&mut to, Kind::Data, &piece[..read]);
                        continue;
                    }
                    status = status.or_else(|| exited(shared, pid, None));
                }
                if let Some(status) = status {
                    // The feeder waits for a user who has nothing more to say.
                    let _ = stream.shutdown(Shutdown::Read);
                    break status;
                }
                status = exited(shared, pid, Some(Instant::now()));
            }
        });
        End::Exited(status)
    }
}

fn exited(shared: &Shared, pid: Pid, until: Option<Instant>) -> Option<i32> {
    match shared.processes.wait(pid, until, || None) {
        Waited::Exited(status) => Some(exit_status(status)),
        Waited::Interrupted(_) | Waited::TimeOver => None,
    }
}

/// Passes on what the user types until the user ends the input; an error when the user left instead.
fn feed(stream: &UnixStream, mut input: File, terminal: bool) -> io::Result<()> {
    let mut from = stream;
    let mut payload = Vec::new();
    while let Some(kind) = read_frame(&mut from, &mut payload)? {
        match kind {
            Kind::Data => input.write_all(&payload)?,
            Kind::Resize if terminal => {
                if let [a, b, c, d] = payload[..] {
                    resize(&input, u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
                }
            }
            Kind::End => return Ok(()),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

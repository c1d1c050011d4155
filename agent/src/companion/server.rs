//! The first process of a companion.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use runspan_agent_protocol::{
    Ask, CompanionProcess, End, Health, Kind, Program, decode, layout, read_frame, write_frame, write_json,
};
use rustix::process::Pid;

use super::run;
use crate::exit_status;
use crate::processes::{Processes, Waited};

const PIECE: usize = 32 << 10;
/// What is kept of the output of a process that stays: its end.
const KEPT: usize = 1 << 20;
/// Between TERM and KILL of a process whose asker is gone.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether the asker is still there.
const LOOK: Duration = Duration::from_millis(100);

struct Companion {
    program: Program,
    processes: Arc<Processes>,
    staying: Mutex<Staying>,
}

/// The process that stays.
#[derive(Default)]
struct Staying {
    pid: Option<Pid>,
    exit: Option<i32>,
    log: VecDeque<u8>,
}

/// Serves until it is killed.
pub(crate) fn main(program: &str) -> ExitCode {
    match listen(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runspan-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listen(program: &str) -> io::Result<()> {
    let program: Program = serde_json::from_str(program).map_err(io::Error::other)?;
    let processes = Processes::start()?;
    let companion = Arc::new(Companion { program, processes, staying: Mutex::default() });
    // Whoever asks finds a socket that answers, or none.
    let directory = Path::new(layout::RUN_DIR);
    let (new, socket) = (directory.join("new.sock"), directory.join(layout::COMPANION_SOCKET));
    let listener = UnixListener::bind(&new)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&new, &socket)?;
    for stream in listener.incoming().flatten() {
        let companion = Arc::clone(&companion);
        // A connection that cannot be served is closed.
        let _ = std::thread::Builder::new().name("companion".into()).spawn(move || companion.serve(stream));
    }
    Ok(())
}

impl Companion {
    fn staying(&self) -> MutexGuard<'_, Staying> {
        self.staying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: Arc<Self>, mut stream: UnixStream) {
        let mut payload = Vec::new();
        let ask = match read_frame(&mut stream, &mut payload) {
            Ok(Some(Kind::Request)) => decode::<Ask>(&payload),
            _ => return,
        };
        let end = ask.and_then(|ask| match ask {
            Ask::Run(process) => self.run(&process, &stream).map(End::Exited),
            Ask::Start { process, forwards } => self.start(&process, &forwards).map(|()| End::Complete),
            Ask::State => Ok(self.staying().exit.map_or(End::Complete, End::Exited)),
            Ask::Log => {
                let log: Vec<u8> = self.staying().log.iter().copied().collect();
                log.chunks(PIECE)
                    .try_for_each(|piece| write_frame(&mut &stream, Kind::Data, piece))
                    .map(|()| End::Complete)
            }
            Ask::Health(choice) => {
                let health = choice.settled(self.program.health.as_ref());
                let text = serde_json::to_vec(&health).map_err(io::Error::other);
                text.and_then(|text| write_frame(&mut &stream, Kind::Data, &text)).map(|()| End::Complete)
            }
            Ask::Check(health) => self.check(&health).map(End::Exited),
        });
        let end = end.unwrap_or_else(|error| End::Failed(error.to_string()));
        // The asker may have left.
        let _ = write_json(&mut &stream, Kind::End, &end);
        let _ = stream.shutdown(Shutdown::Both);
    }

    /// Runs a process as long as somebody is there to hear of it.
    fn run(&self, process: &CompanionProcess, stream: &UnixStream) -> io::Result<i32> {
        let run::Running { pid, mut output } = run::start(&self.processes, &self.program, process)?;
        let reader = {
            let mut to = stream.try_clone()?;
            std::thread::Builder::new().name("output".into()).spawn(move || {
                let mut piece = vec![0; PIECE];
                while let Ok(read @ 1..) = output.read(&mut piece) {
                    if write_frame(&mut to, Kind::Data, &piece[..read]).is_err() {
                        return;
                    }
                }
            })?
        };
        let status = loop {
            match self.processes.wait(pid, Some(Instant::now() + LOOK), || None) {
                Waited::Exited(status) => break exit_status(status),
                _ if is_gone(stream) => {
                    self.processes.end_group(pid, GRACE);
                    self.processes.kill_all();
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                _ => {}
            }
        };
        // As when a container's first process ends.
        self.processes.kill_all();
        let _ = reader.join();
        Ok(status)
    }

    fn start(self: &Arc<Self>, process: &CompanionProcess, forwards: &[(u16, u16)]) -> io::Result<()> {
        let mut staying = self.staying();
        if staying.pid.is_some() {
            // It was asked for before, by somebody who did not hear the answer.
            return Ok(());
        }
        for (from, to) in forwards {
            forward(*from, *to)?;
        }
        let run::Running { pid, mut output } = run::start(&self.processes, &self.program, process)?;
        staying.pid = Some(pid);
        drop(staying);
        let keeper = Arc::clone(self);
        let keep = std::thread::Builder::new().name("output".into()).spawn(move || {
            let mut piece = vec![0; PIECE];
            while let Ok(read @ 1..) = output.read(&mut piece) {
                let log = &mut keeper.staying().log;
                log.extend(&piece[..read]);
                let over = log.len().saturating_sub(KEPT);
                log.drain(..over);
            }
        })?;
        let waiter = Arc::clone(self);
        std::thread::Builder::new().name("staying".into()).spawn(move || {
            if let Waited::Exited(status) = waiter.processes.wait(pid, None, || None) {
                waiter.processes.kill_all();
                let _ = keep.join();
                waiter.staying().exit = Some(exit_status(status));
            }
        })?;
        Ok(())
    }

    fn check(&self, health: &Health) -> io::Result<i32> {
        let Program { directory, user, .. } = &self.program;
        let mut environment = run::image_environment();
        let run::Running { pid, mut output } =
            run::spawn(&self.processes, &health.command, &mut environment, directory, user)?;
        // Nobody looks at what it prints, but it must be able to.
        std::thread::Builder::new().name("output".into()).spawn(move || {
            let _ = io::copy(&mut output, &mut io::sink());
        })?;
        let until = Instant::now() + Duration::from_millis(health.timeout_ms);
        match self.processes.wait(pid, Some(until), || None) {
            Waited::Exited(status) => Ok(exit_status(status)),
            _ => {
                self.processes.end_group(pid, Duration::ZERO);
                Ok(-1)
            }
        }
    }
}

/// Whether the other end was closed; nothing is ever sent by it after its question.
fn is_gone(stream: &UnixStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut look = [PollFd::new(stream, PollFlags::RDHUP)];
    let found = poll(&mut look, Some(&Timespec::default())).unwrap_or(0);
    found > 0 && look[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}

/// Lets a port of the loopback interface lead to another.
fn forward(from: u16, to: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, from)).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot forward port {from} to {to}: {error}"))
    })?;
    std::thread::Builder::new().name("forward".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = std::thread::Builder::new().name("forward".into()).spawn(move || {
                // Either end may leave at any time.
                let _ =
                    TcpStream::connect((Ipv4Addr::LOCALHOST, to)).and_then(|onward| both(&stream, &onward));
            });
        }
    })?;
    Ok(())
}

fn both(one: &TcpStream, other: &TcpStream) -> io::Result<()> {
    let pass = |mut from: &TcpStream, mut to: &TcpStream| {
        let copied = io::copy(&mut from, &mut to);
        let _ = to.flush();
        let _ = to.shutdown(Shutdown::Write);
        copied.map(drop)
    };
    std::thread::scope(|scope| {
        let back = scope.spawn(|| pass(other, one));
        let there = pass(one, other);
        there.and(back.join().unwrap_or(Ok(())))
    })
}

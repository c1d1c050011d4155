//! `runspan shell`: a shell inside a build's container, through the agent.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use clap::Args;
use runspan_agent_protocol::{
    End, Hello, Kind, PROTOCOL, Purpose, decode, layout, read_frame, write_frame, write_json,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Open a shell inside a running or paused build.
#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    /// The build: its id, its uuid, or the first characters of that.
    build: String,
    /// A command line to run instead of an interactive shell.
    #[arg(last = true)]
    command: Vec<String>,
}

pub(super) async fn shell(args: ShellArgs, config: Config) -> Result<Exit, Failure> {
    let journal = config.journal()?;
    let stored = super::builds::find(&journal, &args.build)?;
    let id = &stored.build.id;
    if stored.build.build_complete {
        return Err(Failure::input(format!("build {id} is over; there is no container to open a shell in"))
            .help("to look around after a failure, run it again with --shell-on-failure"));
    }
    let command = (!args.command.is_empty()).then(|| command_line(&args.command));
    open(journal.home().build(id.uuid()).run(), id.uuid().to_owned(), command).await
}

/// One argument is a command line as it is; several are words of one.
fn command_line(words: &[String]) -> String {
    match words {
        [line] => line.clone(),
        words => {
            let quote = |word: &String| format!("'{}'", word.replace('\'', r"'\''"));
            words.iter().map(quote).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Opens a shell through a build's run directory; ends as the shell ends.
pub(super) async fn open(
    directory: PathBuf,
    attempt: String,
    command: Option<String>,
) -> Result<Exit, Failure> {
    let stream = connect(&directory).map_err(|error| {
        Failure::input("no shell can be opened in the build")
            .because(&error)
            .help("its container may not have started yet, or is gone; see `runspan builds show`")
    })?;
    let failed = |error: io::Error| Failure::machine("the shell's connection broke").because(&error);
    let mut resized = signal(SignalKind::window_change()).map_err(failed)?;
    let shell = Arc::new(Shell { stream: Mutex::new(stream.try_clone().map_err(failed)?) });
    let resizing = {
        let shell = Arc::clone(&shell);
        tokio::spawn(async move {
            while resized.recv().await.is_some() {
                shell.resize();
            }
        })
    };
    let ended = tokio::task::spawn_blocking(move || shell.run(stream, attempt, command)).await;
    resizing.abort();
    let end = ended.map_err(|error| Failure::of(&error))?.map_err(failed)?;
    match end {
        End::Exited(status) => Ok(Exit::Passed(u8::try_from(status).unwrap_or(u8::MAX))),
        End::Complete => Ok(Exit::Success),
        End::Failed(why) => Err(Failure::machine(why)),
    }
}

/// Dials the agent. The path of a socket may have 107 bytes only; this one is as short as any.
fn connect(directory: &Path) -> io::Result<UnixStream> {
    let directory = File::open(directory)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), layout::SHELL_SOCKET))
}

/// A connection to a shell; input, window sizes and the first frame share its writing end.
struct Shell {
    stream: Mutex<UnixStream>,
}

impl Shell {
    fn send(&self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        write_frame(&mut *self.stream.lock().unwrap_or_else(PoisonError::into_inner), kind, payload)
    }

    fn resize(&self) {
        if let Some((rows, columns)) = window() {
            let [[a, b], [c, d]] = [rows.to_le_bytes(), columns.to_le_bytes()];
            // A shell that is gone needs no size.
            let _gone = self.send(Kind::Resize, &[a, b, c, d]);
        }
    }

    fn run(
        self: Arc<Self>,
        mut stream: UnixStream,
        attempt: String,
        command: Option<String>,
    ) -> io::Result<End> {
        let (rows, columns) = window().unwrap_or_default();
        let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".into());
        let purpose = Purpose::Shell { rows, columns, term, command };
        write_json(&mut stream, Kind::Hello, &Hello { protocol: PROTOCOL, attempt, purpose })?;
        let _raw = (rows > 0).then(RawTerminal::enter).transpose()?;
        thread::scope(|scope| {
            scope.spawn(|| self.feed());
            let end = show(&mut stream);
            // The feeder waits for the user and for this.
            let _gone = stream.shutdown(Shutdown::Both);
            end
        })
    }

    /// Sends what the user types, until the input or the shell ends.
    fn feed(&self) -> io::Result<()> {
        let gone = self.stream.lock().unwrap_or_else(PoisonError::into_inner).try_clone()?;
        let stdin = io::stdin();
        // Past the buffer of std, so that nothing typed for somebody else stays in it.
        let mut typed = File::from(stdin.as_fd().try_clone_to_owned()?);
        let mut piece = [0; 4096];
        loop {
            let mut watched = [PollFd::new(&typed, PollFlags::IN), PollFd::new(&gone, PollFlags::RDHUP)];
            poll(&mut watched, None)?;
            if !watched[1].revents().is_empty() {
                return Ok(());
            }
            match typed.read(&mut piece)? {
                0 => return self.send(Kind::End, &serde_json::to_vec(&End::Complete)?),
                read => self.send(Kind::Data, &piece[..read])?,
            }
        }
    }
}

/// Shows what the shell writes, until it ends.
fn show(stream: &mut UnixStream) -> io::Result<End> {
    let mut payload = Vec::new();
    let mut out = io::stdout().lock();
    while let Some(kind) = read_frame(stream, &mut payload)? {
        match kind {
            Kind::Data => out.write_all(&payload).and_then(|()| out.flush())?,
            Kind::End => return decode(&payload),
            _ => {}
        }
    }
    Ok(End::Failed("the build ended, and its container with it".into()))
}

/// Rows and columns, when both ends of the shell are a terminal.
fn window() -> Option<(u16, u16)> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    if !stdin.is_terminal() || !stdout.is_terminal() {
        return None;
    }
    let size = tcgetwinsize(stdout).ok()?;
    Some((size.ws_row.max(1), size.ws_col.max(1)))
}

/// The user's terminal, passing every key on; as it was before when dropped.
struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no settings.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words_and_a_line_stays_a_line() {
        let line = |words: &[&str]| command_line(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(line(&["ls | wc -l; exit 7"]), "ls | wc -l; exit 7");
        assert_eq!(line(&["echo", "a b", "it's"]), r"'echo' 'a b' 'it'\''s'");
    }
}

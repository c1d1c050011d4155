//! The `codebuild-*` commands, and the socket that `codebuild-breakpoint` and `codebuild-resume` talk to.

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use runspan_agent_protocol::{Answer, Pause, Question};

use crate::asking::ask as ask_supervisor;
use crate::carried::make_dir;
use crate::error::AgentError;
use crate::files;
use crate::layout::Layout;
use crate::shared::Shared;

/// Pauses the build.
pub(crate) const BREAKPOINT: &str = "codebuild-breakpoint";
/// Lets it go on.
pub(crate) const RESUME: &str = "codebuild-resume";
/// Prints one digest of files.
const HASH_FILES: &str = "codebuild-hash-files";
/// Prints the names of files.
const GLOB_SEARCH: &str = "codebuild-glob-search";
/// Runs tests on one shard's files.
const TESTS_RUN: &str = "codebuild-tests-run";
/// Tells git the login for a repository.
const GIT_CREDENTIAL: &str = "codebuild-git-credential";
/// Every helper command.
pub(crate) const ALL: [&str; 6] = [BREAKPOINT, RESUME, HASH_FILES, GLOB_SEARCH, TESTS_RUN, GIT_CREDENTIAL];

/// What makes git ask the last of them; logins of CodeCommit are for one repository.
pub(crate) const GIT_SETTINGS: [(&str, &str); 5] = [
    ("GIT_CONFIG_COUNT", "2"),
    ("GIT_CONFIG_KEY_0", "credential.helper"),
    ("GIT_CONFIG_VALUE_0", "!codebuild-git-credential"),
    ("GIT_CONFIG_KEY_1", "credential.useHttpPath"),
    ("GIT_CONFIG_VALUE_1", "true"),
];
/// What git says of a repository has no more bytes.
const MAX_ASKED: u64 = 16 << 10;

/// Answer to a breakpoint that paused and was resumed, and to a resume.
const DONE: &str = "done";
/// Answer when the build has no breakpoints.
const OFF: &str = "off";

/// Makes every helper command where it is not there yet.
pub(crate) fn install(layout: &Layout) -> Result<(), AgentError> {
    let directory = layout.helper_dir();
    make_dir(&directory)?;
    for name in ALL {
        let link = directory.join(name);
        match symlink(layout.agent(), &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(AgentError::file("make the helper command", link)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Listens for helper commands of any user of the container. `current` is the id of the running request.
pub(crate) fn listen(shared: &Arc<Shared>, current: &Arc<AtomicU64>) -> io::Result<()> {
    let path = shared.layout.helper_socket();
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    let (shared, current) = (Arc::clone(shared), Arc::clone(current));
    std::thread::Builder::new().name("helpers".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let (shared, current) = (Arc::clone(&shared), Arc::clone(&current));
            // A helper that cannot be served sees its connection close.
            let _ = std::thread::Builder::new().name("helper".into()).spawn(move || {
                let _ = answer(&shared, current.load(Ordering::Relaxed), stream);
            });
        }
    })?;
    Ok(())
}

fn answer(shared: &Shared, request: u64, mut stream: UnixStream) -> io::Result<()> {
    let mut asked = String::new();
    let mut from = BufReader::new((&stream).take(MAX_ASKED));
    from.read_line(&mut asked)?;
    if asked.trim_end() == GIT_CREDENTIAL {
        let lines =
            from.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect::<Vec<_>>();
        return stream.write_all(git_login(shared, &lines)?.as_bytes());
    }
    let breakpoints = shared.session().is_some_and(|session| session.breakpoints);
    let answer = match asked.trim_end() {
        RESUME => {
            shared.control.resume();
            DONE
        }
        BREAKPOINT if breakpoints => {
            // What the command printed before it paused comes first.
            shared.capture.drain(&shared.log);
            stream.set_nonblocking(true)?;
            let gone = || matches!((&stream).read(&mut [0]), Ok(0));
            shared.control.pause(request, Pause::Breakpoint, &shared.log, gone);
            stream.set_nonblocking(false)?;
            DONE
        }
        BREAKPOINT => OFF,
        _ => return Ok(()),
    };
    stream.write_all(answer.as_bytes())
}

/// What git is told of a repository; nothing where nothing is known.
fn git_login(shared: &Shared, lines: &[String]) -> io::Result<String> {
    let value = |name: &str| {
        let found = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default().to_owned()
    };
    let question =
        Question::GitLogin { protocol: value("protocol"), host: value("host"), path: value("path") };
    match ask_supervisor(shared, question)? {
        Answer::GitLogin(Some(login)) => {
            let _shown = shared.log.add_secrets(std::slice::from_ref(&login.password));
            Ok(format!("username={}\npassword={}\n", login.username, login.password.reveal()))
        }
        _ => Ok(String::new()),
    }
}

/// `codebuild-git-credential get`, which git tells of a repository on standard input.
fn git_credential(socket: &Path, arguments: &[OsString]) -> io::Result<()> {
    // Nothing is stored, nothing erased.
    if arguments != ["get"] {
        return Ok(());
    }
    let mut asked = String::new();
    io::stdin().take(MAX_ASKED).read_to_string(&mut asked)?;
    let mut stream = UnixStream::connect(socket)?;
    write!(stream, "{GIT_CREDENTIAL}\n{}\n\n", asked.trim_end())?;
    io::copy(&mut stream, &mut io::stdout()).map(drop)
}

/// Runs a helper command by its name; nothing for another name.
pub(crate) fn run(layout: &Layout, name: &OsStr, arguments: &[OsString]) -> Option<ExitCode> {
    if let Some(code) = find_files(name.to_str()?, arguments) {
        return Some(code);
    }
    if name == GIT_CREDENTIAL {
        return Some(crate::report(git_credential(&layout.helper_socket(), arguments)));
    }
    let name = [BREAKPOINT, RESUME].into_iter().find(|helper| name == *helper)?;
    let socket = layout.helper_socket();
    Some(match ask(&socket, name).as_deref() {
        Ok(DONE) => ExitCode::SUCCESS,
        Ok(OFF) => {
            eprintln!("{name}: the build was not started with debugging, so there is nothing to do");
            ExitCode::SUCCESS
        }
        Ok(_) => {
            eprintln!("{name}: the build's agent closed the connection");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{name}: cannot reach the build's agent at {}: {error}", socket.display());
            ExitCode::FAILURE
        }
    })
}

/// The helper commands that find files.
fn find_files(name: &str, arguments: &[OsString]) -> Option<ExitCode> {
    let arguments: Vec<String> = arguments.iter().map(|text| text.to_string_lossy().into_owned()).collect();
    let source_dir = PathBuf::from(std::env::var_os("CODEBUILD_SRC_DIR").unwrap_or_else(|| ".".into()));
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let code = match name {
        HASH_FILES => files::hash_files(&arguments, &source_dir, &mut out, &mut err),
        GLOB_SEARCH => files::glob_search(&arguments, &source_dir, &mut out, &mut err),
        TESTS_RUN => files::tests_run(&arguments, &|name| std::env::var(name).ok(), &mut out, &mut err),
        _ => return None,
    };
    Some(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn ask(socket: &Path, name: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    writeln!(stream, "{name}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

//! A process of a companion.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use runspan_agent_protocol::{CompanionProcess, Program, Variable, layout};
use rustix::fs::Gid;
use rustix::process::Pid;

use crate::environment::Environment;
use crate::processes::Processes;
use crate::users::{self, User};
use crate::{carried, launch};

/// A process and what it prints.
pub(super) struct Running {
    pub(super) pid: Pid,
    pub(super) output: File,
}

/// Starts what is asked for; where nothing is, the image's own.
pub(super) fn start(
    processes: &Processes,
    program: &Program,
    asked: &CompanionProcess,
) -> io::Result<Running> {
    for (path, target) in &asked.links {
        link(Path::new(path), target)?;
    }
    let mut environment = image_environment();
    for variable in &asked.environment {
        environment.set(variable).map_err(io::Error::other)?;
    }
    let arguments = |own: &[String]| asked.arguments.clone().unwrap_or_else(|| own.to_vec());
    let command: Vec<String> = match &asked.entrypoint {
        Some(entrypoint) => entrypoint.iter().cloned().chain(arguments(&[])).collect(),
        None => program.entrypoint.iter().cloned().chain(arguments(&program.command)).collect(),
    };
    let directory = asked.directory.as_deref().unwrap_or(&program.directory);
    let user = asked.user.as_deref().unwrap_or(&program.user);
    spawn(processes, &command, &mut environment, directory, user)
}

/// Runs a program with the image's variables and user.
pub(super) fn spawn(
    processes: &Processes,
    command: &[String],
    environment: &mut Environment,
    directory: &str,
    user: &str,
) -> io::Result<Running> {
    let Some((name, arguments)) = command.split_first() else {
        return Err(io::Error::other("the image says no program, and none was asked for"));
    };
    let user = Some(user).filter(|user| !user.is_empty()).map(find_user).transpose()?;
    let directory = PathBuf::from(if directory.is_empty() { "/" } else { directory });
    if !directory.exists() {
        carried::make_dir(&directory).map_err(io::Error::other)?;
    }
    let program = match name.contains('/') {
        true if name.starts_with('/') => PathBuf::from(name),
        true => directory.join(name),
        false => environment.find(name).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("`{name}` is not in the image"))
        })?,
    };
    environment.put("PWD", &directory);
    let agent = Path::new(layout::AGENT);
    let mut process = launch::command(agent, &program, arguments, environment, &directory, user.as_ref());
    process.process_group(0);
    // A pipe, not a socket: programs open `/dev/stdout` anew.
    let (output, input) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    process.stdout(Stdio::from(input.try_clone()?)).stderr(Stdio::from(input));
    let pid = processes.spawn(&mut process).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot start {}: {error}", program.display()))
    })?;
    drop(process);
    Ok(Running { pid, output: File::from(output) })
}

/// What the image says.
pub(super) fn image_environment() -> Environment {
    Environment::of_image(std::env::vars_os())
}

/// `user[:group]`, by name or number.
fn find_user(text: &str) -> io::Result<User> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let mut found = users::find(Path::new("/etc"), user).map_err(io::Error::other)?;
    if let Some(group) = group {
        let number = group.parse().ok().or_else(|| group_of(group));
        let number =
            number.ok_or_else(|| io::Error::other(format!("group `{group}` is not in the image")))?;
        found.gid = Gid::from_raw(number);
    }
    Ok(found)
}

fn group_of(name: &str) -> Option<u32> {
    let groups = std::fs::read("/etc/group").unwrap_or_default();
    String::from_utf8_lossy(&groups).lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

fn link(path: &Path, target: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        carried::make_dir(parent).map_err(io::Error::other)?;
    }
    match std::os::unix::fs::symlink(target, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// The asking process's own variables of these names; files that are linked to are called by the link.
pub(super) fn passed(names: &[String], links: &[(String, String)]) -> Vec<Variable> {
    let called = |value: OsString| {
        let value = value.to_string_lossy().into_owned();
        let found = links.iter().find_map(|(path, target)| {
            let rest = value.strip_prefix(target.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{path}{rest}"))
        });
        found.unwrap_or(value)
    };
    names
        .iter()
        .filter_map(|name| Some(Variable::new(name.as_str(), called(std::env::var_os(name)?))))
        .collect()
}

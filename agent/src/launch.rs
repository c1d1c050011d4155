//! How a process of the build is started, and the small modes of the agent's binary that help with it.
//!
//! Changing the user or taking a terminal must happen between fork and exec. Rather than run code of ours in
//! that narrow place, the agent starts *itself* there, and that process becomes the program.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Gid, Uid};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

use crate::environment::Environment;
use crate::users::User;

/// Mode: drop to `UID:GID:GROUP,…`, then become the program.
pub(crate) const BECOME: &str = "--become";
/// Mode: make stdin the controlling terminal of a new session, then become the program.
pub(crate) const TERMINAL: &str = "--terminal";

/// A process to be, with nothing but what is said here.
pub(crate) fn command<A: AsRef<OsStr>>(
    agent: &Path,
    program: &Path,
    arguments: &[A],
    environment: &Environment,
    directory: &Path,
    user: Option<&User>,
) -> Command {
    let mut command = if let Some(user) = user {
        let mut command = Command::new(agent);
        command.arg(BECOME).arg(user_argument(user)).arg(program);
        command
    } else {
        Command::new(program)
    };
    let directory = if directory.is_dir() { directory } else { Path::new("/") };
    command.args(arguments).env_clear().envs(environment.iter()).current_dir(directory).stdin(Stdio::null());
    command
}

fn user_argument(user: &User) -> String {
    let groups: Vec<String> = user.groups.iter().map(|group| group.as_raw().to_string()).collect();
    format!("{}:{}:{}", user.uid.as_raw(), user.gid.as_raw(), groups.join(","))
}

fn parse_user_argument(text: &str) -> Option<User> {
    let mut fields = text.split(':');
    let uid = Uid::from_raw(fields.next()?.parse().ok()?);
    let gid = Gid::from_raw(fields.next()?.parse().ok()?);
    let groups = fields.next()?.split(',').filter(|group| !group.is_empty());
    let groups = groups.map(|group| group.parse().ok().map(Gid::from_raw)).collect::<Option<_>>()?;
    Some(User { uid, gid, groups })
}

/// [`BECOME`]; returns only when it failed.
pub(crate) fn become_user(arguments: &[OsString]) -> io::Error {
    let [user, program, arguments @ ..] = arguments else { return io::ErrorKind::InvalidInput.into() };
    let Some(user) = user.to_str().and_then(parse_user_argument) else {
        return io::ErrorKind::InvalidInput.into();
    };
    let dropped = set_thread_groups(&user.groups)
        .and_then(|()| set_thread_gid(user.gid))
        .and_then(|()| set_thread_uid(user.uid));
    match dropped {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error.into(),
    }
}

/// [`TERMINAL`]; returns only when it failed.
pub(crate) fn take_terminal(arguments: &[OsString]) -> io::Error {
    let [program, arguments @ ..] = arguments else { return io::ErrorKind::InvalidInput.into() };
    match setsid().and_then(|_| ioctl_tiocsctty(io::stdin())) {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_pass_through_the_command_line() {
        for groups in [vec![], vec![Gid::from_raw(5)], vec![Gid::from_raw(5), Gid::from_raw(6)]] {
            let user = User { uid: Uid::from_raw(1), gid: Gid::from_raw(2), groups };
            assert_eq!(parse_user_argument(&user_argument(&user)), Some(user));
        }
        assert_eq!(parse_user_argument("1:2"), None);
    }
}

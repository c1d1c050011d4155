//! `runspan doctor`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use clap::Args;
use runspan_engine::journal::{Journal, JournalError};
use runspan_engine::{Check, CheckState};
use serde_json::json;

use super::Format;
use super::builds::is_orphan_batch;
use super::executor::{Choice, connect};
use crate::config::Config;
use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Less free space than this in the state directory is a warning.
const ENOUGH_BYTES: u64 = 5 << 30;
/// Less is too little for any build.
const LEAST_BYTES: u64 = 100 << 20;
const LEAST_INODES: u64 = 10_000;

/// Say what works on this machine, and what to do about the rest.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// The executor to look at.
    #[arg(long, value_enum, default_value_t)]
    executor: Choice,
    /// Print the IAM policy with everything that builds may ask of AWS, and look at nothing.
    #[arg(long)]
    aws_policy: bool,
}

pub(super) async fn doctor(args: DoctorArgs, config: Config) -> Result<Exit, Failure> {
    if args.aws_policy {
        console::print(&format!("{:#}\n", runspan_aws::policy()));
        return Ok(Exit::Success);
    }
    let mut checks = vec![kernel(), control_groups(), git()];
    match config.journal() {
        Ok(journal) => {
            checks.extend(state(journal.home().root()));
            checks.push(left_builds(&journal));
            checks.extend(connect(args.executor.into(), &config, &journal).await?.check().await);
        }
        Err(failure) => checks.push(bad(
            "state directory",
            failure.render(false).trim_end().trim_start_matches("error: ").replace('\n', "; "),
            "set RUNSPAN_HOME to a directory that you can write",
        )),
    }
    match args.format {
        Format::Human => console::print(&human(&checks)),
        Format::Json => console::print(&format!("{:#}\n", machine(&checks))),
    }
    let broken = checks.iter().any(|check| matches!(check.state, CheckState::Bad { .. }));
    Ok(if broken { Exit::Infrastructure } else { Exit::Success })
}

const fn verdict(state: &CheckState) -> (&'static str, Option<&String>) {
    match state {
        CheckState::Good => ("good", None),
        CheckState::Warning { remedy } => ("warning", Some(remedy)),
        CheckState::Bad { remedy } => ("bad", Some(remedy)),
    }
}

fn human(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    checks
        .iter()
        .map(|check| {
            let (state, remedy) = verdict(&check.state);
            let remedy = remedy.map_or_else(String::new, |remedy| format!("{:>9}{remedy}\n", "-> "));
            format!("{state:<8} {:<width$}  {}\n{remedy}", check.name, check.finding)
        })
        .collect()
}

fn machine(checks: &[Check]) -> serde_json::Value {
    checks
        .iter()
        .map(|check| {
            let (state, remedy) = verdict(&check.state);
            json!({ "name": check.name, "state": state, "finding": check.finding, "remedy": remedy })
        })
        .collect()
}

fn kernel() -> Check {
    let system = rustix::system::uname();
    good("kernel", format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()))
}

fn control_groups() -> Check {
    let root = Path::new("/sys/fs/cgroup");
    let name = "control groups";
    if root.join("cgroup.controllers").exists() {
        good(name, "version 2")
    } else if root.join("memory").exists() {
        good(name, "version 1")
    } else {
        warning(name, "none are mounted", "mount them, or builds run without limits and resource figures")
    }
}

fn git() -> Check {
    match Command::new("git").arg("--version").output() {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout);
            good("git", version.trim().trim_start_matches("git version ").to_owned())
        }
        _ => warning("git", "it cannot be run", "install git; sources of git URLs need it"),
    }
}

/// The state directory: who can read it, and how much it can take.
fn state(root: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    let shown = root.display();
    match fs::metadata(root) {
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => checks.push(warning(
            "state directory",
            format!("{shown} belongs to user {}", found.uid()),
            "let the user who runs the builds own it",
        )),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => checks.push(warning(
            "state directory",
            format!("{shown} can be read by others"),
            &format!("chmod 700 {shown}; logs and records may hold secrets"),
        )),
        Ok(_) => checks.push(good("state directory", shown.to_string())),
        Err(error) => checks.push(bad("state directory", format!("{shown}: {error}"), "make it readable")),
    }
    let Ok(space) = rustix::fs::statvfs(root) else { return checks };
    let free = space.f_bavail * space.f_frsize;
    let finding = format!("{} free in {shown}", console::size(free));
    let remedy = "make room, or set RUNSPAN_HOME to a larger disk";
    checks.push(match free {
        0..LEAST_BYTES => bad("state space", finding, remedy),
        LEAST_BYTES..ENOUGH_BYTES => warning("state space", finding, remedy),
        _ => good("state space", finding),
    });
    // Some file systems count no inodes.
    if space.f_files > 0 && space.f_favail < LEAST_INODES {
        checks.push(bad("state inodes", format!("{} left in {shown}", space.f_favail), remedy));
    }
    checks
}

/// Builds and batches that nobody supervises any more.
fn left_builds(journal: &Journal) -> Check {
    let name = "builds";
    let find = || {
        let dead = |id: &str| journal.home().build(id).try_lock().is_ok_and(|lock| lock.is_some());
        let builds = journal.unfinished()?.into_iter().map(|stored| stored.build.id);
        let mut left: Vec<_> = builds.filter(|id| dead(id.uuid())).map(|id| id.to_string()).collect();
        let batches = journal.unfinished_batches()?.into_iter();
        let batches = batches.filter(|batch| is_orphan_batch(journal, batch));
        left.extend(batches.map(|batch| format!("batch {}", batch.id)));
        Ok::<_, JournalError>(left)
    };
    let left = find();
    match left {
        Ok(left) if left.is_empty() => good(name, "none is without a supervisor"),
        Ok(left) => warning(
            name,
            format!("the supervisor is gone of {}", left.join(", ")),
            "`runspan builds attach ID` goes on with one, `runspan builds stop ID` ends it, \
             and the next `runspan run` closes all",
        ),
        Err(error) => bad(name, error.to_string(), "move the database away; a new one is made"),
    }
}

fn good(name: &str, finding: impl Into<String>) -> Check {
    Check { name: name.into(), state: CheckState::Good, finding: finding.into() }
}

fn warning(name: &str, finding: impl Into<String>, remedy: &str) -> Check {
    Check { state: CheckState::Warning { remedy: remedy.into() }, ..good(name, finding) }
}

fn bad(name: &str, finding: impl Into<String>, remedy: &str) -> Check {
    Check { state: CheckState::Bad { remedy: remedy.into() }, ..good(name, finding) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_shown_with_its_remedy() {
        let checks = [good("a", "fine"), bad("long", "broken", "mend it")];
        assert_eq!(human(&checks), "good     a     fine\nbad      long  broken\n      -> mend it\n");
        assert_eq!(
            machine(&checks)[1],
            json!({"name": "long", "state": "bad", "finding": "broken", "remedy": "mend it"})
        );
    }

    #[test]
    fn a_state_directory_that_others_can_read_is_warned_of() {
        let place = tempfile::tempdir().unwrap();
        let first = |mode| {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
            state(place.path()).remove(0)
        };
        assert_eq!(first(0o700).state, CheckState::Good);
        assert!(matches!(first(0o755).state, CheckState::Warning { .. }));
    }
}

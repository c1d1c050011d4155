//! Running the commands of a phase.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::Instant;

use runspan_agent_protocol::{Command, Event, Exit, Pause, PhaseEnd, RunPhase};
use rustix::process::Pid;

use crate::build::Build;
use crate::carried::find_shell;
use crate::ended::{self, Watched};
use crate::error::AgentError;
use crate::launch;
use crate::script::{self, Carrying};
use crate::shared::Shared;
use crate::users::{self, User};

/// One phase being run.
#[derive(Debug)]
pub(crate) struct Phase<'a> {
    shared: &'a Shared,
    build: &'a mut Build,
    request: u64,
    user: Option<User>,
}

/// Runs a phase.
pub(crate) fn run(shared: &Shared, build: &mut Build, request: u64, order: &RunPhase) -> PhaseEnd {
    build.set_succeeding(order.succeeding);
    build.forget_variables();
    let user = order.run_as.as_deref().map(|name| users::find(Path::new("/etc"), name)).transpose();
    match user {
        Ok(user) => Phase { shared, build, request, user }.run(order),
        Err(error) => {
            build.set_succeeding(false);
            let command = order.commands.first().or(order.finally.first());
            let command = command.map(|command| command.text.clone()).unwrap_or_default();
            let reason = error.to_string();
            shared.log.line(&format!("Cannot run the commands of {}: {reason}", order.phase));
            PhaseEnd::Failed { command, exit: Exit::NotStarted(reason) }
        }
    }
}

/// Waits for somebody to look at a failure, where that is asked for.
pub(crate) fn pause_after_failure(shared: &Shared, build: &Build, request: u64) {
    if build.rules.pause_on_failure {
        let Shared { control, log, .. } = shared;
        log.line("The build waits after a failed command; `codebuild-resume` lets it go on");
        control.pause(request, Pause::Failure, log, || false);
    }
}

impl Phase<'_> {
    fn run(&mut self, order: &RunPhase) -> PhaseEnd {
        let mut failure = None;
        for (list, finally) in [(&order.commands, false), (&order.finally, true)] {
            for (index, command) in (0..).zip(list) {
                if let Some(reason) = self.shared.control.ended(self.request) {
                    return PhaseEnd::Ended(reason);
                }
                let exit = self.run_command(command, index, finally);
                if let Some(reason) = self.shared.control.ended(self.request) {
                    return PhaseEnd::Ended(reason);
                }
                if !exit.is_success() {
                    self.build.set_succeeding(false);
                    failure.get_or_insert(PhaseEnd::Failed { command: command.text.clone(), exit });
                    pause_after_failure(self.shared, self.build, self.request);
                    break;
                }
            }
        }
        match self.shared.control.ended(self.request) {
            Some(reason) => PhaseEnd::Ended(reason),
            None => failure.unwrap_or(PhaseEnd::Succeeded),
        }
    }

    fn run_command(&mut self, command: &Command, index: u32, finally: bool) -> Exit {
        let Shared { log, capture, .. } = self.shared;
        log.event(Event::CommandStarted { index, finally, text: command.text.clone() });
        log.running(&command.text);
        let started = Instant::now();
        let watched = Watched::new(self.shared, self.request, &command.text, self.build.rules.memory_limit);
        let exit = match self.start(command) {
            Ok(pid) => ended::wait(self.shared, self.request, pid, None),
            Err(error) => Exit::NotStarted(error.to_string()),
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        capture.drain(log);
        log.command_over();
        let exit = watched.ended(exit, None);
        log.event(Event::CommandEnded { index, finally, exit: exit.clone(), duration_ms });
        exit
    }

    /// Starts a command's shell.
    fn start(&mut self, command: &Command) -> Result<Pid, AgentError> {
        let shared = self.shared;
        let program = find_shell(&self.build.environment, self.build.rules.shell)?;
        self.build.state.prepare(self.user.as_ref())?;
        let script = if self.build.rules.carry_state {
            self.carrying_script(command)?
        } else {
            script::plain(&command.text)
        };
        let user = self.user.as_ref();
        let path = self.build.state.write_script("script.sh", &script, user)?;
        let Build { environment, rules, .. } = &*self.build;
        let mut process =
            launch::command(shared.layout.agent(), &program, &[&path], environment, &rules.source_dir, user);
        let stdio = || shared.capture.stdio().map_err(AgentError::system("open the log for a command"));
        process.process_group(0).stdout(stdio()?).stderr(stdio()?);
        let pid = shared.processes.spawn(&mut process);
        pid.map_err(|source| AgentError::Start { program, source })
    }

    fn carrying_script(&mut self, command: &Command) -> Result<Vec<u8>, AgentError> {
        let Build { environment, state, succeeding, rules, .. } = &mut *self.build;
        state.translate(self.shared, environment, rules.shell)?;
        let directory = state.directory();
        if !Path::new(&directory).is_dir() {
            // `cd` will fail and say so; the command then runs where its process began.
            state.append([(OsStr::new("PWD"), rules.source_dir.as_os_str())])?;
        }
        let with = Carrying { files: state.files(), directory: &directory, succeeding: *succeeding };
        Ok(script::carrying(&command.text, &with))
    }
}

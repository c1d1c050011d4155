//! Running the commands of a phase.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use runspan_agent_protocol::{
    Command, Event, Exit, Pause, PhaseEnd, RunPhase, Shell, StepOptions, StopReason,
};
use rustix::process::Pid;

use crate::build::Build;
use crate::carried::find_shell;
use crate::error::AgentError;
use crate::processes::Waited;
use crate::script::{self, Carrying};
use crate::shared::Shared;
use crate::users::{self, User};
use crate::{exit_of, launch};

/// Time between TERM and KILL for a step whose own time is over.
const STEP_GRACE: Duration = Duration::from_secs(5);

/// One phase being run.
#[derive(Debug)]
pub(crate) struct Phase<'a> {
    shared: &'a Shared,
    build: &'a mut Build,
    request: u64,
    user: Option<User>,
}

/// Name of the script that holds a step's own variables.
const STEP_EXPORTS: &str = "step.sh";

/// A command's shell, and saved variables that its own ones hide.
#[derive(Debug)]
struct Started {
    pid: Pid,
    hidden: Vec<(OsString, OsString)>,
}

/// Runs a phase.
pub(crate) fn run(shared: &Shared, build: &mut Build, request: u64, order: &RunPhase) -> PhaseEnd {
    build.set_succeeding(order.succeeding);
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
                let forgiven = command.step.as_ref().is_some_and(|step| step.continue_on_error);
                if !exit.is_success() && !forgiven {
                    self.build.set_succeeding(false);
                    failure.get_or_insert(PhaseEnd::Failed { command: command.text.clone(), exit });
                    self.pause_after_failure();
                    break;
                }
            }
        }
        match self.shared.control.ended(self.request) {
            Some(reason) => PhaseEnd::Ended(reason),
            None => failure.unwrap_or(PhaseEnd::Succeeded),
        }
    }

    fn pause_after_failure(&self) {
        if self.build.rules.pause_on_failure {
            let Shared { control, log, .. } = self.shared;
            log.line("The build waits after a failed command; `codebuild-resume` lets it go on");
            control.pause(self.request, Pause::Failure, log, || false);
        }
    }

    fn run_command(&mut self, command: &Command, index: u32, finally: bool) -> Exit {
        let Shared { log, capture, cgroup, .. } = self.shared;
        let step = command.step.as_ref();
        let shown = step.and_then(|step| step.name.as_deref()).unwrap_or(&command.text);
        log.event(Event::CommandStarted { index, finally, text: command.text.clone() });
        log.running(shown);
        let started = Instant::now();
        let oom_kills = cgroup.oom_kills();
        let exit = match self.start(command) {
            Ok(started) => {
                let exit = self.wait(started.pid, step);
                match self.unhide(step, &started.hidden) {
                    Err(error) if exit.is_success() => Exit::NotStarted(error.to_string()),
                    _ => exit,
                }
            }
            Err(error) => Exit::NotStarted(error.to_string()),
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        capture.drain(log);
        log.command_over();
        let killed = matches!(exit, Exit::Status(_) | Exit::Signal(_)) && !exit.is_success();
        self.log_failure(shown, step, &exit);
        let exit = if killed && cgroup.oom_kills() > oom_kills {
            let limit = self.build.rules.memory_limit.or_else(|| cgroup.memory_limit());
            let limit_text =
                limit.map_or("out of memory".into(), |limit| format!("memory limit {}", gib(limit)));
            log.line(&format!("`{}` was killed: {limit_text}", shown.trim_end()));
            Exit::OutOfMemory { limit }
        } else {
            exit
        };
        log.event(Event::CommandEnded { index, finally, exit: exit.clone(), duration_ms });
        exit
    }

    fn log_failure(&self, shown: &str, step: Option<&StepOptions>, exit: &Exit) {
        let how = match exit {
            Exit::Status(0) => return,
            Exit::Status(status) => format!("exit status {status}"),
            Exit::Signal(signal) => format!("killed by signal {signal}{}", signal_name(*signal)),
            Exit::OutOfMemory { .. } => "killed for want of memory".into(),
            Exit::Ended(StopReason::Stopped) => "ended: the build was stopped".into(),
            Exit::Ended(StopReason::TimedOut) if self.shared.control.ended(self.request).is_none() => {
                let seconds = step.and_then(|step| step.timeout_seconds).unwrap_or(0);
                format!("ended: the step's {seconds} seconds are over")
            }
            Exit::Ended(StopReason::TimedOut) => "ended: the build's time is over".into(),
            Exit::NotStarted(reason) => format!("not started: {reason}"),
        };
        let shown = shown.trim_end_matches('\n');
        self.shared.log.line(&format!("Command did not exit successfully {shown} {how}"));
    }

    /// Starts a command's shell.
    fn start(&mut self, command: &Command) -> Result<Started, AgentError> {
        let shared = self.shared;
        let step = command.step.as_ref();
        let shell = step.and_then(|step| step.shell).unwrap_or(self.build.rules.shell);
        let program = find_shell(&self.build.environment, shell)?;
        let own_dir = step.and_then(|step| step.working_directory.as_ref());
        let own_dir = own_dir.map(|dir| self.build.rules.source_dir.join(dir));
        self.build.state.prepare(self.user.as_ref())?;
        let mut hidden = Vec::new();
        let script = if self.build.rules.carry_state {
            hidden = self.hide(step)?;
            self.carrying_script(command, shell, own_dir.as_deref())?
        } else {
            script::plain(&command.text)
        };
        let user = self.user.as_ref();
        let path = self.build.state.write_script("script.sh", &script, user)?;
        let Build { environment, rules, .. } = &*self.build;
        let mut environment = Cow::Borrowed(environment);
        for variable in step.iter().flat_map(|step| &step.environment) {
            environment.to_mut().set(variable)?;
        }
        // Where state is carried the script changes the directory itself.
        let directory = own_dir.filter(|_| !rules.carry_state);
        let directory = directory.as_ref().unwrap_or(&rules.source_dir);
        let mut process =
            launch::command(shared.layout.agent(), &program, &[&path], &environment, directory, user);
        let stdio = || shared.capture.stdio().map_err(AgentError::system("open the log for a command"));
        process.process_group(0).stdout(stdio()?).stderr(stdio()?);
        let pid = shared.processes.spawn(&mut process);
        let pid = pid.map_err(|source| AgentError::Start { program, source })?;
        Ok(Started { pid, hidden })
    }

    /// Saved variables that a step's own ones hide while it runs.
    fn hide(&self, step: Option<&StepOptions>) -> Result<Vec<(OsString, OsString)>, AgentError> {
        let own = step.map(|step| step.environment.as_slice()).unwrap_or_default();
        if own.is_empty() {
            return Ok(Vec::new());
        }
        let Build { environment, state, .. } = &*self.build;
        let saved = state.variables(self.shared, environment)?;
        let value = |name: &String| Some((name.into(), saved.get(name)?.to_owned()));
        Ok(own.iter().filter_map(|variable| value(&variable.name)).collect())
    }

    fn carrying_script(
        &mut self,
        command: &Command,
        shell: Shell,
        own_dir: Option<&Path>,
    ) -> Result<Vec<u8>, AgentError> {
        let Build { environment, state, succeeding, rules } = &mut *self.build;
        state.translate(self.shared, environment, shell)?;
        let own = command.step.as_ref().map(|step| step.environment.as_slice()).unwrap_or_default();
        let names: Vec<&str> = own
            .iter()
            .map(|variable| variable.name.as_str())
            .filter(|name| script::is_shell_name(OsStr::new(name)))
            .collect();
        let exports: Vec<u8> =
            own.iter().flat_map(|variable| script::export(&variable.name, variable.value.reveal())).collect();
        let exports = match names.as_slice() {
            [] => None,
            _ => Some(state.write_script(STEP_EXPORTS, &exports, self.user.as_ref())?),
        };
        let directory = own_dir.map_or_else(|| state.directory(), |dir| dir.as_os_str().to_owned());
        if own_dir.is_none() && !Path::new(&directory).is_dir() {
            // `cd` will fail and say so; the command then runs where its process began.
            state.append([(OsStr::new("PWD"), rules.source_dir.as_os_str())])?;
        }
        let with = Carrying {
            files: state.files(),
            directory: &directory,
            keep_directory: own_dir.is_none(),
            succeeding: *succeeding,
            only_here: exports.as_deref().map(|path| (path, names.as_slice())),
        };
        Ok(script::carrying(&command.text, &with))
    }

    /// Clears up after a step that had variables of its own.
    fn unhide(&self, step: Option<&StepOptions>, hidden: &[(OsString, OsString)]) -> Result<(), AgentError> {
        let Build { state, rules, .. } = &*self.build;
        let step = step.filter(|_| rules.carry_state);
        if step.is_some_and(|step| !step.environment.is_empty()) {
            state.remove_script(STEP_EXPORTS);
            state.append(hidden.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())))?;
        }
        if step.is_some_and(|step| step.working_directory.is_some()) {
            state.append([(OsStr::new("PWD"), state.directory().as_os_str())])?;
        }
        Ok(())
    }

    /// Waits for a command's shell; ends everything when the build is to end.
    fn wait(&self, pid: Pid, step: Option<&StepOptions>) -> Exit {
        let Shared { processes, control, .. } = self.shared;
        let step_end = step
            .and_then(|step| step.timeout_seconds)
            .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
        let until = control.deadline().into_iter().chain(step_end).min();
        match processes.wait(pid, until, || control.ended(self.request)) {
            Waited::Exited(status) => exit_of(status),
            Waited::Interrupted(_) | Waited::TimeOver => match control.ended(self.request) {
                Some(reason) => {
                    processes.end_all(|| control.kill_at(self.request));
                    processes.forget(pid);
                    Exit::Ended(reason)
                }
                None => {
                    processes.end_group(pid, STEP_GRACE);
                    Exit::Ended(StopReason::TimedOut)
                }
            },
        }
    }
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

const fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        14 => " (SIGALRM)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

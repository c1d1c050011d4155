//! Running the processes of steps, as GitHub Actions has them.

mod command;
mod files;
mod filter;

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runspan_agent_protocol::{
    Annotation, Event, Exit, Level, PrepareSteps, RunStep, StepId, StepReport, layout,
};
use rustix::process::Pid;

pub(crate) use filter::{Effects, Filter, Sink};

use crate::build::Build;
use crate::carried;
use crate::ended::{self, Watched};
use crate::environment::Environment;
use crate::error::AgentError;
use crate::launch;
use crate::phase::pause_after_failure;
use crate::shared::Shared;
use crate::users::{self, User};
use files::{StepFiles, Written};
use filter::Rules;

/// Makes what steps find when they begin.
pub(crate) fn prepare(shared: &Shared, order: &PrepareSteps) -> Result<(), AgentError> {
    shared.log.add_secrets(&order.mask)?;
    for directory in &order.directories {
        let path = shared.layout.place(directory);
        carried::make_dir(&path)?;
        // Steps of every user work in them.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1777))
            .map_err(AgentError::file("open to everybody", &path))?;
    }
    for (path, text) in &order.files {
        let path = shared.layout.place(path);
        if let Some(parent) = path.parent() {
            carried::make_dir(parent)?;
        }
        std::fs::write(&path, text).map_err(AgentError::file("write", &path))?;
    }
    Ok(())
}

/// Runs one process.
pub(crate) fn run(shared: &Shared, build: &mut Build, request: u64, order: RunStep) -> StepReport {
    let RunStep { tell, .. } = &order;
    tell.iter().for_each(|event| shared.log.event(event.clone()));
    let started = Instant::now();
    let watched = Watched::new(shared, request, &order.title, build.rules.memory_limit);
    shared.log.running(&order.title);
    let time = order.timeout_seconds.map(Duration::from_secs);
    let mut process = Process { shared, build, request, order: &order, files: None };
    let (exit, effects) = match process.start() {
        Ok(pid) => {
            let exit = ended::wait(shared, request, pid, time);
            shared.capture.drain(&shared.log);
            (exit, shared.log.end_step())
        }
        Err(error) => (Exit::NotStarted(error.to_string()), Effects::default()),
    };
    shared.log.command_over();
    let written = process.files.take().map(StepFiles::take).unwrap_or_default();
    let exit = watched.ended(exit, time);
    let mut report = StepReport {
        exit,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        environment: Vec::new(),
        outputs: Vec::new(),
        state: Vec::new(),
        matchers: Vec::new(),
        faults: Vec::new(),
    };
    if let Err(error) = process.settle(effects, written, &mut report) {
        report.faults.push(error.to_string());
    }
    shared.log.step_faults(order.step, &report.faults);
    let failed = !report.exit.is_success() || !report.faults.is_empty();
    if failed && !order.may_fail && shared.control.ended(request).is_none() {
        pause_after_failure(shared, build, request);
    }
    report
}

/// A process that is to be run.
struct Process<'a> {
    shared: &'a Shared,
    build: &'a mut Build,
    request: u64,
    order: &'a RunStep,
    files: Option<StepFiles>,
}

impl Process<'_> {
    fn start(&mut self) -> Result<Pid, AgentError> {
        let (shared, order) = (self.shared, self.order);
        let user = order.run_as.as_deref().map(|name| users::find(Path::new("/etc"), name)).transpose()?;
        let user = user.as_ref();
        let mut environment = self.build.step_variables(shared)?.clone();
        for variable in &order.defaults {
            if environment.get(&variable.name).is_none() {
                environment.set(variable)?;
            }
        }
        for variable in &order.environment {
            environment.set(variable)?;
        }
        let temp = shared.layout.place(layout::STEPS_TEMP);
        let commands_dir = temp.join("_runner_file_commands");
        carried::make_dir(&commands_dir)?;
        let files = StepFiles::create(&commands_dir, self.request, user)?;
        for (name, path) in files.variables() {
            environment.put(name, path);
        }
        self.files = Some(files);
        let script = self.script(&temp, user)?;
        let (program, arguments) = self.program(&environment, script.as_deref())?;
        let own_dir = order.working_directory.as_ref().map(|dir| self.build.rules.source_dir.join(dir));
        let directory = own_dir.as_ref().unwrap_or(&self.build.rules.source_dir);
        if !directory.is_dir() {
            return Err(AgentError::NoDirectory { path: directory.clone() });
        }
        environment.put("PWD", directory);
        let mut process =
            launch::command(shared.layout.agent(), &program, &arguments, &environment, directory, user);
        let stdio = || shared.capture.stdio().map_err(AgentError::system("open the log for a step"));
        process.process_group(0).stdout(stdio()?).stderr(stdio()?);
        let is_on = |name: &str| {
            environment.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
        };
        let rules = Rules {
            step: order.step,
            unsecure: is_on("ACTIONS_ALLOW_UNSECURE_COMMANDS"),
            unsecure_tokens: is_on("ACTIONS_ALLOW_UNSECURE_STOPCOMMAND_TOKENS"),
            debug: is_on("RUNNER_DEBUG"),
            directory: self.build.rules.source_dir.clone(),
        };
        // What is in the pipe already is not this step's.
        shared.capture.drain(&shared.log);
        shared.log.begin_step(Filter::new(rules));
        match shared.processes.spawn(&mut process) {
            Ok(pid) => Ok(pid),
            Err(source) => {
                shared.log.end_step();
                Err(AgentError::Start { program, source })
            }
        }
    }

    fn script(&self, temp: &Path, user: Option<&User>) -> Result<Option<PathBuf>, AgentError> {
        let Some(script) = &self.order.script else { return Ok(None) };
        let path = temp.join(format!("{}{}", self.request, script.extension));
        files::write_new(&path, script.text.as_bytes(), 0o700, user)
            .map_err(AgentError::file("write the script", &path))?;
        Ok(Some(path))
    }

    /// The first program that is there, and its arguments.
    fn program(
        &self,
        environment: &Environment,
        script: Option<&Path>,
    ) -> Result<(PathBuf, Vec<OsString>), AgentError> {
        for command in &self.order.commands {
            let Some((name, arguments)) = command.split_first() else { continue };
            let found = if name.contains('/') {
                Some(PathBuf::from(name)).filter(|path| path.exists())
            } else {
                // Every image must have this one, whatever `PATH` says.
                let standard = || Some(PathBuf::from("/bin/sh")).filter(|path| name == "sh" && path.exists());
                environment.find(name).or_else(standard)
            };
            if let Some(program) = found {
                let script = script.map(Path::as_os_str).unwrap_or_default();
                return Ok((program, arguments.iter().map(|argument| fill(argument, script)).collect()));
            }
        }
        let names: Vec<&str> =
            self.order.commands.iter().filter_map(|command| command.first()).map(String::as_str).collect();
        Err(AgentError::NoProgram {
            names: names.join(" or "),
            path: environment.get("PATH").unwrap_or_default().to_string_lossy().into_owned(),
        })
    }

    /// What the process set, in effect from now on.
    fn settle(
        &mut self,
        effects: Effects,
        written: Written,
        report: &mut StepReport,
    ) -> Result<(), AgentError> {
        if let Some(script) = &self.order.script {
            let temp = self.shared.layout.place(layout::STEPS_TEMP);
            let _ = std::fs::remove_file(temp.join(format!("{}{}", self.request, script.extension)));
        }
        report.outputs = [effects.outputs, written.outputs].concat();
        report.state = [effects.state, written.state].concat();
        report.matchers = effects.matchers;
        report.faults = [effects.faults, written.faults].concat();
        if let (Some(step), Some(text)) = (self.order.step, written.summary) {
            self.shared.log.event(Event::Summarised { step, text });
        }
        let mut set = [effects.environment, written.environment].concat();
        if set.iter().any(|(name, _)| name.eq_ignore_ascii_case("NODE_OPTIONS")) {
            set.retain(|(name, _)| !name.eq_ignore_ascii_case("NODE_OPTIONS"));
            let message = "Can't store NODE_OPTIONS output parameter using '$GITHUB_ENV' command.".to_owned();
            self.shared.log.line(&message);
            if let Some(step) = self.order.step {
                let annotation = Annotation { message, ..Annotation::default() };
                self.shared.log.event(Event::Annotated { step, annotation });
            }
        }
        report.environment = set.clone();
        let path = [effects.path, written.path].concat();
        if !path.is_empty() {
            let variables = self.build.step_variables(self.shared)?;
            let mut text = OsString::new();
            for entry in path.iter().rev() {
                text.push(entry);
                text.push(":");
            }
            text.push(variables.get("PATH").unwrap_or_default());
            set.push(("PATH".into(), text.to_string_lossy().into_owned()));
        }
        self.build.carry(self.shared, &set)
    }
}

/// `{0}` as the script.
fn fill(argument: &str, script: &OsStr) -> OsString {
    let mut filled = OsString::new();
    let mut parts = argument.split("{0}");
    filled.push(parts.next().unwrap_or_default());
    for part in parts {
        filled.push(script);
        filled.push(part);
    }
    filled
}

/// The annotation of a fault.
pub(crate) fn fault(step: StepId, message: &str) -> Event {
    Event::Annotated {
        step,
        annotation: Annotation { level: Level::Error, message: message.to_owned(), ..Annotation::default() },
    }
}

//! The command line.

mod alarms;
mod api_key;
mod auto;
mod builds;
mod check;
mod completions;
mod doctor;
mod executor;
mod explain;
mod images;
mod pipelines;
mod register;
mod run;
mod serve;
mod shell;
mod translate;
mod unregister;
mod watch;

use std::fmt::Write as _;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::{Config, VARIABLES};
use crate::exit_code::Exit;
use crate::failure::Failure;

/// One self-hosted CI runner with AWS CodeBuild's semantics.
#[derive(Debug, Parser)]
#[command(name = "runspan", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build a directory, as CodeBuild would.
    Run(Box<run::RunArgs>),
    /// Say what is wrong with buildspecs.
    Check(check::CheckArgs),
    /// Turn a workflow, a Jenkinsfile or a bitbucket-pipelines.yml into a buildspec.
    Translate(translate::TranslateArgs),
    /// Be a runner of a host.
    #[command(subcommand)]
    Register(register::RegisterCommand),
    /// Be a runner no longer.
    #[command(subcommand)]
    Unregister(unregister::UnregisterCommand),
    /// List the runners that this machine is.
    List(unregister::ListArgs),
    /// Take jobs of every host that this machine is a runner of, and answer CodeBuild's API.
    Serve(serve::ServeArgs),
    /// Say who may call CodeBuild's API on this machine.
    #[command(subcommand)]
    ApiKey(api_key::ApiKeyCommand),
    /// Look at builds, stop them, run them again.
    #[command(subcommand)]
    Builds(builds::BuildsCommand),
    /// Look at the images that the sandbox keeps, fetch them, remove them.
    #[command(subcommand)]
    Images(images::ImagesCommand),
    /// Open a shell inside a running or paused build.
    Shell(shell::ShellArgs),
    /// Say what works on this machine, and what to do about the rest.
    Doctor(doctor::DoctorArgs),
    /// Print alarms and a dashboard for builds' metrics, or put them into the account.
    Alarms(alarms::AlarmsArgs),
    /// Hold an executor to CodeBuild's behaviour, case by case.
    Conformance(crate::conformance::Args),
    /// Print completions for a shell.
    Completions(completions::CompletionsArgs),
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// The command line with everything that its help says.
fn command() -> clap::Command {
    let mut environment = String::from("Environment:\n");
    let width = VARIABLES.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, meaning) in VARIABLES {
        let _ = writeln!(environment, "  {name:<width$}  {meaning}");
    }
    environment.push_str(
        "\nExit status: 0 succeeded; 1 the build failed; 2 bad input or usage; 3 the infrastructure failed;\n4 `translate` left work to a person; 130 stopped.",
    );
    Cli::command().after_help(environment)
}

impl Cli {
    /// Reads the process's arguments; prints help, and what is wrong with them, by itself.
    pub(crate) fn read() -> Self {
        let matches = command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Does what was asked.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self.command {
            Command::Run(args) => block_on(run::run(*args, Config::load()?)),
            Command::Check(args) => check::check(&args),
            Command::Translate(args) => translate::translate(&args),
            Command::Register(command) => block_on(register::register_with(command, Config::load()?)),
            Command::Unregister(command) => block_on(unregister::unregister_with(command, Config::load()?)),
            Command::List(args) => unregister::list(&args, &Config::load()?),
            Command::Serve(args) => block_on(serve::serve(args, Config::load()?)),
            Command::ApiKey(command) => api_key::api_key(&command, &Config::load()?),
            Command::Builds(command) => builds::builds(command, &Config::load()?),
            Command::Images(command) => images::images(command, &Config::load()?),
            Command::Shell(args) => block_on(shell::shell(args, Config::load()?)),
            Command::Doctor(args) => block_on(doctor::doctor(args, Config::load()?)),
            Command::Alarms(args) => block_on(alarms::alarms(args, Config::load()?)),
            Command::Conformance(args) => Ok(crate::conformance::run(&args)),
            Command::Completions(args) => Ok(completions::completions(&args)),
        }
    }
}

/// Runs what waits for many things at once.
fn block_on(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::machine("the program cannot start its threads").because(&error))?;
    let result = runtime.block_on(work);
    // A thread that still reads the terminal is not waited for.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}

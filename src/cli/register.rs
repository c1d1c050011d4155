//! `runspan register`.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use runspan_agent_protocol::Secret;
use runspan_github::{Api, AppKey, Login, RUNNER_VERSION, Request, Scope, Store, register};

use crate::config::Config;
use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Be a runner of a host.
#[derive(Debug, Subcommand)]
pub(crate) enum RegisterCommand {
    /// Be a self-hosted runner of a repository, organisation or enterprise on GitHub.
    Github(Box<GitHubArgs>),
    /// Be a worker for a custom action of CodePipeline.
    Codepipeline(super::pipelines::RegisterArgs),
}

/// How to prove a right to runners.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Registration or removal token, as GitHub's page for new runners shows it.
    #[arg(long, value_name = "TOKEN", env = "RUNSPAN_GITHUB_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Personal access token that may administer the repository, organisation or enterprise.
    #[arg(long, value_name = "TOKEN", env = "RUNSPAN_GITHUB_PAT", hide_env_values = true)]
    pat: Option<String>,
    /// Client id or id of a GitHub App that is installed there.
    #[arg(long, value_name = "ID", requires = "app_key")]
    app_id: Option<String>,
    /// The app's private key, a PEM file.
    #[arg(long, value_name = "FILE", requires = "app_id")]
    app_key: Option<PathBuf>,
}

impl LoginArgs {
    /// The one that is given.
    pub(super) fn login(&self) -> Result<Login, Failure> {
        match (&self.app_id, &self.app_key, &self.pat, &self.token) {
            (Some(issuer), Some(path), _, _) => {
                let key = fs::read_to_string(path).map_err(|error| {
                    Failure::input(format!("the app's key {} cannot be read", path.display())).because(&error)
                })?;
                Ok(Login::App(AppKey { issuer: issuer.clone(), key: Secret::new(key) }))
            }
            (_, _, _, Some(token)) => Ok(Login::RegistrationToken(Secret::new(token))),
            (_, _, Some(pat), None) => Ok(Login::PersonalAccessToken(Secret::new(pat))),
            _ => Err(Failure::input("nothing proves the right to register runners").help(
                "give --token with the token of GitHub's page for new runners, --pat with a personal access token, \
                 or --app-id with --app-key",
            )),
        }
    }
}

/// Be a self-hosted runner of a repository, organisation or enterprise on GitHub.
#[derive(Debug, Args)]
pub(crate) struct GitHubArgs {
    /// What the runner is for: `https://github.com/OWNER/REPOSITORY`, `…/ORGANISATION` or `…/enterprises/NAME`.
    #[arg(long, value_name = "URL")]
    url: String,
    #[command(flatten)]
    login: LoginArgs,
    /// The runner's name [default: this machine's].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Labels beside self-hosted, Linux and the processor's.
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    labels: Vec<String>,
    /// Leave out the labels that every self-hosted runner has.
    #[arg(long)]
    no_default_labels: bool,
    /// Runner group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Take one job, after which GitHub forgets the runner.
    #[arg(long)]
    ephemeral: bool,
    /// Take the place of a runner with the same name.
    #[arg(long)]
    replace: bool,
    /// Register so many, NAME-1 to NAME-N, for as many jobs at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    slots: u16,
    /// Version of GitHub's own runner to say [default: the newest].
    #[arg(long, value_name = "VERSION", env = "RUNSPAN_GITHUB_RUNNER_VERSION")]
    runner_version: Option<String>,
}

/// Registers.
pub(super) async fn register_with(command: RegisterCommand, config: Config) -> Result<Exit, Failure> {
    let args = match command {
        RegisterCommand::Github(args) => args,
        RegisterCommand::Codepipeline(args) => return super::pipelines::register(args, &config).await,
    };
    let scope = Scope::parse(&args.url)?;
    let store = store(&config)?;
    let api = Api::new(scope, args.login.login()?, RUNNER_VERSION)?;
    let version = match &args.runner_version {
        Some(version) => version.clone(),
        None => api.newest_runner().await.unwrap_or_else(|| RUNNER_VERSION.to_owned()),
    };
    let base = args.name.clone().unwrap_or_else(machine);
    for slot in 1..=args.slots {
        let name = if args.slots == 1 { base.clone() } else { format!("{base}-{slot}") };
        let place = store.place(&name);
        if let Ok(Some(known)) = place.registration()
            && !args.replace
        {
            let scope = known.scope.map(|scope| format!(" for {scope}")).unwrap_or_default();
            return Err(Failure::input(format!("{name} is registered on this machine already{scope}"))
                .help("choose another --name, or take its place with --replace"));
        }
        let request = Request {
            name: name.clone(),
            labels: args.labels.clone(),
            no_default_labels: args.no_default_labels,
            group: args.group.clone(),
            ephemeral: args.ephemeral,
            replace: args.replace,
            version: version.clone(),
        };
        let registered = register(&api, &request).await?;
        place.keep(&registered.registration).map_err(|error| {
            Failure::machine(format!("the registration cannot be kept in {}", place.root().display()))
                .because(&error)
                .help("make room there and register again with --replace")
        })?;
        let labels = registered.registration.labels.join(", ");
        let how = if registered.replaced { "registered anew" } else { "registered" };
        console::print(&format!("{name} is {how} for {} with the labels {labels}\n", args.url));
    }
    console::note("note: `runspan serve` takes its jobs");
    Ok(Exit::Success)
}

/// Where this machine keeps its registrations.
pub(super) fn store(config: &Config) -> Result<Store, Failure> {
    let journal = config.journal()?;
    let root = journal.home().root().join("github");
    Store::open(&root).map_err(|error| {
        Failure::machine(format!("registrations cannot be kept in {}", root.display())).because(&error)
    })
}

/// This machine's name.
fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

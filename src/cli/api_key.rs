//! `runspan api-key`.

use clap::{Args, Subcommand};
use runspan_codebuild_api::{ApiKey, ApiKeys};

use crate::config::Config;
use crate::console::{self, table};
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Say who may call CodeBuild's API on this machine.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Make a key and print it as a profile of AWS's credentials file; its secret is shown this once.
    Create(CreateArgs),
    /// List keys, without their secrets.
    List,
    /// Remove keys; whoever has them is refused from now on.
    Rm(RmArgs),
}

/// Make a key.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Whose it is; also the profile's name, and the initiator of builds.
    #[arg(default_value = "runspan")]
    name: String,
}

/// Remove keys.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// A key's id, or the name of all of somebody's keys.
    key: String,
}

pub(super) fn api_key(command: &ApiKeyCommand, config: &Config) -> Result<Exit, Failure> {
    let journal = config.journal()?;
    let keys = ApiKeys::of(journal.home().root());
    match command {
        ApiKeyCommand::Create(args) => create(&keys, &args.name, &config.region)?,
        ApiKeyCommand::List => list(&keys)?,
        ApiKeyCommand::Rm(args) => remove(&keys, &args.key)?,
    }
    Ok(Exit::Success)
}

fn create(keys: &ApiKeys, name: &str, region: &str) -> Result<(), Failure> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_legal) {
        return Err(Failure::input(format!("`{name}` is no name for a key"))
            .help("use at most 64 letters, digits, `-`, `_`, `.` and `@`"));
    }
    let ApiKey { name, id, secret, .. } = keys.create(name).map_err(|error| Failure::of(&error))?;
    console::print(&format!(
        "[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {}\nregion = {region}\n",
        secret.reveal()
    ));
    console::note(&format!(
        "note: put this into ~/.aws/credentials, serve with `runspan serve --listen 127.0.0.1:3000`, then\n      \
         aws codebuild list-projects --profile {name} --endpoint-url http://127.0.0.1:3000"
    ));
    Ok(())
}

fn list(keys: &ApiKeys) -> Result<(), Failure> {
    let all = keys.list().map_err(|error| Failure::of(&error))?;
    let rows: Vec<_> =
        all.into_iter().map(|key| [key.id, key.name, key.created.strftime("%F %T").to_string()]).collect();
    console::print(&table(["ID", "NAME", "CREATED"], &rows));
    Ok(())
}

fn remove(keys: &ApiKeys, key: &str) -> Result<(), Failure> {
    match keys.remove(key).map_err(|error| Failure::of(&error))? {
        0 => Err(Failure::input(format!("there is no key `{key}`"))
            .help("`runspan api-key list` shows those there are")),
        _ => Ok(()),
    }
}

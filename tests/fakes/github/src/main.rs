//! `fake-github`: GitHub's Actions service for use by hand.
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use fake_github::{
    FakeGitHub,
    model::{Delivery, Push, Settings, TokenKind},
};

/// GitHub's Actions service, as a runner sees it, in one process.
#[derive(Parser)]
struct Arguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How others reach it, when that is not the address it listens on
    #[arg(long)]
    url: Option<String>,
    /// A repository and the folder with its files; they are pushed at once
    #[arg(long, value_name = "OWNER/NAME[@REF]=FOLDER")]
    repository: Vec<String>,
    /// A personal access token that is good for everything
    #[arg(long, default_value = "ghp_fake")]
    pat: String,
    /// A registration token that is good for everything; printed when it is not given
    #[arg(long)]
    registration_token: Option<String>,
    /// Jobs go through the older queue, as GitHub Enterprise Server has it
    #[arg(long)]
    queue: bool,
    /// Registration goes through the runner-admin calls
    #[arg(long)]
    runner_admin: bool,
    /// Seconds for which an empty poll is held
    #[arg(long, default_value_t = 50)]
    poll_hold: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fake-github: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings {
        delivery: if arguments.queue {
            Delivery::Queue { encrypted: true, fips: true }
        } else {
            Delivery::Broker
        },
        runner_admin: arguments.runner_admin,
        poll_hold: Duration::from_secs(arguments.poll_hold),
        ..Settings::default()
    };
    let github = FakeGitHub::listen(arguments.listen, arguments.url.as_deref(), settings).await?;
    github.change(|github| github.allow(&arguments.pat));
    let token = github.change(|github| match arguments.registration_token {
        Some(token) => {
            github.allow_as(&token, TokenKind::Registration);
            token
        }
        None => github.runner_token(TokenKind::Registration).0,
    });
    println!("url: {}", github.url());
    println!("pat: {}", arguments.pat);
    println!("registration-token: {token}");
    for repository in &arguments.repository {
        let (name, folder) =
            repository.split_once('=').ok_or_else(|| format!("{repository} is not OWNER/NAME=FOLDER"))?;
        let (name, reference) = name.split_once('@').unwrap_or((name, "refs/heads/main"));
        let push = Push {
            repository: name.to_owned(),
            reference: reference.to_owned(),
            files: fake_github::files_of(&PathBuf::from(folder))?,
            message: "Push by hand".to_owned(),
            actor: "octocat".to_owned(),
        };
        let (sha, runs) = github.change(|github| github.push(&push))?;
        println!("pushed: {name} {sha}");
        for run in runs {
            println!("run: {}/_fake/runs/{run}", github.url());
        }
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}

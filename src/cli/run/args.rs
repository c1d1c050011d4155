//! The flags of `runspan run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::executor::Choice;
use crate::cli::watch::OutputArgs;

/// Build a directory, as CodeBuild would.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The source directory, or a buildspec, workflow, Jenkinsfile or bitbucket-pipelines.yml in it.
    #[arg(value_name = "DIR|FILE")]
    pub(super) what: Option<PathBuf>,
    /// Buildspec: a path in the source or on this machine, or the text itself.
    #[arg(long, value_name = "FILE|TEXT")]
    pub(super) buildspec: Option<String>,
    /// Image of the container.
    #[arg(long, value_name = "IMAGE")]
    pub(super) image: Option<String>,
    /// What gives the build its container.
    #[arg(long, value_enum, default_value_t)]
    pub(super) executor: Choice,
    /// Where artifacts go [default: the build's own directory].
    #[arg(long, value_name = "DIR")]
    pub(super) artifacts: Option<PathBuf>,
    /// Where test and coverage reports go as well.
    #[arg(long, value_name = "DIR")]
    pub(super) reports: Option<PathBuf>,
    /// A variable of the build; beats the project and the buildspec.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) env: Vec<String>,
    /// Variables from a file of NAME=VALUE lines; `#` begins a comment.
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Vec<PathBuf>,
    /// Variables whose values the log shows as `***`, from a file of NAME=VALUE lines.
    #[arg(long, value_name = "FILE")]
    pub(super) secrets_file: Vec<PathBuf>,
    /// What started the build: a webhook's payload, of GitHub or Bitbucket.
    #[arg(long, value_name = "FILE")]
    pub(super) event: Option<PathBuf>,
    /// The source instead of a directory: a git URL, a zip file, another directory.
    #[arg(long, value_name = "URL|ZIP|DIR")]
    pub(super) source: Option<String>,
    /// Version of the source: branch, tag, commit.
    #[arg(long, value_name = "VERSION")]
    pub(super) source_version: Option<String>,
    /// One more source, at CODEBUILD_SRC_DIR_NAME.
    #[arg(long, value_name = "NAME=DIR|URL")]
    pub(super) secondary_source: Vec<String>,
    /// A project in the shape of CodeBuild's, JSON or YAML; or the name of one that was made with `create-project`.
    #[arg(long, value_name = "FILE|NAME")]
    pub(super) project: Option<PathBuf>,
    /// One job of a workflow, Jenkinsfile or bitbucket-pipelines.yml; of the last also a pipeline, as in
    /// `branches.main`.
    #[arg(long, value_name = "NAME")]
    pub(super) job: Option<String>,
    /// Where caches live [default: the state directory].
    #[arg(long, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// CPUs and memory, as in BUILD_GENERAL1_SMALL [default: all of this machine].
    #[arg(long, value_name = "TYPE")]
    pub(super) compute_type: Option<String>,
    /// Give the container every right over this machine, for builds that run Docker inside.
    #[arg(long)]
    pub(super) privileged: bool,
    /// Give the container the engine's own socket, which is as much as root.
    #[arg(long)]
    pub(super) grant_docker_socket: bool,
    /// End the build after so many minutes, which may be a fraction [default: 60].
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    pub(super) timeout: Option<Duration>,
    /// Run the buildspec's phases as one build, although it has a `batch`.
    #[arg(long)]
    pub(super) no_batch: bool,
    /// Pause when a command fails, with a shell inside.
    #[arg(long)]
    pub(super) shell_on_failure: bool,
    /// Let `codebuild-breakpoint` pause the build.
    #[arg(long)]
    pub(super) debug_session: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// CodeBuild's longest timeout.
const MAX_MINUTES: f64 = 2160.0;

fn minutes(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= MAX_MINUTES => {
            Ok(Duration::from_secs((minutes * 60.0).ceil() as u64))
        }
        _ => Err(format!("expected minutes, up to {MAX_MINUTES}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_may_be_fractions() {
        assert_eq!(minutes("1"), Ok(Duration::from_secs(60)));
        assert_eq!(minutes("0.02"), Ok(Duration::from_secs(2)));
        for text in ["0", "-1", "soon", "2161", "nan", "inf"] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }
}

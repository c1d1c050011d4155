//! The variables CodeBuild sets. Source: user guide, "Environment variables in build environments".

use crate::build::{Build, LOCAL_ACCOUNT};
use crate::project::{ProjectSource, SourceType};
use crate::request::BuildRequest;
use crate::supervisor::console_url;

/// Region of a build that names none.
pub const DEFAULT_REGION: &str = "us-east-1";

/// Where the sources are in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceDirs {
    /// `CODEBUILD_SRC_DIR`.
    pub primary: String,
    /// Secondary source identifier and `CODEBUILD_SRC_DIR_<identifier>`.
    pub secondary: Vec<(String, String)>,
}

impl SourceDirs {
    /// The directories of a build: CodeBuild's layout, with digits that follow from the build's id.
    pub fn of(build: &Build, request: &BuildRequest) -> Self {
        let seed = build.id.uuid().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let number =
            |index: usize| 1_000_000_000 + (seed >> 8).wrapping_add(index as u64 * 7919) % 9_000_000_000;
        let dir = |index: usize, source: &ProjectSource| {
            format!("/codebuild/output/src{}/src{}", number(index), repository_path(source))
        };
        Self {
            primary: dir(0, &request.source),
            secondary: request
                .secondary_sources
                .iter()
                .enumerate()
                .map(|(index, (source, _))| {
                    (source.source_identifier.clone().unwrap_or_default(), dir(index + 1, source))
                })
                .collect(),
        }
    }
}

/// The part of the path that comes from a git URL, as in `/github.com/owner/repo`.
fn repository_path(source: &ProjectSource) -> String {
    let Some(location) = source.location.as_deref().filter(|_| source.kind.is_git()) else {
        return String::new();
    };
    let without_scheme = location.split_once("://").map_or(location, |(_, rest)| rest);
    let without_login = without_scheme.rsplit_once('@').map_or(without_scheme, |(_, rest)| rest);
    let path: Vec<&str> = without_login
        .trim_end_matches('/')
        .trim_end_matches(".git")
        .split(['/', ':'])
        .filter(|part| !part.is_empty() && *part != "." && *part != "..")
        .collect();
    format!("/{}", path.join("/"))
}

/// Every variable that CodeBuild itself sets for this build, in the guide's order. `origin_url` is where a directory
/// that is a git checkout comes from; empty for none.
pub fn codebuild_variables(
    build: &Build,
    request: &BuildRequest,
    dirs: &SourceDirs,
    region: &str,
    origin_url: &str,
) -> Vec<(String, String)> {
    let mut all = Vec::with_capacity(32);
    let mut set = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
    set("AWS_DEFAULT_REGION", region);
    set("AWS_REGION", region);
    if let Some(batch) = &request.batch {
        set("CODEBUILD_BATCH_BUILD_IDENTIFIER", &batch.identifier);
        if let Some((index, total)) = batch.shard {
            set("RUNSPAN_SHARD_INDEX", &index.to_string());
            set("RUNSPAN_SHARD_TOTAL", &total.to_string());
        }
    }
    set("CODEBUILD_BUILD_ARN", &build.arn);
    set("CODEBUILD_BUILD_ID", build.id.as_str());
    set("CODEBUILD_BUILD_IMAGE", &build.environment.image);
    set("CODEBUILD_BUILD_NUMBER", &build.build_number.to_string());
    set("CODEBUILD_BUILD_SUCCEEDING", "1");
    set("CODEBUILD_BUILD_URL", &console_url(region, &build.id));
    set("CODEBUILD_CI", "true");
    set("CODEBUILD_INITIATOR", &build.initiator);
    let default_key = format!("arn:aws:kms:{region}:{LOCAL_ACCOUNT}:alias/aws/s3");
    set("CODEBUILD_KMS_KEY_ID", request.project.encryption_key.as_deref().unwrap_or(&default_key));
    set("CODEBUILD_LOG_PATH", &build.logs.stream_name);
    set(
        "CODEBUILD_PROJECT_ARN",
        &format!("arn:aws:codebuild:{region}:{LOCAL_ACCOUNT}:project/{}", build.project_name),
    );
    if let Some(version) = &build.resolved_source_version {
        set("CODEBUILD_RESOLVED_SOURCE_VERSION", version);
    }
    set("CODEBUILD_SOURCE_REPO_URL", &repository_url(&request.source, origin_url));
    set("CODEBUILD_SOURCE_VERSION", build.source_version.as_deref().unwrap_or_default());
    for (source, version) in &request.secondary_sources {
        let identifier = source.source_identifier.as_deref().unwrap_or_default();
        set(&format!("CODEBUILD_SOURCE_REPO_URL_{identifier}"), &repository_url(source, ""));
        set(&format!("CODEBUILD_SOURCE_VERSION_{identifier}"), version.as_deref().unwrap_or_default());
    }
    set("CODEBUILD_SRC_DIR", &dirs.primary);
    for (identifier, dir) in &dirs.secondary {
        set(&format!("CODEBUILD_SRC_DIR_{identifier}"), dir);
    }
    set("CODEBUILD_START_TIME", &build.start_time.as_millisecond().to_string());
    set("HOME", "/root");
    all
}

fn repository_url(source: &ProjectSource, origin_url: &str) -> String {
    let location = source.location.as_deref().unwrap_or_default();
    match source.kind {
        SourceType::NoSource | SourceType::Codepipeline => String::new(),
        SourceType::Directory => origin_url.to_owned(),
        SourceType::S3 if !location.starts_with("s3://") => format!("s3://{location}"),
        _ => location.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_sources_lie_below_their_host_and_path() {
        for (location, path) in [
            ("https://github.com/o/r.git", "/github.com/o/r"),
            ("https://user@bitbucket.org/o/r", "/bitbucket.org/o/r"),
            ("git@github.com:o/r.git", "/github.com/o/r"),
            ("https://h/../../etc/", "/h/etc"),
        ] {
            let source = ProjectSource {
                kind: SourceType::Github,
                location: Some(location.into()),
                ..ProjectSource::default()
            };
            assert_eq!(repository_path(&source), path);
        }
        let local = ProjectSource { location: Some("/tmp/x".into()), ..ProjectSource::default() };
        assert_eq!(repository_path(&local), "");
    }
}

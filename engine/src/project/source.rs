//! Where a project's sources come from.

use serde::{Deserialize, Serialize};

/// `source`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct ProjectSource {
    #[serde(rename = "type")]
    pub kind: SourceType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_clone_depth: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_submodules_config: Option<GitSubmodulesConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buildspec: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_ssl: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<SourceAuth>,
}

/// `source.auth`: the login of this source, in place of the one that its kind of host has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct SourceAuth {
    #[serde(rename = "type")]
    pub kind: SourceAuthType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// `source.auth.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum SourceAuthType {
    Oauth,
    Codeconnections,
    SecretsManager,
}

/// `source.type`, and `DIRECTORY` for a directory of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum SourceType {
    /// Ours: a directory, or a zip file, of this machine.
    #[default]
    Directory,
    Codecommit,
    Codepipeline,
    Github,
    GithubEnterprise,
    Gitlab,
    GitlabSelfManaged,
    Bitbucket,
    S3,
    NoSource,
}

impl SourceType {
    /// Its name, CodeBuild's where it has one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "DIRECTORY",
            Self::Codecommit => "CODECOMMIT",
            Self::Codepipeline => "CODEPIPELINE",
            Self::Github => "GITHUB",
            Self::GithubEnterprise => "GITHUB_ENTERPRISE",
            Self::Gitlab => "GITLAB",
            Self::GitlabSelfManaged => "GITLAB_SELF_MANAGED",
            Self::Bitbucket => "BITBUCKET",
            Self::S3 => "S3",
            Self::NoSource => "NO_SOURCE",
        }
    }

    /// Whether a token for this kind of host may go to a URL, whatever a build calls another host.
    pub fn takes_token(self, url: &str) -> bool {
        let own = match self {
            Self::Github => "https://github.com/",
            Self::Gitlab => "https://gitlab.com/",
            Self::Bitbucket => "https://bitbucket.org/",
            _ => "",
        };
        url.starts_with(own)
    }

    /// The user name that goes with a token which has none.
    pub const fn token_user(self) -> &'static str {
        match self {
            Self::Bitbucket => "x-token-auth",
            Self::Gitlab | Self::GitlabSelfManaged => "oauth2",
            _ => "x-access-token",
        }
    }

    /// Whether the source is fetched with git.
    pub const fn is_git(self) -> bool {
        matches!(
            self,
            Self::Codecommit
                | Self::Github
                | Self::GithubEnterprise
                | Self::Gitlab
                | Self::GitlabSelfManaged
                | Self::Bitbucket
        )
    }
}

/// `source.gitSubmodulesConfig`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct GitSubmodulesConfig {
    pub fetch_submodules: bool,
}

/// One of `secondarySourceVersions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct SecondarySourceVersion {
    pub source_identifier: String,
    pub source_version: String,
}

use serde::{Deserialize, Serialize};

use crate::Secret;

/// What a build asks for, through the agent, while it runs. Nothing of it is kept in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Credentials of the project's role. Answered by [`Answer::Credentials`].
    Credentials,
    /// A login for a git repository, by the URL's parts. Answered by [`Answer::GitLogin`].
    GitLogin {
        /// As in `https`.
        protocol: String,
        /// Host, with the port where the URL has one.
        host: String,
        /// Path, without the first slash.
        path: String,
    },
}

/// The supervisor's answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Of a role.
    Credentials(RoleCredentials),
    /// None for a host of which nothing is known.
    GitLogin(Option<GitLogin>),
}

/// Credentials that end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleCredentials {
    /// The public half.
    pub access_key_id: String,
    /// The other half.
    pub secret_access_key: Secret,
    /// What says that they are of the role.
    pub token: Secret,
    /// When they end, as in `2026-01-02T03:04:05Z`.
    pub expiration: String,
    /// The role's ARN.
    pub role_arn: String,
}

/// User name and password, or token, of a git host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitLogin {
    /// User name.
    pub username: String,
    /// Password or token.
    pub password: Secret,
}

/// What a build may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offers {
    /// [`Question::Credentials`].
    pub credentials: bool,
    /// [`Question::GitLogin`].
    pub git_logins: bool,
}

//! What builds run in.

use serde::{Deserialize, Serialize};

/// `environment`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct ProjectEnvironment {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub image: Option<String>,
    pub compute_type: Option<String>,
    pub compute_configuration: Option<ComputeConfiguration>,
    pub environment_variables: Vec<EnvironmentVariable>,
    pub privileged_mode: Option<bool>,
    pub registry_credential: Option<RegistryCredential>,
    pub image_pull_credentials_type: Option<String>,
}

/// `environment.computeConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComputeConfiguration {
    /// vCPUs.
    pub v_cpu: Option<u32>,
    /// GiB.
    pub memory: Option<u32>,
}

/// `environment.registryCredential`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct RegistryCredential {
    pub credential: String,
    pub credential_provider: String,
}

/// One of `environment.environmentVariables`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct EnvironmentVariable {
    pub name: String,
    pub value: String,
    #[serde(rename = "type", default)]
    pub kind: VariableType,
}

impl EnvironmentVariable {
    /// A plain variable.
    pub fn plain(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), kind: VariableType::Plaintext }
    }
}

/// `environmentVariables[].type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum VariableType {
    #[default]
    Plaintext,
    ParameterStore,
    SecretsManager,
}

/// Memory in bytes and vCPUs of a compute type; `None` for one that CodeBuild does not have.
pub fn compute_size(compute_type: &str) -> Option<(u64, f64)> {
    const GIB: u64 = 1 << 30;
    let (memory, cpus) = match compute_type {
        "BUILD_GENERAL1_SMALL" => (4, 2.0),
        "BUILD_GENERAL1_MEDIUM" => (8, 4.0),
        "BUILD_GENERAL1_LARGE" => (16, 8.0),
        "BUILD_GENERAL1_XLARGE" => (72, 36.0),
        "BUILD_GENERAL1_2XLARGE" => (144, 72.0),
        "BUILD_LAMBDA_1GB" => (1, 1.0),
        "BUILD_LAMBDA_2GB" => (2, 2.0),
        "BUILD_LAMBDA_4GB" => (4, 3.0),
        "BUILD_LAMBDA_8GB" => (8, 5.0),
        "BUILD_LAMBDA_10GB" => (10, 6.0),
        _ => return None,
    };
    Some((memory * GIB, cpus))
}

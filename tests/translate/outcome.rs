//! What a build has to come to.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `outcome.yml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Outcome {
    /// `--job`, of the translation and of the build.
    pub(crate) job: Option<String>,
    /// `--event`: the payload, as JSON.
    pub(crate) event: Option<String>,
    /// `--env`.
    pub(crate) env: BTreeMap<String, String>,
    /// Variables of the `--secrets-file`.
    pub(crate) secrets: BTreeMap<String, String>,
    /// `debian`, or `busybox`, which has no bash.
    pub(crate) image: Image,
    /// The exit status; without it nothing is built.
    pub(crate) exit: Option<i32>,
    /// Texts of the log, in this order; each build's own lines begin with `identifier | ` in a batch.
    pub(crate) log: Vec<String>,
    /// Texts that are neither in the log nor on standard error.
    pub(crate) absent: Vec<String>,
    /// Texts on standard error.
    pub(crate) stderr: Vec<String>,
    /// Files below the artifacts directory, with what they hold.
    pub(crate) artifacts: BTreeMap<String, String>,
    /// Report groups, with their number of test cases.
    pub(crate) reports: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Image {
    #[default]
    Debian,
    Busybox,
}

impl Image {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Debian => "runspan-test/debian",
            Self::Busybox => "runspan-test/busybox",
        }
    }
}

//! The buildspec as a value: every key of versions 0.1 and 0.2, in CodeBuild's own words.
//!
//! Source of the facts: AWS CodeBuild user guide, "Build specification reference" and
//! "Batch build buildspec reference". Maps keep the order of the file.

use indexmap::IndexMap;

/// A whole buildspec file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buildspec {
    /// `version`.
    pub version: Version,
    /// `run-as`: the Linux user for every command; root when absent.
    pub run_as: Option<String>,
    /// `env` (0.2) or `environment_variables` (0.1).
    pub env: Env,
    /// `proxy`.
    pub proxy: Option<Proxy>,
    /// `batch`.
    pub batch: Option<Batch>,
    /// `phases`.
    pub phases: Phases,
    /// `reports`: report group name or ARN to its settings.
    pub reports: IndexMap<String, Report>,
    /// `artifacts`.
    pub artifacts: Option<Artifacts>,
    /// `cache`.
    pub cache: Option<Cache>,
}

/// The buildspec version, which decides whether shell state is carried between commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Each command starts from the original directory and environment.
    V0_1,
    /// Directory and variables carry over from command to command.
    #[default]
    V0_2,
}

/// `env`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Env {
    /// `shell`; `sh` when absent.
    pub shell: Option<Shell>,
    /// `variables`: literal text, never expanded.
    pub variables: IndexMap<String, String>,
    /// `parameter-store`: variable to SSM parameter name.
    pub parameter_store: IndexMap<String, String>,
    /// `secrets-manager`: variable to `secret-id:json-key:version-stage:version-id`.
    pub secrets_manager: IndexMap<String, String>,
    /// `exported-variables`.
    pub exported_variables: Vec<String>,
    /// `git-credential-helper`.
    pub git_credential_helper: Option<bool>,
}

/// `env.shell`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// `bash`.
    Bash,
    /// `/bin/sh` (also written `sh`).
    Sh,
    /// `powershell.exe`, Windows only.
    PowerShell,
    /// `cmd.exe`, Windows only.
    Cmd,
}

/// `proxy`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proxy {
    /// `upload-artifacts`.
    pub upload_artifacts: Option<bool>,
    /// `logs`.
    pub logs: Option<bool>,
}

/// `phases`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phases {
    /// `install`.
    pub install: Option<Phase>,
    /// `pre_build`.
    pub pre_build: Option<Phase>,
    /// `build`.
    pub build: Option<Phase>,
    /// `post_build`.
    pub post_build: Option<Phase>,
}

/// One entry of `phases`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phase {
    /// `run-as`, over the top-level one.
    pub run_as: Option<String>,
    /// `on-failure`; the standard transitions when absent.
    pub on_failure: Option<OnFailure>,
    /// `runtime-versions`, in `install` only: runtime to version.
    pub runtime_versions: IndexMap<String, String>,
    /// `commands` or `steps`.
    pub work: Work,
    /// `finally`.
    pub finally: Vec<String>,
}

/// What a phase runs: a phase has `commands` or `steps`, never both.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// `commands`.
    Commands(Vec<String>),
    /// `steps`, in GitHub Actions' syntax.
    Steps(Vec<Step>),
}

impl Default for Work {
    fn default() -> Self {
        Self::Commands(Vec::new())
    }
}

/// `on-failure`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Stop the build at this phase.
    Abort,
    /// Go on to the next phase; the build still ends FAILED.
    Continue,
    /// Retry the whole build: `RETRY`, `RETRY-n`, `RETRY-<regex>`, `RETRY-n-<regex>`.
    Retry {
        /// Tries, 0 to 100; 3 when the file gives none.
        count: u8,
        /// Only when the error message matches; the text of a regular expression.
        pattern: Option<String>,
    },
}

/// One entry of `steps`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// `id`.
    pub id: Option<String>,
    /// `if`: an expression, with or without `${{ }}`.
    pub condition: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `uses` or `run`.
    pub action: StepAction,
    /// `env`.
    pub env: IndexMap<String, String>,
    /// `continue-on-error`: an expression or `true`/`false`.
    pub continue_on_error: Option<String>,
    /// `timeout-minutes`: an expression or a number.
    pub timeout_minutes: Option<String>,
}

/// The work of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum StepAction {
    /// `uses`.
    Uses {
        /// `owner/repo@ref`, `./path` or `docker://image`.
        uses: String,
        /// `with`.
        with: IndexMap<String, String>,
    },
    /// `run`.
    Run {
        /// The script.
        run: String,
        /// `shell`.
        shell: Option<String>,
        /// `working-directory`.
        working_directory: Option<String>,
    },
}

impl Default for StepAction {
    fn default() -> Self {
        Self::Run { run: String::new(), shell: None, working_directory: None }
    }
}

/// One entry of `reports`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// `files`: globs.
    pub files: Vec<String>,
    /// `file-format`; JUNITXML when absent.
    pub file_format: Option<ReportFormat>,
    /// `base-directory`.
    pub base_directory: Option<String>,
    /// `discard-paths`.
    pub discard_paths: Option<bool>,
}

/// `file-format`, case-insensitive in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum ReportFormat {
    #[default]
    JunitXml,
    CucumberJson,
    NunitXml,
    Nunit3Xml,
    TestNgXml,
    VisualStudioTrx,
    CloverXml,
    CoberturaXml,
    JacocoXml,
    SimpleCov,
}

impl ReportFormat {
    /// Every format, tests first.
    pub const ALL: [Self; 10] = [
        Self::JunitXml,
        Self::CucumberJson,
        Self::NunitXml,
        Self::Nunit3Xml,
        Self::TestNgXml,
        Self::VisualStudioTrx,
        Self::CloverXml,
        Self::CoberturaXml,
        Self::JacocoXml,
        Self::SimpleCov,
    ];

    /// CodeBuild's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JunitXml => "JUNITXML",
            Self::CucumberJson => "CUCUMBERJSON",
            Self::NunitXml => "NUNITXML",
            Self::Nunit3Xml => "NUNIT3XML",
            Self::TestNgXml => "TESTNGXML",
            Self::VisualStudioTrx => "VISUALSTUDIOTRX",
            Self::CloverXml => "CLOVERXML",
            Self::CoberturaXml => "COBERTURAXML",
            Self::JacocoXml => "JACOCOXML",
            Self::SimpleCov => "SIMPLECOV",
        }
    }

    /// Whether the report group is of type CODE_COVERAGE (else TEST).
    pub const fn is_coverage(self) -> bool {
        matches!(self, Self::CloverXml | Self::CoberturaXml | Self::JacocoXml | Self::SimpleCov)
    }
}

/// `artifacts`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Artifacts {
    /// The primary artifact's own keys.
    pub primary: Artifact,
    /// `secondary-artifacts`: artifact identifier to its settings.
    pub secondary: IndexMap<String, Artifact>,
}

/// The keys of one artifact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Artifact {
    /// `files`: globs under the base directory.
    pub files: Vec<String>,
    /// `name`: evaluated by the shell at build time.
    pub name: Option<String>,
    /// `discard-paths`.
    pub discard_paths: Option<bool>,
    /// `base-directory`: a directory or a glob of directories.
    pub base_directory: Option<String>,
    /// `exclude-paths`: globs under the base directory.
    pub exclude_paths: Vec<String>,
    /// `enable-symlinks`.
    pub enable_symlinks: Option<bool>,
    /// `s3-prefix`.
    pub s3_prefix: Option<String>,
    /// `type`, 0.1 only and ignored.
    pub kind: Option<String>,
}

/// `cache`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cache {
    /// `paths`: files, directories or globs.
    pub paths: Vec<String>,
    /// `key`: evaluated by the shell when the cache is restored.
    pub key: Option<String>,
    /// `fallback-keys`: prefixes, in order, at most five.
    pub fallback_keys: Vec<String>,
    /// `action`; both when absent.
    pub action: Option<CacheAction>,
}

/// `cache.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheAction {
    /// Only download.
    Restore,
    /// Only upload.
    Save,
}

/// `batch`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `fast-fail`.
    pub fast_fail: Option<bool>,
    /// Exactly one of `build-list`, `build-graph`, `build-matrix`, `build-fanout`.
    pub plan: BatchPlan,
}

/// The kind of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchPlan {
    /// `build-list`.
    List(Vec<BatchBuild>),
    /// `build-graph`.
    Graph(Vec<BatchBuild>),
    /// `build-matrix`.
    Matrix(Box<Matrix>),
    /// `build-fanout`.
    Fanout {
        /// `parallelism`.
        parallelism: u32,
        /// `ignore-failure`.
        ignore_failure: Option<bool>,
    },
}

impl Default for BatchPlan {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// One task of a list or a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchBuild {
    /// `identifier`: unique in the batch.
    pub identifier: String,
    /// `buildspec`: path or text; this file when absent.
    pub buildspec: Option<String>,
    /// `debug-session`.
    pub debug_session: Option<bool>,
    /// `depend-on`, in a graph only.
    pub depend_on: Vec<String>,
    /// `env`.
    pub env: BatchEnv,
    /// `ignore-failure`.
    pub ignore_failure: Option<bool>,
}

/// `env` of a batch task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchEnv {
    /// `compute-type`.
    pub compute_type: Option<String>,
    /// `fleet`; not together with `compute-type`.
    pub fleet: Option<String>,
    /// `image`.
    pub image: Option<String>,
    /// `privileged-mode`.
    pub privileged_mode: Option<bool>,
    /// `type`.
    pub kind: Option<String>,
    /// `variables`.
    pub variables: IndexMap<String, String>,
}

/// `build-matrix`: the cartesian product of every list under `dynamic`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// `static.ignore-failure`.
    pub ignore_failure: Option<bool>,
    /// `static.env`.
    pub env: BatchEnv,
    /// `dynamic.buildspec`.
    pub buildspec: Vec<String>,
    /// `dynamic.env.compute-type`.
    pub compute_type: Vec<String>,
    /// `dynamic.env.image`.
    pub image: Vec<String>,
    /// `dynamic.env.fleet`.
    pub fleet: Vec<String>,
    /// `dynamic.env.type`.
    pub kind: Vec<String>,
    /// `dynamic.env.privileged-mode`.
    pub privileged_mode: Vec<bool>,
    /// `dynamic.env.variables`: variable to its values.
    pub variables: IndexMap<String, Vec<String>>,
}

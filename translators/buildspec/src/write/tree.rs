//! [`Buildspec`] to keys and values, in the order of CodeBuild's guide.

use indexmap::IndexMap;

use crate::{
    Artifact, Artifacts, Batch, BatchBuild, BatchEnv, BatchPlan, Buildspec, Cache, CacheAction, Env, Matrix,
    Phase, Phases, Proxy, Report, Shell, Step, StepAction, Version, Work,
};

/// What is to be printed.
pub(super) enum Tree {
    /// Printed as it is: a number, `yes`, `true`.
    Plain(String),
    /// Text, quoted where needed.
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

type Entries = Vec<(String, Tree)>;

/// Collects the keys that are there.
#[derive(Default)]
struct Keys(Entries);

impl Keys {
    fn put(&mut self, key: &str, value: Tree) {
        self.0.push((key.into(), value));
    }

    fn text(&mut self, key: &str, text: Option<&str>) {
        self.0.extend(text.map(|text| (key.into(), Tree::Text(text.into()))));
    }

    /// `yes` or `no`, as the guide writes it.
    fn flag(&mut self, key: &str, flag: Option<bool>) {
        let word = |flag| if flag { "yes" } else { "no" };
        self.0.extend(flag.map(|flag| (key.into(), Tree::Plain(word(flag).into()))));
    }

    /// `true` or `false`, as the guide writes it in `batch`.
    fn truth(&mut self, key: &str, flag: Option<bool>) {
        self.0.extend(flag.map(|flag| (key.into(), Tree::Plain(flag.to_string()))));
    }

    fn texts(&mut self, key: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.put(key, list(texts));
        }
    }

    fn text_map(&mut self, key: &str, map: &IndexMap<String, String>) {
        if !map.is_empty() {
            self.put(
                key,
                Tree::Map(map.iter().map(|(key, text)| (key.clone(), Tree::Text(text.clone()))).collect()),
            );
        }
    }

    fn map(&mut self, key: &str, keys: Self) {
        if !keys.0.is_empty() {
            self.put(key, Tree::Map(keys.0));
        }
    }
}

fn list(texts: &[String]) -> Tree {
    Tree::List(texts.iter().cloned().map(Tree::Text).collect())
}

fn named<T>(map: &IndexMap<String, T>, tree: impl Fn(&T) -> Keys) -> Tree {
    Tree::Map(map.iter().map(|(name, value)| (name.clone(), Tree::Map(tree(value).0))).collect())
}

/// The keys of a buildspec.
pub(super) fn of(buildspec: &Buildspec) -> Entries {
    let Buildspec { version, run_as, env: variables, proxy, batch, phases, reports, artifacts, cache } =
        buildspec;
    let mut keys = Keys::default();
    let text = match version {
        Version::V0_1 => "0.1",
        Version::V0_2 => "0.2",
    };
    keys.put("version", Tree::Plain(text.into()));
    keys.text("run-as", run_as.as_deref());
    env(&mut keys, variables, *version);
    if let Some(Proxy { upload_artifacts, logs }) = proxy {
        let mut proxy = Keys::default();
        proxy.flag("upload-artifacts", *upload_artifacts);
        proxy.flag("logs", *logs);
        keys.put("proxy", Tree::Map(proxy.0));
    }
    if let Some(Batch { fast_fail, plan }) = batch {
        let mut batch = Keys::default();
        batch.truth("fast-fail", *fast_fail);
        self::plan(&mut batch, plan);
        keys.put("batch", Tree::Map(batch.0));
    }
    if batch.is_none() || *phases != Phases::default() {
        keys.put("phases", Tree::Map(self::phases(phases).0));
    }
    if !reports.is_empty() {
        keys.put("reports", named(reports, report));
    }
    if let Some(artifacts) = artifacts {
        keys.put("artifacts", Tree::Map(self::artifacts(artifacts).0));
    }
    if let Some(cache) = cache {
        keys.put("cache", Tree::Map(self::cache(cache).0));
    }
    keys.0
}

fn env(keys: &mut Keys, env: &Env, version: Version) {
    let Env { shell, variables, parameter_store, secrets_manager, exported_variables, git_credential_helper } =
        env;
    let mut inner = Keys::default();
    inner.text("shell", shell.map(shell_name));
    match version {
        Version::V0_1 => {
            let mut old = Keys::default();
            old.text_map("plaintext", variables);
            keys.map("environment_variables", old);
        }
        Version::V0_2 => inner.text_map("variables", variables),
    }
    inner.text_map("parameter-store", parameter_store);
    inner.text_map("secrets-manager", secrets_manager);
    inner.texts("exported-variables", exported_variables);
    inner.flag("git-credential-helper", *git_credential_helper);
    keys.map("env", inner);
}

const fn shell_name(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => "bash",
        Shell::Sh => "/bin/sh",
        Shell::PowerShell => "powershell.exe",
        Shell::Cmd => "cmd.exe",
    }
}

fn plan(keys: &mut Keys, plan: &BatchPlan) {
    let builds = |builds: &[BatchBuild]| Tree::List(builds.iter().map(build).collect());
    match plan {
        BatchPlan::List(list) => keys.put("build-list", builds(list)),
        BatchPlan::Graph(graph) => keys.put("build-graph", builds(graph)),
        BatchPlan::Matrix(matrix) => keys.put("build-matrix", Tree::Map(self::matrix(matrix).0)),
        BatchPlan::Fanout { parallelism, ignore_failure } => {
            let mut fanout = Keys::default();
            fanout.put("parallelism", Tree::Plain(parallelism.to_string()));
            fanout.truth("ignore-failure", *ignore_failure);
            keys.put("build-fanout", Tree::Map(fanout.0));
        }
    }
}

fn build(build: &BatchBuild) -> Tree {
    let BatchBuild { identifier, buildspec, debug_session, depend_on, env, ignore_failure } = build;
    let mut keys = Keys::default();
    keys.text("identifier", Some(identifier));
    keys.text("buildspec", buildspec.as_deref());
    keys.truth("debug-session", *debug_session);
    keys.texts("depend-on", depend_on);
    keys.map("env", batch_env(env));
    keys.truth("ignore-failure", *ignore_failure);
    Tree::Map(keys.0)
}

fn batch_env(env: &BatchEnv) -> Keys {
    let BatchEnv { compute_type, fleet, image, privileged_mode, kind, variables } = env;
    let mut keys = Keys::default();
    keys.text("compute-type", compute_type.as_deref());
    keys.text("fleet", fleet.as_deref());
    keys.text("image", image.as_deref());
    keys.truth("privileged-mode", *privileged_mode);
    keys.text("type", kind.as_deref());
    keys.text_map("variables", variables);
    keys
}

fn matrix(matrix: &Matrix) -> Keys {
    let Matrix {
        ignore_failure,
        env,
        buildspec,
        compute_type,
        image,
        fleet,
        kind,
        privileged_mode,
        variables,
    } = matrix;
    let mut fixed = Keys::default();
    fixed.truth("ignore-failure", *ignore_failure);
    fixed.map("env", batch_env(env));
    let mut lists = Keys::default();
    lists.texts("compute-type", compute_type);
    lists.texts("fleet", fleet);
    lists.texts("image", image);
    if !privileged_mode.is_empty() {
        let modes = privileged_mode.iter().map(|mode| Tree::Plain(mode.to_string()));
        lists.put("privileged-mode", Tree::List(modes.collect()));
    }
    lists.texts("type", kind);
    if !variables.is_empty() {
        let variables = variables.iter().map(|(name, values)| (name.clone(), list(values)));
        lists.put("variables", Tree::Map(variables.collect()));
    }
    let mut dynamic = Keys::default();
    dynamic.texts("buildspec", buildspec);
    dynamic.map("env", lists);
    let mut keys = Keys::default();
    keys.map("static", fixed);
    keys.put("dynamic", Tree::Map(dynamic.0));
    keys
}

fn phases(phases: &Phases) -> Keys {
    let Phases { install, pre_build, build, post_build } = phases;
    let mut keys = Keys::default();
    for (name, phase) in
        [("install", install), ("pre_build", pre_build), ("build", build), ("post_build", post_build)]
    {
        if let Some(phase) = phase {
            keys.put(name, Tree::Map(self::phase(phase).0));
        }
    }
    keys
}

fn phase(phase: &Phase) -> Keys {
    let Phase { run_as, on_failure, runtime_versions, work, finally } = phase;
    let mut keys = Keys::default();
    keys.text("run-as", run_as.as_deref());
    keys.text("on-failure", on_failure.as_ref().map(ToString::to_string).as_deref());
    keys.text_map("runtime-versions", runtime_versions);
    match work {
        Work::Commands(commands) if commands.is_empty() && !runtime_versions.is_empty() => {}
        Work::Commands(commands) => keys.put("commands", list(commands)),
        Work::Steps(steps) => keys.put("steps", Tree::List(steps.iter().map(step).collect())),
    }
    keys.texts("finally", finally);
    keys
}

fn step(step: &Step) -> Tree {
    let Step { id, condition, name, action, env, continue_on_error, timeout_minutes } = step;
    let mut keys = Keys::default();
    keys.text("id", id.as_deref());
    keys.text("if", condition.as_deref());
    keys.text("name", name.as_deref());
    match action {
        StepAction::Uses { uses, with } => {
            keys.text("uses", Some(uses));
            keys.text_map("with", with);
        }
        StepAction::Run { run, shell, working_directory } => {
            keys.text("run", Some(run));
            keys.text("shell", shell.as_deref());
            keys.text("working-directory", working_directory.as_deref());
        }
    }
    keys.text_map("env", env);
    keys.text("continue-on-error", continue_on_error.as_deref());
    keys.text("timeout-minutes", timeout_minutes.as_deref());
    Tree::Map(keys.0)
}

fn report(report: &Report) -> Keys {
    let Report { files, file_format, base_directory, discard_paths } = report;
    let mut keys = Keys::default();
    keys.put("files", list(files));
    keys.text("file-format", file_format.map(crate::ReportFormat::name));
    keys.text("base-directory", base_directory.as_deref());
    keys.flag("discard-paths", *discard_paths);
    keys
}

fn artifacts(artifacts: &Artifacts) -> Keys {
    let Artifacts { primary, secondary } = artifacts;
    let mut keys = artifact(primary);
    if !secondary.is_empty() {
        if primary.files.is_empty() {
            keys.0.retain(|(key, _)| key != "files");
        }
        keys.put("secondary-artifacts", named(secondary, artifact));
    }
    keys
}

fn artifact(artifact: &Artifact) -> Keys {
    let Artifact {
        files,
        name,
        discard_paths,
        base_directory,
        exclude_paths,
        enable_symlinks,
        s3_prefix,
        kind,
    } = artifact;
    let mut keys = Keys::default();
    keys.text("type", kind.as_deref());
    keys.put("files", list(files));
    keys.text("name", name.as_deref());
    keys.flag("discard-paths", *discard_paths);
    keys.text("base-directory", base_directory.as_deref());
    keys.texts("exclude-paths", exclude_paths);
    keys.flag("enable-symlinks", *enable_symlinks);
    keys.text("s3-prefix", s3_prefix.as_deref());
    keys
}

fn cache(cache: &Cache) -> Keys {
    let Cache { paths, key, fallback_keys, action } = cache;
    let mut keys = Keys::default();
    keys.text("key", key.as_deref());
    keys.texts("fallback-keys", fallback_keys);
    keys.text(
        "action",
        action.map(|action| match action {
            CacheAction::Restore => "restore",
            CacheAction::Save => "save",
        }),
    );
    keys.texts("paths", paths);
    keys
}

//! What was gathered of a job, put together as a buildspec.

use indexmap::IndexMap;
use runspan_buildspec::{
    Artifact, Artifacts, Buildspec, Cache, Comments, Env, Phase, Phases, Report, Shell, Step, StepAction,
    Work, shell::quoted,
};

use super::{
    github,
    lower::Needed,
    shell::{Lowered, Test, is_name},
};

/// A job while its steps are gone through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// Variables that are known.
    pub(crate) variables: IndexMap<String, String>,
    /// Variables that the shell computes before the steps: name and what is inside double quotes.
    pub(crate) computed: IndexMap<String, String>,
    /// Commands before the steps.
    pub(crate) install: Vec<String>,
    pub(crate) runtimes: IndexMap<String, String>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) cache: Option<Cache>,
    pub(crate) artifacts: Vec<(String, Artifact)>,
    pub(crate) reports: IndexMap<String, Report>,
    pub(crate) privileged: bool,
    /// `exported-variables`, and what they are inside double quotes.
    pub(crate) exported: IndexMap<String, String>,
    /// Whether another job asks for its outputs.
    pub(crate) hands_on: bool,
    /// When the job runs at all.
    pub(crate) guard: Option<Test>,
    /// Whether steps stay steps.
    pub(crate) keeps_steps: bool,
    /// Whether bash is the shell.
    pub(crate) bash: bool,
}

/// A step, translated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    /// For whoever reads the buildspec.
    pub(crate) comment: String,
    /// Whether it runs although something failed.
    pub(crate) always: bool,
    /// When it runs.
    pub(crate) test: Option<Test>,
    /// What it does; each stops the build when it fails.
    pub(crate) commands: Vec<String>,
    /// The build goes on when it fails; the variable that keeps the outcome.
    pub(crate) tolerated: Option<Option<String>>,
    /// As a step.
    pub(crate) step: Option<Step>,
}

/// A build runs as root: whoever asks for root's rights has them.
const SUDO: &str = r#"command -v sudo > /dev/null || { printf '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec env "$@"\n' > /usr/local/bin/sudo; chmod +x /usr/local/bin/sudo; }"#;

/// What a job hands on to those behind it, among its artifacts.
pub(crate) const OUTPUTS: &str = "job-outputs.sh";

/// Reads the files that steps write to; written once, read after each step that uses them.
const FILES: &str = r#"cat > /tmp/github-files.sh <<'SCRIPT'
# Reads what a step wrote to GITHUB_OUTPUT (as $1_NAME), GITHUB_ENV and GITHUB_PATH.
take() {
  while IFS= read -r line || [ -n "$line" ]; do
    name=${line%%=*}
    case "$name" in
      '') continue ;;
      *'<<'*)
        name=${line%%<<*} end=${line#*<<} value=
        while IFS= read -r line && [ "$line" != "$end" ]; do
          value="$value$line
"
        done
        value=${value%?} ;;
      *) value=${line#*=} ;;
    esac
    [ -z "$2" ] || name=$2_$(printf %s "$name" | tr 'a-z.-' 'A-Z__')
    export "$name=$value"
  done < "$1"
  : > "$1"
}
take "$GITHUB_OUTPUT" "$1"
take "$GITHUB_ENV" ""
while IFS= read -r line; do export PATH="$line:$PATH"; done < "$GITHUB_PATH"
: > "$GITHUB_PATH"
SCRIPT"#;

impl Draft {
    /// A variable for every step.
    pub(crate) fn variable(&mut self, name: &str, lowered: &Lowered) {
        if !is_name(name) {
            return;
        }
        match lowered {
            Lowered::Known(value) => {
                drop(self.variables.insert(name.to_owned(), value.to_text().to_string()))
            }
            other if other.inside() == format!("${name}") => {}
            other => drop(self.computed.insert(name.to_owned(), other.inside())),
        }
    }

    pub(crate) fn add_cache(&mut self, cache: Cache) {
        match &mut self.cache {
            None => self.cache = Some(cache),
            Some(first) => {
                for path in cache.paths {
                    if !first.paths.contains(&path) {
                        first.paths.push(path);
                    }
                }
            }
        }
    }

    /// The buildspec.
    pub(crate) fn finish(mut self, needed: &Needed, title: &str, workflow: &str) -> (Buildspec, Comments) {
        let mut install = self.setup(needed, workflow);
        install.append(&mut self.install);
        let mut comments = Comments { header: title.to_owned(), ..Comments::default() };
        if !needed.given.is_empty() {
            let names: Vec<&str> = needed.given.iter().map(String::as_str).collect();
            comments.header.push_str(&format!("\nMust be given as variables: {}", names.join(", ")));
        }
        let phase = |commands: Vec<String>| {
            (!commands.is_empty()).then(|| Phase { work: Work::Commands(commands), ..Phase::default() })
        };
        let shell = self.bash.then_some(Shell::Bash);
        let mut exports: Vec<String> = self
            .exported
            .iter()
            .filter(|(name, inside)| **inside != format!("${name}"))
            .map(|(name, inside)| format!("export {name}=\"{inside}\""))
            .collect();
        if self.hands_on && !self.exported.is_empty() {
            let names: Vec<&str> = self.exported.keys().map(String::as_str).collect();
            exports.push(if self.bash {
                format!("declare -p {} > {OUTPUTS}", names.join(" "))
            } else {
                format!("export -p | grep -E ' ({})=' > {OUTPUTS}", names.join("|"))
            });
        }
        let exported_variables = self.exported.keys().cloned().collect();
        let (build, post_build) = if self.keeps_steps {
            (self.steps(&mut comments), phase(exports))
        } else {
            self.commands(exports, &mut comments)
        };
        let runtime_versions = std::mem::take(&mut self.runtimes);
        let install = (!install.is_empty() || !runtime_versions.is_empty()).then(|| Phase {
            runtime_versions,
            work: Work::Commands(install),
            ..Phase::default()
        });
        let env = Env { shell, variables: self.variables, exported_variables, ..Env::default() };
        let buildspec = Buildspec {
            env,
            phases: Phases { install, build, post_build, ..Phases::default() },
            reports: self.reports,
            artifacts: artifacts(self.artifacts, self.hands_on && !self.exported.is_empty()),
            cache: self.cache,
            ..Buildspec::default()
        };
        (buildspec, comments)
    }

    /// Commands that set what the steps expect.
    fn setup(&self, needed: &Needed, workflow: &str) -> Vec<String> {
        let mut setup = Vec::new();
        if needed.sudo {
            setup.push(SUDO.into());
        }
        for identifier in &needed.outputs_of {
            let variable = format!("$CODEBUILD_SRC_DIR_{identifier}");
            setup.push(format!("[ -z \"{variable}\" ] || . \"{variable}/{OUTPUTS}\""));
        }
        for given in
            github::all().filter(|given| needed.github.contains(given.variable) && !given.value.is_empty())
        {
            setup.push(format!("export {}=\"{}\"", given.variable, given.value));
        }
        if needed.github.contains("GITHUB_WORKFLOW") {
            setup.push(format!("export GITHUB_WORKFLOW={}", quoted(workflow)));
        }
        let computed = self.computed.iter().chain(&needed.defined);
        setup.extend(computed.map(|(name, inside)| format!("export {name}=\"{inside}\"")));
        if needed.files && !self.keeps_steps {
            setup.push(FILES.to_owned());
            setup.push(
                "export GITHUB_OUTPUT=/tmp/github-output GITHUB_ENV=/tmp/github-env GITHUB_PATH=/tmp/github-path \
                 GITHUB_STEP_SUMMARY=/tmp/github-step-summary.md"
                    .into(),
            );
            setup.push("touch $GITHUB_OUTPUT $GITHUB_ENV $GITHUB_PATH $GITHUB_STEP_SUMMARY".into());
        }
        if let Some(guard) = &self.guard {
            setup.push(format!(
                "if {}; then export JOB_RUNS=yes; else export JOB_RUNS=; echo \"This job is skipped\"; fi",
                guard.text
            ));
        }
        setup
    }

    fn guarded(&self, piece: &Piece, after: bool) -> Option<Test> {
        let mut tests = Vec::new();
        if self.guard.is_some() {
            tests.push(Test::single("[ -n \"$JOB_RUNS\" ]"));
        }
        if after && !piece.always {
            tests.push(Test::single("[ \"$CODEBUILD_BUILD_SUCCEEDING\" = 1 ]"));
        }
        tests.extend(piece.test.clone());
        (!tests.is_empty()).then(|| Test::joined(&tests, "&&"))
    }

    /// From the first step that also runs after a failure on, all is done in `post_build`.
    fn commands(&self, exports: Vec<String>, comments: &mut Comments) -> (Option<Phase>, Option<Phase>) {
        let split = self.pieces.iter().position(|piece| piece.always).unwrap_or(self.pieces.len());
        let (before, after) = self.pieces.split_at(split);
        let mut build = Vec::new();
        for piece in before {
            self.piece(piece, self.guarded(piece, false), "build", &mut build, comments);
        }
        if after.is_empty() {
            build.extend(exports.iter().cloned());
        }
        if build.is_empty() {
            build.push("echo \"Nothing to do\"".into());
        }
        let mut post = Vec::new();
        let several = after.len() > 1;
        for piece in after {
            let mut own = Vec::new();
            let mut piece = piece.clone();
            let comment = std::mem::take(&mut piece.comment);
            self.piece(&piece, self.guarded(&piece, true), "post_build", &mut own, &mut Comments::default());
            if several {
                // The steps behind it run whether it fails or not; the build fails in the end.
                let whole = match own.as_slice() {
                    [] | [_] => own.concat(),
                    several => format!("{{\n{}\n}}", all_of(several)),
                };
                own = if whole.is_empty() {
                    Vec::new()
                } else {
                    vec![format!("{whole}\n[ $? -eq 0 ] || touch /tmp/step-failed")]
                };
            }
            if let (false, false) = (comment.is_empty(), own.is_empty()) {
                comments.items.insert(format!("phases.post_build.commands[{}]", post.len()), comment);
            }
            post.extend(own);
        }
        if !after.is_empty() {
            post.extend(exports);
        }
        if several && !post.is_empty() {
            post.push("[ ! -e /tmp/step-failed ]".into());
        }
        let phase = |commands: Vec<String>| {
            (!commands.is_empty()).then(|| Phase { work: Work::Commands(commands), ..Phase::default() })
        };
        (phase(build), phase(post))
    }

    fn piece(
        &self,
        piece: &Piece,
        test: Option<Test>,
        phase: &str,
        into: &mut Vec<String>,
        comments: &mut Comments,
    ) {
        let mut commands = piece.commands.clone();
        if commands.is_empty() {
            return;
        }
        let path = format!("phases.{phase}.commands[{}]", into.len());
        if let Some(variable) = &piece.tolerated {
            let whole = all_of(&commands);
            let outcome = match variable {
                Some(variable) => format!("{variable}=$([ $? -eq 0 ] && echo success || echo failure)"),
                None => "[ $? -eq 0 ] || echo \"This step failed; the build goes on\"".into(),
            };
            commands = vec![format!("{whole}\n{outcome}")];
        }
        if let Some(test) = test {
            let whole = all_of(&commands);
            // A comment would hide the end.
            let short = !whole.contains(['\n', '#']);
            commands = vec![if short {
                format!("if {}; then {whole}; fi", test.text)
            } else {
                format!("if {}; then\n{whole}\nfi", test.text)
            }];
        }
        if !piece.comment.is_empty() {
            comments.items.insert(path, piece.comment.clone());
        }
        into.extend(commands);
    }

    fn steps(&self, comments: &mut Comments) -> Option<Phase> {
        let mut steps = Vec::new();
        for piece in &self.pieces {
            let step = match &piece.step {
                Some(step) => step.clone(),
                None if piece.commands.is_empty() => continue,
                None => Step {
                    name: (!piece.comment.is_empty()).then(|| piece.comment.clone()),
                    action: StepAction::Run {
                        run: piece.commands.join("\n"),
                        shell: Some("bash".into()),
                        working_directory: None,
                    },
                    ..Step::default()
                },
            };
            let mut step = step;
            if self.guard.is_some() {
                step.condition = Some(match step.condition {
                    Some(condition) => format!("env.JOB_RUNS == 'yes' && ({condition})"),
                    None => "env.JOB_RUNS == 'yes'".into(),
                });
            }
            if let StepAction::Uses { uses, .. } = &step.action {
                comments.items.insert(
                    format!("phases.build.steps[{}]", steps.len()),
                    format!("Only runspan runs this: CodeBuild has nothing like the action {uses}"),
                );
            }
            steps.push(step);
        }
        (!steps.is_empty()).then(|| Phase { work: Work::Steps(steps), ..Phase::default() })
    }
}

/// Commands of which each needs the success of the one before.
fn all_of(commands: &[String]) -> String {
    let Some((last, others)) = commands.split_last() else { return String::new() };
    let mut out = String::new();
    for command in others {
        // A comment at its end would hide what follows.
        let grouped = if command.contains('#') { format!("{{\n{command}\n}}") } else { command.clone() };
        out.push_str(&grouped);
        out.push_str(" &&\n");
    }
    out + last
}

fn artifacts(mut all: Vec<(String, Artifact)>, outputs: bool) -> Option<Artifacts> {
    let mut artifacts = match all.len() {
        0 if outputs => Artifacts::default(),
        0 => return None,
        1 => {
            let (name, artifact) = all.remove(0);
            Artifacts { primary: Artifact { name: Some(name), ..artifact }, ..Artifacts::default() }
        }
        _ => several(all),
    };
    if outputs {
        artifacts.primary.files.push(OUTPUTS.into());
    }
    Some(artifacts)
}

/// Each is one of its own; the primary one, which later builds get, has them all.
fn several(all: Vec<(String, Artifact)>) -> Artifacts {
    let mut artifacts = Artifacts::default();
    for (name, artifact) in all {
        let identifier: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        for file in &artifact.files {
            if !artifacts.primary.files.contains(file) {
                artifacts.primary.files.push(file.clone());
            }
        }
        let mut unique = identifier.clone();
        let mut number = 2;
        while artifacts.secondary.contains_key(&unique) {
            unique = format!("{identifier}_{number}");
            number += 1;
        }
        artifacts.secondary.insert(unique, Artifact { name: Some(name), ..artifact });
    }
    artifacts
}

#[cfg(test)]
mod tests {
    use super::all_of;

    #[test]
    fn each_command_needs_the_one_before() {
        let all =
            |commands: &[&str]| all_of(&commands.iter().map(|&command| command.into()).collect::<Vec<_>>());
        assert_eq!(all(&["a"]), "a");
        assert_eq!(all(&["a", "b # c", "d # e"]), "a &&\n{\nb # c\n} &&\nd # e");
    }
}

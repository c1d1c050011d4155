//! One step.

use runspan_buildspec::Code;

use crate::draft::{Command, Draft};
use crate::field::Field;
use crate::file::Translator;
use crate::variables;

impl<'a> Translator<'a> {
    /// Reads a step; what it says nothing of comes from the file's own settings.
    pub(crate) fn step(&mut self, step: &Field<'a>) -> Draft {
        let mut draft = Draft::default();
        draft.variables.insert("CI".into(), "true".into());
        self.defaults_of(step, &mut draft);
        let mut script = None;
        for (key, field) in step.entries() {
            match key {
                // After everything that may use a variable.
                "script" => script = Some(field),
                _ => self.key_of_step(key, &field, &mut draft),
            }
        }
        match script {
            Some(script) => self.script(&script, &mut draft),
            None if draft.by_hand.is_empty() => {
                let help = "a step has a `script`, a list of commands";
                self.account.fault(Code::MissingKey, step, "the step has no `script`", help);
            }
            None => draft.script.push(Command::plain("echo 'This step is to be done by hand.' >&2; exit 1")),
        }
        if let Some(set) = variables::set(&draft) {
            draft.before.insert(0, set);
        }
        draft
    }

    fn defaults_of(&mut self, step: &Field<'a>, draft: &mut Draft) {
        let lacks = |key: &str| step.get(key).is_none();
        if let Some(image) = self.defaults.image.clone().filter(|_| lacks("image")) {
            self.image(&image, draft);
        }
        if let Some(clone) = self.defaults.clone.clone().filter(|_| lacks("clone")) {
            self.clone_settings(&clone, draft);
        }
        if let Some(size) = self.defaults.option("size").filter(|_| lacks("size")) {
            self.size(&size, draft);
        }
        if let Some(runtime) = self.defaults.option("runtime").filter(|_| lacks("runtime")) {
            self.runtime(&runtime, draft);
        }
        if self.defaults.option("docker").is_some_and(|docker| docker.is_true()) {
            draft.env.privileged_mode = Some(true);
        }
    }

    fn key_of_step(&mut self, key: &str, field: &Field<'a>, draft: &mut Draft) {
        match key {
            "name" => {
                draft.name = field.text().map(str::to_owned);
                self.account.exact(field, "the build's name, and its identifier");
            }
            "after-script" => self.after_script(field, draft),
            "image" => self.image(field, draft),
            "caches" => self.caches(field, draft),
            "services" => self.services(field, draft),
            "artifacts" => self.artifacts(field, draft),
            "clone" => self.clone_settings(field, draft),
            "condition" => self.condition(field, draft),
            "trigger" => self.trigger(field, draft),
            "deployment" | "environment" => self.deployment(field, draft),
            "size" => self.size(field, draft),
            "max-time" => self.max_time(field),
            "runs-on" => self.runs_on(field),
            "runtime" => self.runtime(field, draft),
            "output-variables" => {
                draft.exported = field.texts();
                draft.used.push_str("$BITBUCKET_PIPELINES_VARIABLES_PATH\n");
                draft.after_script.push(Command::plain(
                    "set -a\n[ ! -f \"$BITBUCKET_PIPELINES_VARIABLES_PATH\" ] || . \"$BITBUCKET_PIPELINES_VARIABLES_PATH\"",
                ));
                let difference = "later builds do not get them by themselves";
                self.account.approximate(field, "`env.exported-variables`", difference);
            }
            "on-fail" => self.on_fail(field, draft),
            "oidc" if !field.is_true() => self.account.exact(field, "nothing"),
            "oidc" => {
                let difference = "the project's service role takes the place of the token";
                self.account.approximate(field, "nothing", difference);
            }
            "fail-fast" => {
                self.account.approximate(field, "nothing", "`fast-fail` is of a batch as a whole");
            }
            "concurrency-group" => {
                let difference = "nothing keeps builds of a group apart";
                self.account.approximate(field, "nothing", difference);
            }
            "auth" => self.account.manual(field, "tokens of Bitbucket's are made by Bitbucket", None),
            "type" if field.text() != Some("pipeline") => self.account.exact(field, "nothing: it is so"),
            "type" | "custom" | "input-variables" => {
                let reason = "a pipeline as a step of another";
                draft.by_hand.push(format!("{reason} ({})", field.path));
                self.account.manual(field, reason, Some("runspan run --job custom.NAME".into()));
            }
            _ => self.unknown(field, "a step"),
        }
    }

    /// `trigger`.
    pub(crate) fn trigger(&mut self, field: &Field<'a>, draft: &mut Draft) {
        if field.text() != Some("manual") {
            self.account.exact(field, "nothing: it starts by itself");
            return;
        }
        draft.on_demand = true;
        let difference = "it and what follows are not in the batch: somebody starts them with --job";
        self.account.approximate(field, "a job of its own", difference);
    }

    /// `on-fail`.
    pub(crate) fn on_fail(&mut self, field: &Field<'a>, draft: &mut Draft) {
        let strategy = field.get("strategy");
        self.account.exact(field, "see what it holds");
        for (key, part) in field.entries() {
            match (key, strategy.as_ref().and_then(|strategy| strategy.text())) {
                ("strategy", Some("ignore")) => {
                    draft.ignore_failure = true;
                    self.account.exact(&part, "`ignore-failure: true`");
                }
                ("strategy", Some("fail")) => self.account.exact(&part, "nothing: it is so"),
                ("strategy" | "maxRetryCount" | "max-retry-count", _) => {
                    let count = field.get("maxRetryCount").or_else(|| field.get("max-retry-count"));
                    draft.retries = Some(count.and_then(|count| count.text()?.parse().ok()).unwrap_or(1));
                    self.account.exact(&part, "`on-failure: RETRY-n`");
                }
                _ => self.unknown(&part, "on-fail"),
            }
        }
    }
}

//! What stands around the stages: environment, parameters, options, tools, triggers, agents.

use std::ops::Range;

use indexmap::IndexMap;

use super::{
    Translator,
    block::Block,
    scope::{Meaning, first, named},
    word::{Word, is_name},
};
use crate::{
    declarative::{Agent, AgentConfig, Config, Environment, Input, Item, Items, Libraries, Tools},
    groovy::{Arg, ExprKind},
};

/// What an agent asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    /// The image; the project's when absent.
    pub(super) image: Option<Word>,
    /// What tells this place from others.
    pub(super) key: String,
}

impl<'a> Translator<'a> {
    /// `environment`: constants as variables of the buildspec, the rest as exports.
    pub(super) fn environment(
        &mut self,
        environment: &Environment<'a>,
        path: &str,
        constants: Option<&mut IndexMap<String, String>>,
    ) -> String {
        let mut exports = String::new();
        let mut constants = constants;
        for (key, value) in &environment.variables {
            let span = key.span.start..value.span.end;
            let construct = format!("{path}.environment.{}", key.text);
            if let ExprKind::Call(call) = &value.bare().kind
                && call.step() == Some("credentials")
            {
                let id = first(call).and_then(|id| self.constant(id)).unwrap_or_else(|| "?".into());
                self.credentials(&key.text, &id, &span, &construct);
                if self.is_pair(&key.text) {
                    let name = &key.text;
                    exports.push_str(&format!("export {name}=\"${name}_USR:${name}_PSW\"\n"));
                }
                continue;
            }
            let word = self.value(value);
            let flag = matches!(value.bare().kind, ExprKind::Bool(_));
            self.scope.set(&key.text, if flag { Meaning::Flag } else { Meaning::Variable });
            match (word, constants.as_deref_mut()) {
                (Some(word), Some(constants)) if word.constant().is_some() => {
                    self.notes.exact(&span, &construct, "env.variables");
                    constants.insert(key.text.clone(), word.constant().unwrap_or_default());
                }
                (Some(word), _) => {
                    self.notes.exact(&span, &construct, "`export`");
                    exports.push_str(&exporting(&key.text, &word));
                }
                (None, _) => {
                    let suggestion = Some(format!("export {}=\"$(command)\"", key.text));
                    self.notes.manual(
                        &span,
                        &construct,
                        "the value is Groovy that the shell cannot do",
                        suggestion,
                    );
                    exports.push_str(&format!("# TODO by hand: {}\n", self.notes.quote(&span, 1)));
                }
            }
        }
        self.notes.exact(&environment.span, &format!("{path}.environment"), "variables");
        exports
    }

    /// Whether the file uses user and password of a variable.
    fn is_pair(&self, name: &str) -> bool {
        ["_USR", "_PSW"].iter().any(|part| self.pairs.contains(format!("{name}{part}").as_str()))
    }

    fn credentials(&mut self, name: &str, id: &str, span: &Range<usize>, construct: &str) {
        let parts = ["_USR", "_PSW"].map(|part| format!("{name}{part}"));
        if self.is_pair(name) {
            for part in &parts {
                self.secret(part, id);
            }
            self.scope.set(name, Meaning::Variable);
            self.notes.approximate(
                span,
                construct,
                format!("the secrets {} and {}", parts[0], parts[1]),
                "their values must be given to the build as variables",
            );
        } else {
            self.secret(name, id);
            self.notes.approximate(
                span,
                construct,
                format!("the secret {name}"),
                "its value must be given to the build as a variable; a file or key must be written first",
            );
        }
    }

    /// `parameters`: variables with their defaults.
    pub(super) fn parameters(&mut self, items: &[Item<'a>], path: &str, into: &mut IndexMap<String, String>) {
        for item in items {
            let name =
                named(item.call, "name").or_else(|| first(item.call)).and_then(|name| self.constant(name));
            let construct =
                format!("{path}.parameters.{}", name.clone().unwrap_or_else(|| item.name.clone()));
            let Some(name) = name.filter(|name| is_name(name)) else {
                self.notes.manual(&item.span, &construct, "it has no name that a variable can have", None);
                continue;
            };
            let default = named(item.call, "defaultValue").map(|value| self.constant(value));
            match item.name.as_str() {
                "password" | "credentials" => {
                    self.secret(&name, &name);
                    self.notes.approximate(
                        &item.span,
                        &construct,
                        format!("the secret {name}"),
                        "its value must be given to the build as a variable",
                    );
                    continue;
                }
                "file" | "stashedFile" | "base64File" => {
                    self.notes.manual(
                        &item.span,
                        &construct,
                        "a build is not given files",
                        Some(format!("aws s3 cp s3://BUCKET/{name} {name}")),
                    );
                    continue;
                }
                "booleanParam" => {
                    self.scope.set(&name, Meaning::Flag);
                    into.insert(
                        name,
                        default.flatten().filter(|it| !it.is_empty()).unwrap_or_else(|| "false".into()),
                    );
                    self.notes.exact(&item.span, &construct, "env.variables");
                }
                "choice" => {
                    let choices = named(item.call, "choices").and_then(|choices| match self.list(choices) {
                        Some(items) => items.first().and_then(Word::constant),
                        None => {
                            self.constant(choices).and_then(|text| text.lines().next().map(str::to_owned))
                        }
                    });
                    self.scope.set(&name, Meaning::Variable);
                    into.insert(name, choices.unwrap_or_default());
                    self.notes.approximate(
                        &item.span,
                        &construct,
                        "env.variables",
                        "any value can be given, not the choices alone",
                    );
                }
                _ => {
                    self.scope.set(&name, Meaning::Variable);
                    let known = !matches!(default, Some(None));
                    into.insert(name, default.flatten().unwrap_or_default());
                    if known && matches!(item.name.as_str(), "string" | "text") {
                        self.notes.exact(&item.span, &construct, "env.variables");
                    } else {
                        self.notes.approximate(
                            &item.span,
                            &construct,
                            "env.variables",
                            "its default is computed or chosen by a plugin: it is left empty",
                        );
                    }
                }
            }
        }
    }

    /// `options` of the pipeline.
    pub(super) fn options(&mut self, options: &Items<'a>, path: &str) {
        for item in &options.items {
            let construct = format!("{path}.options.{}", item.name);
            let span = &item.span;
            match item.name.as_str() {
                "timeout" => {
                    let limit = self.limit(item.call).unwrap_or_else(|| "this time".into());
                    self.notes.approximate(
                        span,
                        &construct,
                        "the timeout of the project",
                        format!("it is a setting: timeoutInMinutes for {limit}"),
                    );
                }
                "retry" => self.notes.approximate(
                    span,
                    &construct,
                    "auto-retry of the project",
                    "it is a setting: autoRetryLimit",
                ),
                "disableConcurrentBuilds" => self.notes.approximate(
                    span,
                    &construct,
                    "the concurrent build limit of the project",
                    "it is a setting: concurrentBuildLimit 1; builds beyond it are refused or wait",
                ),
                "skipDefaultCheckout" => self.notes.approximate(
                    span,
                    &construct,
                    "nothing",
                    "the source is always there; the type NO_SOURCE has none",
                ),
                "parallelsAlwaysFailFast" | "skipStagesAfterUnstable" => {
                    self.notes.approximate(span, &construct, "nothing", "see batch.fast-fail");
                }
                "withCredentials"
                | "withAWS"
                | "withEnv"
                | "lock"
                | "throttle"
                | "checkoutToSubdirectory"
                | "withDockerRegistry" => {
                    self.notes.manual(
                        span,
                        &construct,
                        "it is around the whole pipeline",
                        Some("export NAME=value # in phases.pre_build.commands".into()),
                    );
                }
                _ => self.notes.approximate(
                    span,
                    &construct,
                    "nothing",
                    "it is of Jenkins alone: logs, queues and old builds are settings of the project",
                ),
            }
        }
        self.notes.exact(&options.span, &format!("{path}.options"), "see each option");
    }

    /// `triggers`.
    pub(super) fn triggers(&mut self, triggers: &Items<'a>) {
        for item in &triggers.items {
            let construct = format!("triggers.{}", item.name);
            let value = first(item.call).and_then(|value| self.constant(value)).unwrap_or_default();
            match item.name.as_str() {
                "pollSCM" | "githubPush" | "gitlab" | "bitbucketPush" | "bitBucketTrigger" => {
                    self.notes.approximate(
                        &item.span,
                        &construct,
                        "a webhook of the project",
                        "it is a setting: a filter group with EVENT = PUSH",
                    )
                }
                "cron" | "parameterizedCron" => self.notes.manual(
                    &item.span,
                    &construct,
                    "a schedule is a rule outside of the buildspec",
                    Some(format!(
                        "aws events put-rule --name NAME --schedule-expression 'cron(0 3 * * ? *)' # for {}",
                        value.replace('\n', " ")
                    )),
                ),
                _ => self.notes.manual(
                    &item.span,
                    &construct,
                    "what starts a build stands outside of the buildspec",
                    Some("aws codebuild create-webhook --project-name PROJECT".into()),
                ),
            }
        }
        self.notes.exact(&triggers.span, "triggers", "see each trigger");
    }

    /// `libraries`.
    pub(super) fn libraries(&mut self, libraries: &Libraries<'a>) {
        self.notes.manual(
            &libraries.span,
            "libraries",
            "shared libraries are not read: their steps are unknown",
            Some("# put the commands of their steps here".into()),
        );
    }

    /// `@Library('name') _`.
    pub(super) fn library(&mut self, _: &[Arg], span: &Range<usize>) {
        self.notes.manual(
            span,
            "library",
            "shared libraries are not read: their steps are unknown",
            Some("# put the commands of their steps here".into()),
        );
    }

    /// `tools`: runtimes of CodeBuild where it has them.
    pub(super) fn tools(&mut self, tools: &Tools<'a>, path: &str) {
        for (key, value) in &tools.tools {
            let span = key.span.start..value.span.end;
            let construct = format!("{path}.tools.{}", key.text);
            let name = self.constant(value).unwrap_or_default();
            let version = version_in(&name);
            let runtime = match (key.text.as_str(), version) {
                ("jdk", Some(version)) => {
                    Some(("java", format!("corretto{}", version.split('.').next().unwrap_or("17"))))
                }
                ("nodejs", Some(version)) => {
                    Some(("nodejs", version.split('.').next().unwrap_or("20").to_owned()))
                }
                ("go" | "golang", Some(version)) => Some(("golang", version)),
                ("python", Some(version)) => Some(("python", version)),
                ("ruby", Some(version)) => Some(("ruby", version)),
                ("dotnetsdk", Some(version)) => Some(("dotnet", version)),
                _ => None,
            };
            match runtime {
                Some((runtime, version)) => {
                    self.notes.approximate(
                        &span,
                        &construct,
                        format!("install.runtime-versions: {runtime} {version}"),
                        "the version is taken from the name of the tool; the image must know it",
                    );
                    self.runtimes.insert(runtime.into(), version);
                }
                None => self.notes.approximate(
                    &span,
                    &construct,
                    "nothing",
                    format!("`{}` must be in the image", key.text),
                ),
            }
        }
        self.notes.exact(&tools.span, &format!("{path}.tools"), "see each tool");
    }

    /// `input`: people cannot be asked.
    pub(super) fn input(&mut self, input: &Input<'a>, path: &str) -> Block {
        self.by_hand(
            &input.span,
            &format!("{path}.input"),
            "a build cannot wait for people",
            Some("# split the project in two and put an approval of CodePipeline between them".into()),
            true,
        )
    }

    /// What is left to people and stands in no phase.
    fn todo_at(&mut self, span: &Range<usize>, what: &str) {
        self.todo.push(format!("TODO by hand (line {}): {what}\n", self.notes.line(span.start)));
    }

    /// Where an agent has things run.
    pub(super) fn agent(&mut self, agent: &Agent<'a>, path: &str) -> Place {
        let construct = format!("{path}.agent");
        let span = &agent.span;
        let kind = agent.kind.as_ref().map(|kind| kind.text.as_str()).unwrap_or_default();
        let option = |name: &str| match &agent.config {
            AgentConfig::Value(value) => Some(*value),
            AgentConfig::Map(map) => {
                map.iter().find(|(key, _)| key.text == name).and_then(|(_, value)| match value {
                    Config::Value(value) => Some(*value),
                    Config::Map(_) => None,
                })
            }
            AgentConfig::Nothing => None,
        };
        let others: Vec<_> = match &agent.config {
            AgentConfig::Map(map) => map.iter().map(|(key, _)| key.text.as_str()).collect(),
            _ => Vec::new(),
        };
        match kind {
            "none" => {
                self.notes.exact(span, &construct, "nothing: each stage has its own");
                Place { image: None, key: "none".into() }
            }
            "any" => {
                self.notes.exact(span, &construct, "the image of the project");
                Place { image: None, key: String::new() }
            }
            "docker" => match option("image").and_then(|image| self.value(image)) {
                Some(image) => {
                    let differs: Vec<_> = others
                        .iter()
                        .filter(|it| !matches!(**it, "image" | "reuseNode" | "alwaysPull" | "label"))
                        .collect();
                    if differs.is_empty() {
                        self.notes.exact(span, &construct, "the image of the build");
                    } else {
                        let differs: Vec<_> = differs.iter().map(|it| format!("`{it}`")).collect();
                        self.notes.approximate(
                            span,
                            &construct,
                            "the image of the build",
                            format!("{} cannot be said", differs.join(", ")),
                        );
                    }
                    let key = image.script();
                    Place { image: Some(image), key }
                }
                None => {
                    self.todo_at(span, "the image of the agent must be named");
                    self.notes.manual(span, &construct, "the image is computed", Some("image: NAME".into()));
                    Place { image: None, key: "computed".into() }
                }
            },
            "dockerfile" => {
                self.todo_at(span, "the image of the agent's Dockerfile must be made and named");
                self.notes.manual(
                    span,
                    &construct,
                    "the image must be there before the build begins",
                    Some("docker build -t IMAGE . && docker push IMAGE # in a project of its own; then image: IMAGE".into()),
                );
                Place { image: None, key: self.notes.quote(span, 12) }
            }
            "kubernetes" => {
                let yaml = option("yaml")
                    .and_then(|yaml| self.value(yaml))
                    .map(|word| word.script())
                    .unwrap_or_default();
                let image =
                    yaml.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix("image:"));
                let image = image.map(|image| image.trim().trim_matches(['"', '\'']).to_owned());
                match image.filter(|image| !image.is_empty() && !image.contains('$')) {
                    Some(image) => {
                        self.notes.approximate(
                            span,
                            &construct,
                            "the image of the build",
                            "it is that of the first container of the pod; there are no others",
                        );
                        Place { image: Some(Word::literal(&image)), key: image }
                    }
                    None => {
                        self.todo_at(span, "the image of the agent must be named");
                        self.notes.manual(
                            span,
                            &construct,
                            "the pod is not described here",
                            Some("image: NAME".into()),
                        );
                        Place { image: None, key: "kubernetes".into() }
                    }
                }
            }
            _ => {
                let label = option("label")
                    .and_then(|label| self.value(label))
                    .map(|word| word.script())
                    .unwrap_or_default();
                if let Some(image) = (self.context.image_of)(&label) {
                    self.notes.exact(span, &construct, "the image of the build");
                    return Place { image: Some(Word::literal(&image)), key: image };
                }
                self.notes.approximate(
                    span,
                    &construct,
                    "the image of the project",
                    format!("which image stands for the label `{label}` must be said"),
                );
                Place { image: None, key: String::new() }
            }
        }
    }
}

/// An assignment that later commands see; on its own line it tells whether its command failed.
pub(super) fn exporting(name: &str, word: &Word) -> String {
    let value = word.argument();
    if value.contains("$(") {
        format!("{name}={value}\nexport {name}\n")
    } else {
        format!("export {name}={value}\n")
    }
}

/// The version in the name of a tool, as 17 in `jdk-17`.
fn version_in(name: &str) -> Option<String> {
    let start = name.find(|c: char| c.is_ascii_digit())?;
    let rest = &name[start..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let version = rest[..end].trim_end_matches('.');
    // `1.8` is 8.
    Some(
        version
            .strip_prefix("1.")
            .filter(|rest| name.to_lowercase().contains("j") && !rest.is_empty())
            .unwrap_or(version)
            .to_owned(),
    )
}

//! Steps with a block.

use std::ops::Range;

use runspan_buildspec::shell::quoted;

use super::{
    Translator,
    block::Block,
    scope::{argument, first, named},
    value::RESULT,
    word::{Word, is_name},
};
use crate::groovy::{Arg, Call, Closure, Expr, ExprKind, Stmt};

impl<'a> Translator<'a> {
    /// Steps with a block.
    pub(super) fn around(
        &mut self,
        name: &str,
        call: &'a Call,
        closure: &'a Closure,
        span: &Range<usize>,
        construct: &str,
    ) -> Option<Block> {
        let body: &'a [Stmt] = &closure.body;
        match name {
            "script" | "steps" => {
                self.notes.exact(span, construct, "its commands");
                Some(self.statements(body, construct))
            }
            "stage" => {
                let title = first(call).or_else(|| named(call, "name")).and_then(|name| self.value(name));
                let title = title.map(|word| word.script()).unwrap_or_default();
                self.notes.exact(span, &format!("stage.{title}"), "its commands, under a comment");
                let block = self.statements(body, construct);
                Some(block.comment(&format!("Stage: {title}")))
            }
            "node" => {
                match first(call).map(|label| self.constant(label)) {
                    None => self.notes.exact(span, construct, "the build itself"),
                    Some(label) => {
                        let label = label.unwrap_or_else(|| "a computed label".into());
                        self.notes.approximate(
                            span,
                            construct,
                            "the build itself",
                            format!("agents with the label `{label}` are the image of the project"),
                        );
                    }
                }
                Some(self.statements(body, construct))
            }
            "dir" | "ws" => {
                let directory = self.value(argument(call, if name == "ws" { "dir" } else { "path" })?)?;
                self.directories += 1;
                let block = self.statements(body, construct);
                self.directories -= 1;
                self.notes.exact(span, construct, "`cd` in a shell of its own");
                let directory = directory.argument();
                let enter = format!("mkdir -p {directory}\ncd {directory}\n");
                Some(if block.sets {
                    let text = format!("{}cd \"$OLDPWD\"", block.guarded(&enter));
                    Block::setting(
                        text.replace(&format!("cd {directory}\n"), &format!("back=$PWD\ncd {directory}\n"))
                            .replace("cd \"$OLDPWD\"", "cd \"$back\""),
                    )
                } else {
                    Block::of(block.apart(&enter))
                })
            }
            "withEnv" => {
                let exports = self.exports_of(first(call).or_else(|| named(call, "overrides"))?)?;
                let block = self.statements(body, construct);
                if block.sets {
                    self.notes.approximate(
                        span,
                        construct,
                        "`export`",
                        "the variables stay set after the block",
                    );
                } else {
                    self.notes.exact(span, construct, "`export` in a shell of its own");
                }
                let sets = block.sets;
                Some(Block { sets, ..Block::of(block.guarded(&exports)) })
            }
            "withCredentials" => {
                let Some(bindings) = first(call).or_else(|| named(call, "bindings")) else {
                    return self.unfailing(body, span, construct, "the bindings are not known");
                };
                let ExprKind::List(bindings) = &bindings.bare().kind else { return None };
                for binding in bindings {
                    self.binding(binding);
                }
                self.notes.approximate(
                    span,
                    construct,
                    "its commands",
                    "the variables are there for the whole build, not for the block alone",
                );
                Some(self.statements(body, construct))
            }
            "timeout" => {
                let limit = self.limit(call)?;
                let block = self.statements(body, construct);
                if block.sets {
                    self.notes.approximate(
                        span,
                        construct,
                        "its commands",
                        format!("the limit of {limit} is not kept, because the block sets variables that are used after it"),
                    );
                    return Some(block);
                }
                self.notes.exact(span, construct, format!("`timeout {limit}`"));
                Some(Block::of(timed(&block, &limit)))
            }
            "retry" => {
                let count = self.value(first(call).or_else(|| named(call, "count"))?)?;
                let block = self.statements(body, construct);
                self.notes.exact(span, construct, "a loop of the shell");
                Some(self.retried(&block, &count.argument()))
            }
            "catchError" | "warnError" => Some(self.caught(name, call, body, span, construct)),
            "waitUntil" => {
                let test = self.expression(body)?;
                self.notes.exact(span, construct, "a loop of the shell");
                for stmt in body {
                    self.notes.exact(&stmt.span, construct, "its condition");
                }
                Some(Block::of(format!("until {test}; do sleep 1; done")))
            }
            "withAWS" => {
                let block = self.statements(body, construct);
                let mut exports = String::new();
                if let Some(region) = named(call, "region") {
                    let region = self.value(region)?.argument();
                    exports.push_str(&format!("export AWS_DEFAULT_REGION={region} AWS_REGION={region}\n"));
                }
                if let Some(profile) = named(call, "profile") {
                    exports.push_str(&format!("export AWS_PROFILE={}\n", self.value(profile)?.argument()));
                }
                if let Some(role) = named(call, "role") {
                    let mut role = self.value(role)?;
                    if let Some(account) = named(call, "roleAccount") {
                        let account = self.value(account)?;
                        role = Word::literal("arn:aws:iam::")
                            .then(account)
                            .then(Word::literal(":role/"))
                            .then(role);
                    }
                    exports.push_str(&assume(&role.argument()));
                }
                self.notes.approximate(
                    span,
                    construct,
                    "variables of the AWS command line",
                    "credentials come from the role of the project, not from Jenkins",
                );
                let sets = block.sets;
                Some(Block { sets, ..Block::of(block.guarded(&exports)) })
            }
            "parallel" => None,
            "container" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "they run in the image of the build, not in a container of the pod",
            ),
            "lock" | "throttle" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "other builds are not kept out: limit concurrent builds of the project",
            ),
            "timestamps" | "ansiColor" | "wrap" | "gitlabCommitStatus" | "gitlabBuilds" | "withChecks"
            | "withBuildUser" | "maskPasswords" | "logstash" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "what it does to the log or the status of the commit is left out",
            ),
            "withMaven" | "nodejs" | "withGradle" | "withAnt" | "withGroovy" | "withPythonEnv" | "withGo"
            | "withSonarQubeEnv" | "configFileProvider" | "withKubeConfig" | "withVault"
            | "withDockerRegistry" | "withDockerServer" | "rtMavenRun" | "realtimeJUnit" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "tools, settings and credentials that it provides must be in the image or given as variables",
            ),
            "sshagent" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "the key must be given to `ssh-add` by the build",
            ),
            "withDockerContainer" => {
                let image = self.value(first(call).or_else(|| named(call, "image"))?)?;
                let args = named(call, "args").and_then(|args| self.value(args));
                Some(self.inside(&image, args.as_ref(), body, span, construct))
            }
            "podTemplate" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "they run in the image of the build, not in a pod",
            ),
            _ => None,
        }
    }

    pub(super) fn kept(
        &mut self,
        body: &'a [Stmt],
        span: &Range<usize>,
        construct: &str,
        became: &str,
        difference: &str,
    ) -> Option<Block> {
        self.notes.approximate(span, construct, became, difference);
        Some(self.statements(body, construct))
    }

    pub(super) fn unfailing(
        &mut self,
        body: &'a [Stmt],
        span: &Range<usize>,
        construct: &str,
        difference: &str,
    ) -> Option<Block> {
        self.kept(body, span, construct, "its commands", difference)
    }

    /// `["A=b", "C=${d}"]` as exports.
    pub(super) fn exports_of(&mut self, list: &Expr) -> Option<String> {
        // One `export`: no value sees the others, as Groovy has made them before.
        let (mut out, mut exports) = (String::new(), String::new());
        for item in self.list(list)? {
            let mut parts = item.0.into_iter();
            let super::word::Part::Literal(text) = parts.next()? else { return None };
            let (name, value) = text.split_once('=')?;
            // `PATH+EXTRA=/x` puts it in front.
            let (name, before) = match name.split_once('+') {
                Some((name, _)) => (name, true),
                None => (name, false),
            };
            if !is_name(name) {
                return None;
            }
            let mut word =
                Word(std::iter::once(super::word::Part::Literal(value.into())).chain(parts).collect());
            if before {
                word = word.then(Word::literal(":")).then(Word::variable(name));
            }
            let value = word.argument();
            if value.contains("$(") {
                out.push_str(&format!("{name}={value}\n"));
                exports.push_str(&format!(" {name}"));
            } else {
                exports.push_str(&format!(" {name}={value}"));
            }
        }
        if exports.is_empty() {
            return Some(out);
        }
        Some(format!("{out}export{exports}\n"))
    }

    /// How long `timeout` lets something run, as `timeout` of the shell takes it.
    pub(super) fn limit(&self, call: &Call) -> Option<String> {
        let time = self.value(first(call).or_else(|| named(call, "time"))?)?;
        let unit =
            named(call, "unit").and_then(|unit| self.constant(unit)).unwrap_or_else(|| "MINUTES".into());
        let unit = match unit.as_str() {
            "MILLISECONDS" => return Some("1s".into()),
            "SECONDS" => "s",
            "MINUTES" => "m",
            "HOURS" => "h",
            "DAYS" => "d",
            _ => return None,
        };
        Some(match time.constant() {
            Some(time) => format!("{time}{unit}"),
            None => format!("{}{unit}", time.argument()),
        })
    }

    pub(super) fn retried(&mut self, block: &Block, count: &str) -> Block {
        let status = self.fresh("step_status");
        let attempt = self.fresh("step_attempt");
        let text = format!(
            "set +e\n{attempt}=1\nwhile :; do\n{}\n{status}=$?\nif [ \"${status}\" = 0 ] || [ \"${attempt}\" -ge {count} ]; then break; fi\n{attempt}=$(({attempt} + 1))\ndone\n[ \"${status}\" = 0 ] || exit \"${status}\"\nset -e",
            block.apart("")
        );
        Block::of(text)
    }

    pub(super) fn caught(
        &mut self,
        name: &str,
        call: &'a Call,
        body: &'a [Stmt],
        span: &Range<usize>,
        construct: &str,
    ) -> Block {
        let result = match (name, named(call, "buildResult").and_then(|result| self.constant(result))) {
            ("warnError", _) => "UNSTABLE".to_owned(),
            (_, Some(result)) => result,
            (_, None) => "FAILURE".into(),
        };
        let message = first(call).or_else(|| named(call, "message")).and_then(|message| self.value(message));
        let block = self.statements(body, construct);
        self.notes.approximate(
            span,
            construct,
            format!("a shell of its own; a failure sets {RESULT}"),
            if result == "FAILURE" { "the build fails at its end" } else { UNSTABLE },
        );
        let mut after = String::new();
        if let Some(message) = message {
            after.push_str(&format!("echo {}\n", message.argument()));
        }
        if result != "SUCCESS" && result != "null" {
            self.results = true;
            self.fails_late |= result != "UNSTABLE";
            after.push_str(&format!("{RESULT}={result}\n"));
        } else if after.is_empty() {
            after.push_str(":\n");
        }
        let status = self.fresh("step_status");
        Block::setting(format!(
            "set +e\n{}\n{status}=$?\nif [ \"${status}\" != 0 ]; then\n{after}fi\nset -e",
            block.apart("")
        ))
    }

    /// A binding of `withCredentials`.
    pub(super) fn binding(&mut self, binding: &'a Expr) {
        let (kind, args): (String, &[Arg]) = match &binding.kind {
            ExprKind::Call(call) => (super::script::name_of(call), &call.args),
            _ => ("credentials".into(), &[]),
        };
        let text = |key: &str| -> Option<String> {
            let value = match &binding.kind {
                ExprKind::Map(entries) => entries
                    .iter()
                    .find(|entry| entry.key.as_ref().and_then(Expr::as_text) == Some(key))
                    .map(|entry| &entry.value),
                _ => super::scope::named_in(args, key),
            };
            self.constant(value?)
        };
        let id = text("credentialsId").unwrap_or_else(|| "?".into());
        let mut names = Vec::new();
        for (key, default) in [
            ("variable", ""),
            ("usernameVariable", ""),
            ("passwordVariable", ""),
            ("keyFileVariable", ""),
            ("passphraseVariable", ""),
            ("accessKeyVariable", "AWS_ACCESS_KEY_ID"),
            ("secretKeyVariable", "AWS_SECRET_ACCESS_KEY"),
            ("tokenVariable", ""),
        ] {
            let aws =
                kind == "aws" || text("$class").is_some_and(|class| class.contains("AmazonWebServices"));
            match text(key) {
                Some(name) if is_name(&name) => names.push(name),
                None if aws && !default.is_empty() => names.push(default.into()),
                _ => {}
            }
        }
        for name in &names {
            self.secret(name, &id);
        }
        let of_file = matches!(kind.as_str(), "file" | "sshUserPrivateKey" | "certificate" | "zip");
        let what = if of_file { "; it holds the path of a file, which must be written first" } else { "" };
        self.notes.approximate(
            &binding.span,
            &format!("credentials.{id}"),
            format!("the secret {}", names.join(", ")),
            format!("its value must be given to the build as a variable{what}"),
        );
    }

    /// A variable that must be given.
    pub(super) fn secret(&mut self, name: &str, id: &str) {
        self.scope.set(name, super::scope::Meaning::Variable);
        self.secrets.insert(name.to_owned(), id.to_owned());
    }
}

pub(super) const UNSTABLE: &str =
    "a build of CodeBuild is never unstable: it succeeds, and the variable tells";

/// A block that is ended after some time.
pub(super) fn timed(block: &Block, limit: &str) -> String {
    let mut commands = block.commands.iter().filter(|command| !command.text.is_empty());
    if let (Some(only), None) = (commands.next(), commands.next()) {
        let simple = !only.text.contains(['\n', ';', '&', '|', '(', '#', '=', '<', '>']);
        let builtin = ["cd ", "export ", "set ", ". ", "exit", "if ", "for ", "while ", ": ", "test ", "["];
        if simple && !builtin.iter().any(|word| only.text.starts_with(word)) {
            return format!("timeout {limit} {}", only.text);
        }
    }
    let commands: Vec<_> = block.commands.iter().filter(|command| !command.text.is_empty()).collect();
    let lines = match commands.as_slice() {
        [only] if only.comment.is_empty() => super::job::bare(&only.text),
        _ => block.lines(),
    };
    // Quotes in quotes grow fast.
    if lines.len() > super::value::LONGEST {
        return block.apart("");
    }
    format!("timeout {limit} sh -ec {}", quoted(lines.trim_end()))
}

pub(super) fn assume(role: &str) -> String {
    format!(
        "set -- $(aws sts assume-role --role-arn {role} --role-session-name build --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)\nexport AWS_ACCESS_KEY_ID=\"$1\" AWS_SECRET_ACCESS_KEY=\"$2\" AWS_SESSION_TOKEN=\"$3\"\n"
    )
}

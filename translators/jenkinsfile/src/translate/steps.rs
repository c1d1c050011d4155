//! Steps as commands.

use super::around::UNSTABLE;
use std::ops::Range;

use runspan_buildspec::shell::quoted;

use super::{
    Translator,
    block::Block,
    scope::{argument, first, named},
    value::{RESULT, is_true},
    word::Word,
};
use crate::groovy::{Call, ExprKind};

impl<'a> Translator<'a> {
    /// The commands of a step; nothing when it is not known.
    pub(super) fn step(
        &mut self,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let construct = format!("{path}.{name}");
        if let Some(closure) = call.block() {
            return self.around(name, call, closure, span, &construct);
        }
        if let Some(block) = self.publish(name, call, span, &construct) {
            return Some(block);
        }
        if let Some(block) = self.plain(name, call, span, &construct) {
            return Some(block);
        }
        self.reported(name, call, span, &construct)
    }

    pub(super) fn plain(
        &mut self,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        construct: &str,
    ) -> Option<Block> {
        let block = match name {
            "sh" => return self.sh(call, span, construct),
            "echo" | "println" | "print" => {
                let word = match first(call).or_else(|| named(call, "message")) {
                    Some(message) => self.value(message)?,
                    None => Word::default(),
                };
                self.notes.exact(span, construct, "`echo`");
                Block::of(format!("echo {}", word.argument()))
            }
            "error" => {
                let word = self.value(argument(call, "message")?)?;
                self.notes.exact(span, construct, "`exit 1` after the message");
                Block { ends: true, ..Block::of(format!("echo {} >&2; exit 1", word.argument())) }
            }
            "unstable" => {
                let word = self.value(argument(call, "message")?)?;
                self.results = true;
                self.notes.approximate(span, construct, format!("the variable {RESULT}"), UNSTABLE);
                Block::setting(format!("echo {}\n{RESULT}=UNSTABLE", word.argument()))
            }
            "sleep" => {
                let time = self.value(argument(call, "time")?)?;
                let unit = named(call, "unit")
                    .and_then(|unit| self.constant(unit))
                    .unwrap_or_else(|| "SECONDS".into());
                let seconds = match (time.constant().and_then(|time| time.parse::<u64>().ok()), unit.as_str())
                {
                    (Some(time), "SECONDS") => time.to_string(),
                    (Some(time), "MINUTES") => (time * 60).to_string(),
                    (Some(time), "HOURS") => (time * 3600).to_string(),
                    (None, "SECONDS") => time.argument(),
                    _ => return None,
                };
                self.notes.exact(span, construct, "`sleep`");
                Block::of(format!("sleep {seconds}"))
            }
            "writeFile" => {
                let file = self.value(named(call, "file")?)?;
                let text = self.value(named(call, "text")?)?;
                self.notes.exact(span, construct, "`printf` into the file");
                let parent = file
                    .constant()
                    .and_then(|file| file.rsplit_once('/').map(|(parent, _)| parent.to_owned()));
                let made =
                    parent.map(|parent| format!("mkdir -p {} && ", quoted(&parent))).unwrap_or_default();
                Block::of(format!("{made}printf %s {} > {}", text.argument(), file.argument()))
            }
            "touch" => {
                let file = self.value(argument(call, "file")?)?;
                self.notes.exact(span, construct, "`touch`");
                Block::of(format!("touch {}", file.argument()))
            }
            "deleteDir" if self.directories > 0 => {
                self.notes.exact(span, construct, "everything in the directory removed");
                Block::of("find . -mindepth 1 -delete")
            }
            "deleteDir" | "cleanWs" | "step_cleanWs" => {
                self.notes.approximate(
                    span,
                    construct,
                    "nothing",
                    "each build begins in a fresh container that is thrown away; files made earlier in this build stay",
                );
                Block::default()
            }
            "checkout" => return self.checkout(call, span, construct),
            "git" => {
                let url = self.value(argument(call, "url")?)?;
                let branch = match named(call, "branch") {
                    Some(branch) => self.value(branch)?,
                    None => Word::literal("master"),
                };
                self.clone(&url, &branch, named(call, "credentialsId").is_some(), span, construct)
            }
            "stash" => return self.stash(call, span, construct),
            "unstash" => return self.unstash(call, span, construct),
            "milestone" => {
                self.notes.approximate(
                    span,
                    construct,
                    "nothing",
                    "older builds are not ended: limit concurrent builds of the project",
                );
                Block::default()
            }
            "s3Upload" => self.s3(call, span, construct, true)?,
            "s3Download" => self.s3(call, span, construct, false)?,
            "properties" => {
                self.properties(call);
                self.notes.approximate(
                    span,
                    construct,
                    "variables for its parameters",
                    "other properties of a job are settings of the project",
                );
                Block::default()
            }
            "library" => {
                self.notes.manual(
                    span,
                    construct,
                    "shared libraries are not read: their steps are unknown",
                    Some("git clone LIBRARY /tmp/library".into()),
                );
                Block::default()
            }
            "disableConcurrentBuilds" | "timestamps" => Block::default(),
            _ => return None,
        };
        Some(block)
    }

    /// The parameters among the properties of a job.
    pub(super) fn properties(&mut self, call: &'a Call) {
        let Some(ExprKind::List(properties)) = argument(call, "properties").map(|it| &it.bare().kind) else {
            return;
        };
        for property in properties {
            let ExprKind::Call(property) = &property.kind else { continue };
            if property.step() != Some("parameters") {
                continue;
            }
            let Some(ExprKind::List(parameters)) = first(property).map(|it| &it.bare().kind) else {
                continue;
            };
            let items: Vec<_> = parameters
                .iter()
                .filter_map(|parameter| match &parameter.kind {
                    ExprKind::Call(call) => Some(crate::declarative::Item {
                        span: parameter.span.clone(),
                        name: super::script::name_of(call),
                        call,
                    }),
                    _ => None,
                })
                .collect();
            let mut variables = std::mem::take(&mut self.variables);
            self.parameters(&items, "properties", &mut variables);
            self.variables = variables;
        }
    }

    pub(super) fn sh(&mut self, call: &'a Call, span: &Range<usize>, construct: &str) -> Option<Block> {
        let script = self.value(argument(call, "script")?)?;
        let block = if named(call, "returnStatus").is_some_and(is_true) {
            // The status is thrown away.
            Block::of(format!("{} || true", self.own_shell(&script)))
        } else {
            Block::all(self.script(&script).commands(self.shell))
        };
        self.notes.exact(
            span,
            construct,
            if block.is_empty() { "nothing: it is empty" } else { "its commands" },
        );
        let label = named(call, "label").and_then(|label| self.constant(label));
        Some(match label {
            Some(label) => block.comment(&label),
            None => block,
        })
    }
}

/// Whether a step is translated as long as its values are known.
pub(super) fn is_known(step: &str) -> bool {
    matches!(
        step,
        "sh" | "echo"
            | "println"
            | "print"
            | "error"
            | "unstable"
            | "sleep"
            | "writeFile"
            | "touch"
            | "checkout"
            | "git"
            | "stash"
            | "unstash"
            | "s3Upload"
            | "s3Download"
            | "archiveArtifacts"
            | "junit"
            | "publishHTML"
            | "parallel"
            | "dir"
            | "ws"
            | "withEnv"
            | "withCredentials"
            | "timeout"
            | "retry"
            | "waitUntil"
            | "withAWS"
            | "withDockerContainer"
    )
}

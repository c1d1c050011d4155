//! `phases` and what they hold.

use indexmap::IndexMap;

use super::fields::{Decoder, Field, Fields, home, listed};
use crate::{
    Code, Diagnostic, OnFailure, Phase, Phases, Step, StepAction, Work,
    diagnostic::quoted,
    suggest::nearest,
    syntax::single_quoted,
    yaml::{Entry, Value},
};

/// The phases, in the order in which they run.
const PHASES: [&str; 4] = ["install", "pre_build", "build", "post_build"];

impl<'a> Decoder<'a> {
    pub(super) fn phases(&mut self, field: &Field<'a>) -> Phases {
        let Some(mut fields) = self.fields(field) else { return Phases::default() };
        if fields.is_empty() {
            self.empty(field, "nothing would run");
        }
        let [install, pre_build, build, post_build] = PHASES.map(|name| fields.take(name));
        let phases = Phases {
            install: install.map(|field| self.phase(&field, true)),
            pre_build: pre_build.map(|field| self.phase(&field, false)),
            build: build.map(|field| self.phase(&field, false)),
            post_build: post_build.map(|field| self.phase(&field, false)),
        };
        for field in fields.rest() {
            self.unknown_phase(&field);
        }
        phases
    }

    fn unknown_phase(&mut self, field: &Field<'a>) {
        let Some(key) = field.key else { return };
        let help = match (home(&key.text), nearest(&key.text, PHASES)) {
            (Some(home), _) => format!("check the indentation: {} belongs {home}", quoted(&key.text)),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => format!("allowed here: {}", listed(&PHASES)),
        };
        self.report(
            Diagnostic::new(Code::UnknownPhase, format!("there is no phase {}", quoted(&key.text)))
                .at(key.span)
                .label("not a phase")
                .help(help)
                .codebuild(format!(
                    "Invalid buildspec phase name: {}. Expecting: build,install,post_build,pre_build",
                    key.text
                )),
        );
    }

    fn phase(&mut self, field: &Field<'a>, install: bool) -> Phase {
        if field.is_null() {
            self.empty_phase(field);
            return Phase::default();
        }
        if let Value::List(_) | Value::Scalar(_) = field.node.value {
            let name = field.name();
            self.report(
                Diagnostic::new(
                    Code::WrongType,
                    format!("{name} must be a map, this is {}", field.node.kind()),
                )
                .at(field.place())
                .help("put the commands in a list under `commands:` in the phase"),
            );
            return Phase::default();
        }
        let Some(mut fields) = self.fields(field) else { return Phase::default() };
        let run_as = fields.take("run-as").and_then(|field| self.text(&field));
        let on_failure = fields.take("on-failure").and_then(|field| self.on_failure(&field));
        let mut runtime_versions = IndexMap::new();
        if install && let Some(field) = fields.take("runtime-versions") {
            runtime_versions = self.runtime_versions(&field);
        }
        let commands = fields.take("commands");
        let steps = fields.take("steps");
        let finally = fields.take("finally");
        if let (Some(commands), Some(steps)) = (&commands, &steps) {
            self.exclude(commands, steps);
        }
        if commands.is_none() && steps.is_none() && !install {
            self.empty_phase(field);
        }
        let work = match (commands, steps) {
            (None, Some(steps)) => {
                Work::Steps(self.items(&steps).iter().filter_map(|item| self.step(item)).collect())
            }
            (commands, _) => {
                Work::Commands(commands.map(|field| self.commands(&field, "Commands")).unwrap_or_default())
            }
        };
        let finally = finally.map(|field| self.commands(&field, "Finally")).unwrap_or_default();
        self.unknown(fields);
        Phase { run_as, on_failure, runtime_versions, work, finally }
    }

    fn runtime_versions(&mut self, field: &Field<'a>) -> IndexMap<String, String> {
        let mut versions = IndexMap::new();
        let mut is_empty = true;
        for field in self.fields(field).into_iter().flat_map(Fields::rest) {
            is_empty = false;
            match (field.key, field.node.text()) {
                (Some(key), Some(text)) => {
                    versions.insert(key.text.clone(), text.to_owned());
                }
                _ => self.wrong_type(&field, "a version, such as 22, 3.x or latest"),
            }
        }
        if is_empty {
            self.report(
                Diagnostic::new(Code::MissingKey, "`runtime-versions` names no runtime")
                    .at(field.key.map_or_else(|| field.place(), |key| key.span))
                    .help("name one, as in `nodejs: 22`, or remove `runtime-versions`"),
            );
        }
        versions
    }

    fn empty_phase(&mut self, field: &Field<'a>) {
        self.report(
            Diagnostic::new(Code::EmptyPhase, format!("{} has no `commands`", field.name()))
                .at(field.key.map_or_else(|| field.place(), |key| key.span))
                .help("add `commands:` to it, or remove the phase"),
        );
    }

    /// Two keys that may not stand together.
    pub(super) fn exclude(&mut self, one: &Field<'a>, other: &Field<'a>) {
        let (Some(one_key), Some(other_key)) = (one.key, other.key) else { return };
        let (first, second) = if one_key.span.start < other_key.span.start {
            (one_key, other_key)
        } else {
            (other_key, one_key)
        };
        self.report(
            Diagnostic::new(
                Code::ConflictingKeys,
                format!("`{}` and `{}` exclude each other", first.text, second.text),
            )
            .at(second.span)
            .label("not together with the other")
            .related(first.span, "the other")
            .help("keep one of them"),
        );
    }

    fn on_failure(&mut self, field: &Field<'a>) -> Option<OnFailure> {
        let text = self.text(field)?;
        match text.parse() {
            Ok(on_failure) => Some(on_failure),
            Err(reason) => {
                let near = nearest(&text, ["ABORT", "CONTINUE", "RETRY"])
                    .map(|near| format!("did you mean `{near}`? "))
                    .unwrap_or_default();
                self.report(
                    Diagnostic::new(
                        Code::InvalidValue,
                        format!("{} cannot be {}: {reason}", field.name(), quoted(&text)),
                    )
                    .at(field.place())
                    .help(format!(
                        "{near}Allowed: ABORT, CONTINUE, RETRY, RETRY-<tries>, RETRY-<regex>, RETRY-<tries>-<regex>"
                    )),
                );
                None
            }
        }
    }

    /// A list of commands; `list` is CodeBuild's name for it.
    fn commands(&mut self, field: &Field<'a>, list: &str) -> Vec<String> {
        let mut commands = Vec::new();
        for (index, item) in self.items(field).iter().enumerate() {
            match &item.node.value {
                Value::Scalar(scalar) => commands.push(scalar.text.clone()),
                Value::Null => {
                    self.empty(item, "the command does nothing");
                    commands.push(String::new());
                }
                Value::Map(_) | Value::List(_) => self.not_a_command(item, list, index),
            }
        }
        commands
    }

    /// The classic: `- echo "a: b"` is a map to YAML.
    fn not_a_command(&mut self, item: &Field<'a>, list: &str, index: usize) {
        let span = item.node.span;
        let start = match &item.node.value {
            Value::Map(entries) => entries.first().map_or(span.start, |entry| entry.key.span.start),
            _ => span.start,
        };
        let line = self.source[start..].lines().next().unwrap_or_default().trim_end();
        let place = crate::Span::of(self.source, start..start + line.len());
        let codebuild = format!(
            "Expected {list}[{index}] to be of string type: found subkeys instead at line {}, \
             value of the key tag on line {} might be empty",
            place.line,
            place.line.saturating_sub(1)
        );
        let diagnostic = match &item.node.value {
            Value::Map(entries) if on_one_line(entries) => {
                Diagnostic::new(Code::CommandIsMap, "YAML reads this command as a map, because of its colon")
                    .label(format!("{} is the key", quoted(entries.first().map_or("", |entry| &entry.key.text))))
                    .help(format!("quote the whole command: - {}", single_quoted(line)))
            }
            Value::Map(_) => {
                Diagnostic::new(Code::CommandIsMap, "this is a map, a command is text")
                    .help("write a command of several lines as a block: `- |`, then its lines indented below")
            }
            _ => Diagnostic::new(Code::CommandIsMap, "this is a list, a command is text").help(
                "quote a command that begins with `[` or `- `: - '[ -f a ] && b'; put nested lists on the level of `commands`",
            ),
        };
        self.report(diagnostic.at(place).codebuild(codebuild));
    }

    fn step(&mut self, field: &Field<'a>) -> Option<Step> {
        let mut fields = self.fields(field)?;
        let mut text = |decoder: &mut Self, key| fields.take(key).and_then(|field| decoder.text(&field));
        let id = text(self, "id");
        let condition = text(self, "if");
        let name = text(self, "name");
        let continue_on_error = text(self, "continue-on-error");
        let timeout_minutes = text(self, "timeout-minutes");
        let env = fields.take("env").map(|field| self.text_map(&field)).unwrap_or_default();
        let uses = fields.take("uses");
        let run = fields.take("run");
        let with = fields.take("with");
        let shell = fields.take("shell");
        let working_directory = fields.take("working-directory");
        if let (Some(uses), Some(run)) = (&uses, &run) {
            self.exclude(uses, run);
        }
        let action = match (uses, run) {
            (Some(uses), _) => {
                for field in [&shell, &working_directory].into_iter().flatten() {
                    self.ignored(field, "it belongs to `run`, not to `uses`");
                }
                StepAction::Uses {
                    uses: self.text(&uses)?,
                    with: with.map(|field| self.text_map(&field)).unwrap_or_default(),
                }
            }
            (None, Some(run)) => {
                if let Some(field) = &with {
                    self.ignored(field, "it belongs to `uses`, not to `run`");
                }
                StepAction::Run {
                    run: self.text(&run)?,
                    shell: shell.and_then(|field| self.text(&field)),
                    working_directory: working_directory.and_then(|field| self.text(&field)),
                }
            }
            (None, None) => {
                self.missing(&fields, "run", "a step has `run` or `uses`");
                return None;
            }
        };
        self.unknown(fields);
        Some(Step { id, condition, name, action, env, continue_on_error, timeout_minutes })
    }
}

/// Whether a map is a single key, its value on the same line: a command with a colon.
fn on_one_line(entries: &[Entry]) -> bool {
    match entries {
        [Entry { key, value }] => match value.value {
            Value::Null => true,
            Value::Scalar(_) => value.span.line == key.span.line,
            Value::List(_) | Value::Map(_) => false,
        },
        _ => false,
    }
}

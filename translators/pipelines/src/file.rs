//! The whole file.

use runspan_buildspec::yaml::{self, Node};
use runspan_buildspec::{Code, Severity, Translation};

use crate::account::Account;
use crate::context::{Context, Selection};
use crate::definitions::{Defaults, Definitions};
use crate::draft::Draft;
use crate::field::Field;
use crate::glob;
use crate::pipeline::Line;

/// Everything that is known while a file is read.
pub(crate) struct Translator<'a> {
    pub(crate) account: Account,
    pub(crate) context: &'a Context<'a>,
    pub(crate) defaults: Defaults<'a>,
    pub(crate) definitions: Definitions<'a>,
    /// Parts of the file that hold nothing but anchors.
    pub(crate) anchors: Vec<Field<'a>>,
    /// Whether this file is itself read for an import.
    pub(crate) is_imported: bool,
}

/// A pipeline's place in `pipelines`.
struct Found<'a> {
    /// As in `branches.main`.
    place: String,
    kind: &'a str,
    /// The pattern or the name; empty of `default`.
    name: &'a str,
    field: Field<'a>,
}

/// Translates a file: the jobs of the pipeline that the context chooses, and an account of the whole file.
pub fn translate(text: &str, context: &Context<'_>) -> Translation {
    let node = match yaml::read(text) {
        Ok(node) => node,
        Err(diagnostics) => return Translation { diagnostics, ..Translation::default() },
    };
    let file = Field::file(&node);
    let mut translator = Translator {
        account: Account::default(),
        context,
        defaults: Defaults::of(&file),
        definitions: Definitions::of(&file),
        anchors: Vec::new(),
        is_imported: false,
    };
    let line = translator.file(&file);
    let (notes, diagnostics) = translator.account.close();
    let failed = diagnostics.iter().any(|fault| fault.severity() == Severity::Error);
    Translation {
        jobs: if failed { Vec::new() } else { line.jobs },
        fast_fail: line.fast_fail,
        notes,
        diagnostics,
    }
}

/// Every pipeline of a file by its place, as in `default` and `branches.main`; nothing of what is no such file.
pub fn pipelines(text: &str) -> Vec<String> {
    let node: Option<Node> = yaml::read(text).ok();
    let found = node.as_ref().map(|node| found(&Field::file(node))).unwrap_or_default();
    found.into_iter().map(|found| found.place).collect()
}

fn found<'a>(file: &Field<'a>) -> Vec<Found<'a>> {
    let mut all = Vec::new();
    for (kind, field) in file.get("pipelines").map(|field| field.entries()).unwrap_or_default() {
        match kind {
            "default" => all.push(Found { place: kind.to_owned(), kind, name: "", field }),
            "branches" | "tags" | "bookmarks" | "pull-requests" | "custom" => {
                let inner = field.entries().into_iter();
                all.extend(inner.map(|(name, field)| Found {
                    place: format!("{kind}.{name}"),
                    kind,
                    name,
                    field,
                }));
            }
            _ => {}
        }
    }
    all
}

impl<'a> Translator<'a> {
    /// Reads every key; the pipeline that was asked for is the result.
    fn file(&mut self, file: &Field<'a>) -> Line {
        if !file.is_map() || file.get("pipelines").is_none_or(|pipelines| !pipelines.is_map()) {
            let message = "the file has no `pipelines`";
            let help =
                "a bitbucket-pipelines.yml has `pipelines`, with `default`, `branches` or `custom` in it";
            self.account.fault(Code::MissingKey, file, message, help);
            return Line::default();
        }
        let mut scratch = Draft::default();
        for (key, field) in file.entries() {
            match key {
                "image" => self.image(&field, &mut scratch),
                "clone" => self.clone_settings(&field, &mut scratch),
                "options" => self.note_options(&field),
                "definitions" => self.note_definitions(&field),
                "pipelines" => {}
                "export" => self.account.exact(&field, "nothing: whoever imports reads the file"),
                "labels" => self.account.approximate(&field, "nothing", "builds have no labels"),
                "triggers" => {
                    let reason = "a webhook of the project starts builds";
                    let suggestion = "runspan run bitbucket-pipelines.yml --job custom.NAME --event FILE";
                    self.account.manual(&field, reason, Some(suggestion.into()));
                }
                // A home for anchors.
                _ => self.home_of_anchors(field),
            }
        }
        let line = self.pipelines(file);
        for field in std::mem::take(&mut self.anchors) {
            self.account.rest(&field, "nothing: no pipeline uses it");
        }
        line
    }

    /// What is in it is noted where an alias puts it.
    pub(crate) fn home_of_anchors(&mut self, field: Field<'a>) {
        self.account.exact(&field, "nothing by itself: its anchors are noted where they are used");
        self.anchors.push(field);
    }

    fn pipelines(&mut self, file: &Field<'a>) -> Line {
        let Some(pipelines) = file.get("pipelines") else { return Line::default() };
        self.account.exact(&pipelines, "batches: one a pipeline");
        for (kind, field) in pipelines.entries() {
            match kind {
                "default" => {}
                "branches" | "tags" | "pull-requests" | "custom" => self.account.exact(&field, became(kind)),
                "bookmarks" => {
                    self.account.approximate(&field, "batches", "Mercurial is no more: nothing starts them");
                }
                _ => self.unknown(&field, "pipelines"),
            }
        }
        let all = found(file);
        let mut lines: Vec<Line> = Vec::with_capacity(all.len());
        for found in &all {
            self.note_selector(found);
            let line = self.pipeline(&found.field, &format!("pipelines.{}", found.place));
            lines.push(line);
        }
        let chosen = choose(&self.context.selection, &all, &lines);
        chosen.map(|index| lines.swap_remove(index)).unwrap_or_default()
    }

    fn note_selector(&mut self, found: &Found<'a>) {
        let (field, name) = (&found.field, found.name);
        let head = |prefix: &str| glob::filter(prefix, name);
        match found.kind {
            "branches" => {
                let group = format!("EVENT is PUSH, HEAD_REF is {}", head("refs/heads/"));
                self.account.exact(field, format!("a batch; the webhook's filter: {group}"));
            }
            "tags" => {
                let group = format!("EVENT is PUSH, HEAD_REF is {}", head("refs/tags/"));
                self.account.exact(field, format!("a batch; the webhook's filter: {group}"));
            }
            "pull-requests" => {
                let events = "PULL_REQUEST_CREATED, PULL_REQUEST_UPDATED";
                let group = format!("EVENT is {events}, HEAD_REF is {}", head("refs/heads/"));
                let difference = "the source branch is built as it is, not merged into its destination";
                self.account.approximate(
                    field,
                    format!("a batch; the webhook's filter: {group}"),
                    difference,
                );
            }
            "custom" => self.account.exact(field, format!("a batch, started with `--job custom.{name}`")),
            _ => {
                let became = "a batch; the webhook's filter: EVENT is PUSH, HEAD_REF is ^refs/heads/";
                self.account.exact(field, became);
            }
        }
    }
}

fn became(kind: &str) -> &'static str {
    match kind {
        "custom" => "batches that somebody starts",
        _ => "batches that a webhook starts",
    }
}

/// The pipeline that was asked for.
fn choose(selection: &Selection, all: &[Found<'_>], lines: &[Line]) -> Option<usize> {
    let at = |place: &str| all.iter().position(|found| found.place == place);
    let matching = |kind: &str, name: &str| {
        let of_kind = || all.iter().filter(|found| found.kind == kind);
        let best = glob::best(of_kind().map(|found| found.name), name)?;
        all.iter().position(|found| found.kind == kind && found.name == best)
    };
    match selection {
        Selection::Default => at("default")
            .or_else(|| ["main", "master"].iter().find_map(|branch| matching("branches", branch)))
            .or_else(|| (!all.is_empty()).then_some(0)),
        Selection::Branch(name) => matching("branches", name).or_else(|| at("default")),
        Selection::Tag(name) => matching("tags", name),
        Selection::PullRequest(name) => matching("pull-requests", name),
        Selection::Named(name) => at(name)
            .or_else(|| all.iter().position(|found| !found.name.is_empty() && found.name == name))
            .or_else(|| {
                let has =
                    |line: &Line| line.jobs.iter().any(|job| job.name == *name || job.identifier == *name);
                let first = at("default").filter(|&index| has(&lines[index]));
                first.or_else(|| lines.iter().position(has))
            }),
    }
}

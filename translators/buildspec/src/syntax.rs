//! What the YAML reader refused, in words for people and in libyaml's, which CodeBuild prints.

use serde_saphyr::{Error, ExternalMessageSource, budget::BudgetBreach};

use crate::{Code, Diagnostic, Span, yaml};

/// The reader's error as a diagnostic; `skipped` bytes at the start of `source` were not read.
pub(crate) fn diagnostic(error: &Error, source: &str, skipped: usize) -> Diagnostic {
    let error = inner(error);
    let span = error.location().and_then(|location| yaml::span(location, source, skipped));
    let diagnostic = match error {
        Error::Budget { breach, .. } => limit(breach),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => aliases(),
        Error::MultipleDocuments { .. } => {
            Diagnostic::new(Code::SeveralDocuments, "the file holds more than one YAML document")
                .label("a second document begins here")
                .help("a buildspec is one document: remove what follows `---`")
        }
        Error::UnknownAnchor { .. } => {
            syntax("this alias (`*name`) has no anchor (`&name`) before it", "unknown anchor")
                .help("quote the value when it is not meant as an alias: '*.txt'")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            syntax("this anchor holds an alias of itself", "anchor value contains itself")
        }
        Error::ExternalMessage { source: origin, msg, .. } => match &**origin {
            ExternalMessageSource::Parser(scan) => scanned(&scan.info(), span, source),
            _ => syntax(msg.clone(), msg),
        },
        Error::Message { msg, .. } => syntax(msg.clone(), msg),
        other => {
            let text = other.to_string();
            let text = text.split(" at line ").next().unwrap_or(&text).to_owned();
            syntax(text.clone(), &text)
        }
    };
    let span = diagnostic.span.or(span);
    finish(diagnostic, span)
}

/// The tab in the indentation of the line, which is before the place that the reader gives.
fn tab(source: &str, span: Span) -> Span {
    let line = source.lines().nth(span.line.saturating_sub(1)).unwrap_or_default();
    let found = line.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t');
    found.map_or(span, |at| Span::character(source, span.line, at + 1))
}

fn inner(error: &Error) -> &Error {
    match error.without_snippet() {
        Error::AliasError { error, .. } => inner(error),
        error => error,
    }
}

/// libyaml says the line after its message.
fn finish(mut diagnostic: Diagnostic, span: Option<Span>) -> Diagnostic {
    let Some(span) = span else { return diagnostic };
    if let Some(text) = &mut diagnostic.codebuild {
        *text = format!("{text} at line {}", span.line);
    }
    diagnostic.at(span)
}

fn syntax(message: impl Into<String>, libyaml: &str) -> Diagnostic {
    Diagnostic::new(Code::YamlSyntax, message).codebuild(libyaml)
}

fn aliases() -> Diagnostic {
    Diagnostic::new(Code::YamlLimit, "aliases (`*name`) make this file too large when they are expanded")
        .help("write the repeated parts out, or use fewer of them")
}

fn limit(breach: &BudgetBreach) -> Diagnostic {
    let message = match breach {
        BudgetBreach::Depth { .. } => {
            return deep();
        }
        BudgetBreach::Aliases { .. }
        | BudgetBreach::Anchors { .. }
        | BudgetBreach::AliasAnchorRatio { .. }
        | BudgetBreach::RecordedAnchorBytes { .. }
        | BudgetBreach::RecordedAnchorEvents { .. }
        | BudgetBreach::MergeKeys { .. } => return aliases(),
        BudgetBreach::ScalarBytes { .. } => "the file holds too much text when aliases are expanded".into(),
        BudgetBreach::Events { .. } | BudgetBreach::Nodes { .. } => {
            format!("the file holds more than {} lists, maps, keys and values", yaml::MAX_NODES)
        }
        BudgetBreach::Documents { .. } => "the file holds too many YAML documents".into(),
        _ => "the file is too large to be a buildspec".into(),
    };
    Diagnostic::new(Code::YamlLimit, message)
}

fn deep() -> Diagnostic {
    Diagnostic::new(
        Code::YamlLimit,
        format!("lists and maps are nested more than {} levels deep", yaml::MAX_DEPTH),
    )
}

/// A scanner's or parser's error.
fn scanned(info: &str, span: Option<Span>, source: &str) -> Diagnostic {
    let has = |part: &str| info.contains(part);
    if has("nesting") || has("recursion") {
        return deep();
    }
    if has("tab") && (has("indentation") || has("disallowed") || has("found a tab") || has("cannot start")) {
        let mut diagnostic =
            syntax("a tab cannot indent YAML", "found character that cannot start any token")
                .label("a tab")
                .help("indent with spaces");
        diagnostic.span = span.map(|span| tab(source, span));
        return diagnostic;
    }
    let libyaml = libyaml(info);
    let mut diagnostic = syntax(format!("not valid YAML: {libyaml}"), libyaml);
    let help = span.and_then(|span| command_help(source, span)).or_else(|| {
        let misplaced =
            [VALUES, "did not find expected key", "could not find expected ':'"].contains(&libyaml);
        misplaced.then(|| {
            "check the indentation of this line and the one above, and for a missing `:` or quote".into()
        })
    });
    diagnostic.help = help;
    diagnostic
}

const VALUES: &str = "mapping values are not allowed in this context";

/// libyaml's words for the same fault, as far as they are known.
fn libyaml(info: &str) -> &str {
    const WORDS: &[(&str, &str)] = &[
        ("flow sequence", "did not find expected ',' or ']'"),
        ("flow mapping", "did not find expected ',' or '}'"),
        ("unclosed bracket '['", "did not find expected ',' or ']'"),
        ("unclosed bracket '{'", "did not find expected ',' or '}'"),
        ("mapping values are not allowed", VALUES),
        ("illegal placement of ':'", "did not find expected ',' or ']'"),
        ("unexpected character", "found character that cannot start any token"),
        ("unclosed quote", "found unexpected end of stream"),
        ("simple key expected", "could not find expected ':'"),
        ("simple key is no longer valid", "could not find expected ':'"),
    ];
    WORDS
        .iter()
        .find(|(part, _)| info.contains(part))
        .map_or_else(|| info.rsplit_once(", ").map_or(info, |(_, last)| last), |(_, words)| words)
}

/// A hint for a list item whose colons or quotes YAML took for its own.
fn command_help(source: &str, span: Span) -> Option<String> {
    let line = source.lines().nth(span.line.checked_sub(1)?)?;
    let command = line.trim_start().strip_prefix("- ")?.trim();
    let special =
        command.contains(": ") || command.starts_with(['\'', '"', '[', '{', '*', '&', '!', '%', '@', '`']);
    (special && command.len() <= 200)
        .then(|| format!("quote the whole command: - {}", single_quoted(command)))
}

/// `text` as a single-quoted YAML scalar.
pub(crate) fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

//! What is wrong with a file, as plain values; [`render`](crate::render) makes them readable.

use std::{fmt, ops::Range};

/// One fault of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of fault; it decides the [`severity`](Self::severity).
    pub code: Code,
    /// What is wrong, in one line.
    pub message: String,
    /// Where; nothing when the fault is of the file as a whole.
    pub span: Option<Span>,
    /// A few words for the underlined text; may be empty.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
    /// CodeBuild's own words, where they are known.
    pub codebuild: Option<String>,
}

/// A second place of a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub span: Span,
    /// What is there.
    pub label: String,
}

/// A piece of one line of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column of the first character, from 1.
    pub column: usize,
    /// Column after the last character.
    pub end_column: usize,
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The build runs, but probably not as meant.
    Warning,
    /// There is no build.
    Error,
}

impl Severity {
    /// `warning` or `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// CodeBuild's status code of a phase that fails by a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    /// `YAML_FILE_ERROR`.
    YamlFileError,
}

impl StatusCode {
    /// As it stands in build records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::YamlFileError => "YAML_FILE_ERROR",
        }
    }
}

impl Diagnostic {
    /// A fault of the file as a whole.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            span: None,
            label: String::new(),
            help: None,
            related: Vec::new(),
            codebuild: None,
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Says a few words at the underlined text.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points to a second place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push(Related { span, label: label.into() });
        self
    }

    pub(crate) fn codebuild(mut self, text: impl Into<String>) -> Self {
        self.codebuild = Some(text.into());
        self
    }

    /// How bad it is.
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// The status code of the build that cannot start; nothing for a warning.
    pub const fn status(&self) -> Option<StatusCode> {
        match self.severity() {
            Severity::Error => Some(StatusCode::YamlFileError),
            Severity::Warning => None,
        }
    }

    /// The message for build records and logs: CodeBuild's own words where they are known.
    pub fn codebuild_message(&self) -> String {
        match (&self.codebuild, self.span) {
            (Some(text), _) => text.clone(),
            (None, Some(span)) => format!("{} at line {}", self.message, span.line),
            (None, None) => self.message.clone(),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = self.span {
            write!(f, "{}:{}: ", span.line, span.column)?;
        }
        write!(f, "{}[{}]: {}", self.severity().name(), self.code.id(), self.message)
    }
}

impl Span {
    /// The part of `bytes` on its first line, `line` and `column` being those of its first character.
    pub(crate) fn on_line(source: &str, bytes: Range<usize>, line: usize, column: usize) -> Self {
        let start = floor(source, bytes.start);
        let text = &source[start..floor(source, bytes.end.max(start))];
        let text = text.lines().next().unwrap_or_default().trim_end();
        Self { start, end: start + text.len(), line, column, end_column: column + text.chars().count() }
    }

    /// The character at a line and column, both from 1.
    pub(crate) fn character(source: &str, line: usize, column: usize) -> Self {
        let mut start = 0;
        let mut text = "";
        for (index, each) in source.split_inclusive('\n').enumerate() {
            (start, text) = (if index == 0 { 0 } else { start + text.len() }, each);
            if index + 1 == line {
                break;
            }
        }
        let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        let at = text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        let length = text[at..].chars().next().map_or(0, char::len_utf8);
        let start = start + at;
        Self { start, end: start + length, line, column, end_column: column + usize::from(length > 0) }
    }

    /// The part of `bytes` on its first line.
    pub fn of(source: &str, bytes: Range<usize>) -> Self {
        let before = &source[..floor(source, bytes.start)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Self::on_line(source, bytes, line, before[line_start..].chars().count() + 1)
    }
}

fn floor(source: &str, at: usize) -> usize {
    source.floor_char_boundary(at.min(source.len()))
}

macro_rules! codes {
    ($($severity:ident { $($(#[doc = $doc:literal])+ $name:ident = $id:literal,)+ })+) => {
        /// The kind of a diagnostic; its text id is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($($(#[doc = $doc])+ $name,)+)+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$($(Self::$name,)+)+];

            /// The stable text id.
            pub const fn id(self) -> &'static str {
                match self { $($(Self::$name => $id,)+)+ }
            }

            /// How bad a diagnostic of this kind is.
            pub const fn severity(self) -> Severity {
                match self { $($(Self::$name)|+ => Severity::$severity,)+ }
            }

            /// What it means, in one line.
            pub fn description(self) -> &'static str {
                match self { $($(Self::$name => concat!($($doc),+).trim_ascii(),)+)+ }
            }
        }
    };
}

codes! {
    Error {
        /// The text is not YAML.
        YamlSyntax = "yaml-syntax",
        /// The file is larger, deeper or more repetitive than a buildspec may be.
        YamlLimit = "yaml-limit",
        /// The file is not UTF-8 text.
        NotText = "not-text",
        /// The file holds nothing.
        EmptyFile = "empty-file",
        /// The file holds more than one YAML document.
        SeveralDocuments = "several-documents",
        /// A key stands twice in one map.
        DuplicateKey = "duplicate-key",
        /// A value is of the wrong kind.
        WrongType = "wrong-type",
        /// A value is none of those allowed.
        InvalidValue = "invalid-value",
        /// A required key is missing.
        MissingKey = "missing-key",
        /// Keys that exclude each other stand together.
        ConflictingKeys = "conflicting-keys",
        /// A list or map holds more entries than allowed.
        TooMany = "too-many",
        /// A command was read as a map because of a colon.
        CommandIsMap = "command-is-map",
        /// A phase has an unknown name.
        UnknownPhase = "unknown-phase",
        /// Two builds of a batch have the same identifier.
        DuplicateIdentifier = "duplicate-identifier",
        /// A build of a batch depends on one that is not there.
        UnknownDependency = "unknown-dependency",
        /// Builds of a batch depend on each other in a circle.
        DependencyCycle = "dependency-cycle",
        /// The text is not what the language of the file allows.
        Syntax = "syntax",
        /// An expression of a workflow cannot be read or has no value.
        Expression = "expression",
        /// A job, step, definition or file that is named is not there.
        UnknownReference = "unknown-reference",
        /// Something contains or calls itself.
        Recursion = "recursion",
        /// AWS CodeBuild itself does not take it.
        RunspanOnly = "runspan-only",
    }
    Warning {
        /// A key is not known and has no effect.
        UnknownKey = "unknown-key",
        /// A key has no effect where it stands.
        IgnoredKey = "ignored-key",
        /// A key holds nothing.
        EmptyValue = "empty-value",
        /// A phase runs nothing.
        EmptyPhase = "empty-phase",
        /// A single value stands where a list belongs.
        ScalarForList = "scalar-for-list",
        /// A variable has a name that CodeBuild keeps for itself.
        ReservedVariable = "reserved-variable",
        /// A variable has a name that a shell cannot use.
        VariableName = "variable-name",
        /// A secret is not named as `secret-id:json-key:version-stage:version-id`.
        SecretReference = "secret-reference",
        /// A YAML tag has no effect.
        IgnoredTag = "ignored-tag",
        /// There is more to say about the file than is said.
        MoreDiagnostics = "more-diagnostics",
    }
}

/// Text of a file inside a message: in backticks, control characters escaped, cut when long.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out = String::from("`");
    for (count, c) in text.chars().enumerate() {
        if count == LONGEST {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.push('`');
    out
}

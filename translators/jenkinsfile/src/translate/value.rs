//! Expressions as values that the shell can hold.

use runspan_buildspec::shell::{Interpreter, Script, quoted};

use super::{
    Translator,
    scope::{Meaning, argument, first, named},
    variables,
    word::{Part, Word, is_name},
};
use crate::groovy::{Arg, Call, Expr, ExprKind, Name, Piece};

/// The variable that holds the result of a pipeline that did not simply fail.
pub(super) const RESULT: &str = "PIPELINE_RESULT";

/// Bytes that a value or condition may have.
pub(super) const LONGEST: usize = 100_000;

impl Translator<'_> {
    /// The value of an expression, when the shell can have it.
    pub(super) fn value(&self, expr: &Expr) -> Option<Word> {
        // Some values stand twice in what they become: nested, they would grow without end.
        self.value_of(expr).filter(|word| word.length() <= LONGEST)
    }

    fn value_of(&self, expr: &Expr) -> Option<Word> {
        match &expr.bare().kind {
            ExprKind::Text(text) => Some(Word::literal(text)),
            ExprKind::Int(value) => Some(Word::literal(value.to_string())),
            ExprKind::Decimal(value) => Some(Word::literal(value.to_string())),
            ExprKind::Bool(value) => Some(Word::literal(value.to_string())),
            ExprKind::Null => Some(Word::literal("")),
            ExprKind::GString(pieces) => {
                let mut word = Word::default();
                for piece in pieces {
                    word = word.then(match piece {
                        Piece::Text(text) => Word::literal(text),
                        Piece::Value(value) => self.value(value)?,
                        Piece::Code(code) if code.is_empty() => Word::default(),
                        Piece::Code(_) => return None,
                    });
                }
                Some(word)
            }
            ExprKind::Var(name) => self.variable(name),
            ExprKind::Property { object, name: Name::Fixed(name), .. } => self.property(object, name),
            ExprKind::Index { object, args } => match (&object.kind, args.as_slice()) {
                (ExprKind::Var(owner), [Expr { kind: ExprKind::Text(name), .. }])
                    if matches!(owner.as_str(), "env" | "params") && is_name(name) =>
                {
                    Some(Word::variable(name))
                }
                _ => None,
            },
            ExprKind::Binary { op: "+", left, right } => {
                if let (ExprKind::Int(_), _) | (_, ExprKind::Int(_)) = (&left.kind, &right.kind)
                    && !self.is_text(left)
                    && !self.is_text(right)
                {
                    return self.arithmetic(expr);
                }
                Some(self.value(left)?.then(self.value(right)?))
            }
            ExprKind::Binary { op: "-" | "*" | "%", .. } => self.arithmetic(expr),
            ExprKind::Elvis { value, otherwise } => self.or_else(value, otherwise),
            ExprKind::Ternary { condition, then, otherwise } => {
                let condition = self.condition(condition)?;
                let (then, otherwise) = (self.value(then)?.argument(), self.value(otherwise)?.argument());
                Some(Word::command(&format!(
                    "if {condition}; then printf %s {then}; else printf %s {otherwise}; fi"
                )))
            }
            ExprKind::Cast { value, .. } => self.value(value),
            ExprKind::Call(call) => self.called(call),
            _ => None,
        }
    }

    fn is_text(&self, expr: &Expr) -> bool {
        match &expr.bare().kind {
            ExprKind::Text(_) | ExprKind::GString(_) => true,
            ExprKind::Binary { op: "+", left, right } => self.is_text(left) || self.is_text(right),
            _ => false,
        }
    }

    fn variable(&self, name: &str) -> Option<Word> {
        match self.scope.get(name) {
            Some(Meaning::Constant(text)) => Some(Word::literal(text)),
            Some(Meaning::Variable | Meaning::Flag) => is_name(name).then(|| Word::variable(name)),
            Some(Meaning::Image(image)) => Some(image.clone()),
            Some(Meaning::Exception) => Some(Word::literal("a step failed")),
            Some(Meaning::List(_) | Meaning::Method(..) | Meaning::Opaque) => None,
            None => {
                let capital = is_name(name) && !name.contains(|c: char| c.is_ascii_lowercase());
                (capital || variables::is_given(name)).then(|| Word::variable(name))
            }
        }
    }

    fn property(&self, object: &Expr, name: &str) -> Option<Word> {
        let ExprKind::Var(owner) = &object.bare().kind else { return None };
        match (owner.as_str(), name) {
            ("env" | "params", _) => is_name(name).then(|| Word::variable(name)),
            ("currentBuild", "number" | "id") => Some(Word::variable("CODEBUILD_BUILD_NUMBER")),
            ("currentBuild", "displayName") => {
                Some(Word::literal("#").then(Word::variable("CODEBUILD_BUILD_NUMBER")))
            }
            ("currentBuild", "absoluteUrl") => Some(Word::variable("CODEBUILD_BUILD_URL")),
            ("currentBuild", "fullDisplayName") => Some(
                Word(vec![Part::Expand("${CODEBUILD_BUILD_ID%%:*}".into())])
                    .then(Word::literal(" #"))
                    .then(Word::variable("CODEBUILD_BUILD_NUMBER")),
            ),
            ("currentBuild", "projectName" | "fullProjectName") => {
                Some(Word(vec![Part::Expand("${CODEBUILD_BUILD_ID%%:*}".into())]))
            }
            ("currentBuild", "result" | "currentResult") => Some(Word::command(
                "if [ \"$CODEBUILD_BUILD_SUCCEEDING\" = 1 ]; then echo \"${PIPELINE_RESULT:-SUCCESS}\"; else echo FAILURE; fi",
            )),
            (_, "message" | "localizedMessage")
                if matches!(self.scope.get(owner), Some(Meaning::Exception)) =>
            {
                Some(Word::literal("a step failed"))
            }
            (_, "id") => match self.scope.get(owner) {
                Some(Meaning::Image(image)) => Some(image.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// `value ?: otherwise`.
    fn or_else(&self, value: &Expr, otherwise: &Expr) -> Option<Word> {
        let (value, otherwise) = (self.value(value)?, self.value(otherwise)?);
        if let Some(constant) = value.constant() {
            return Some(if constant.is_empty() { otherwise } else { value });
        }
        match value.as_variable() {
            Some(name) => {
                let mut default = String::new();
                for part in &otherwise.0 {
                    match part {
                        // Inside of `${…}` a brace would end it.
                        Part::Literal(text) if text.contains(['"', '\\', '$', '`', '}', '\'']) => {
                            return None;
                        }
                        Part::Literal(text) | Part::Expand(text) => default.push_str(text),
                    }
                }
                Some(Word(vec![Part::Expand(format!("${{{name}:-{default}}}"))]))
            }
            None => {
                let (value, otherwise) = (value.argument(), otherwise.argument());
                Some(Word::command(&format!(
                    "if [ -n {value} ]; then printf %s {value}; else printf %s {otherwise}; fi"
                )))
            }
        }
    }

    /// Whole numbers and variables, joined by operators.
    fn arithmetic(&self, expr: &Expr) -> Option<Word> {
        Some(Word(vec![Part::Expand(format!("$(({}))", self.sum(expr)?))]))
    }

    fn sum(&self, expr: &Expr) -> Option<String> {
        match &expr.kind {
            ExprKind::Paren(inner) => Some(format!("({})", self.sum(inner)?)),
            ExprKind::Binary { op: op @ ("+" | "-" | "*" | "%"), left, right } => {
                Some(format!("{} {op} {}", self.sum(left)?, self.sum(right)?))
            }
            ExprKind::Int(value) => Some(value.to_string()),
            ExprKind::Call(call) if call.args.is_empty() => match (&call.object, &call.name) {
                (Some(object), Name::Fixed(name)) if matches!(name.as_str(), "toInteger" | "intValue") => {
                    self.sum(object)
                }
                _ => None,
            },
            _ => {
                let word = self.value(expr)?;
                let name = word.as_variable()?;
                Some(name.to_owned())
            }
        }
    }

    fn called(&self, call: &Call) -> Option<Word> {
        let Name::Fixed(name) = &call.name else { return None };
        let Some(object) = &call.object else { return self.step_value(name, call) };
        if let (ExprKind::Var(owner), "get" | "getProperty") = (&object.kind, name.as_str())
            && matches!(owner.as_str(), "env" | "params")
        {
            let variable = first(call)?.as_text().filter(|name| is_name(name))?;
            return Some(Word::variable(variable));
        }
        if name == "join" {
            let separator = match first(call) {
                Some(separator) => self.value(separator)?,
                None => Word::default(),
            };
            let mut joined = Word::default();
            for (index, item) in self.list(object)?.into_iter().enumerate() {
                if index > 0 {
                    joined = joined.then(separator.clone());
                }
                joined = joined.then(item);
            }
            return Some(joined);
        }
        if let (ExprKind::Var(owner), "currentTimeMillis") = (&object.kind, name.as_str())
            && owner == "System"
        {
            return Some(Word::command("date +%s000"));
        }
        let value = self.value(object)?;
        if matches!(name.as_str(), "length" | "size") && call.args.is_empty() {
            return match (value.constant(), value.as_variable()) {
                (Some(text), _) => Some(Word::literal(text.chars().count().to_string())),
                (None, Some(variable)) => Some(Word(vec![Part::Expand(format!("${{#{variable}}}"))])),
                (None, None) => None,
            };
        }
        match (name.as_str(), value.constant()) {
            ("toString" | "trim" | "toInteger" | "toBoolean" | "strip", None) => return Some(value),
            ("toString" | "toInteger" | "toBoolean", Some(_)) => return Some(value),
            ("trim" | "strip", Some(text)) => return Some(Word::literal(text.trim())),
            ("stripIndent", Some(text)) => return Some(Word::literal(strip_indent(&text))),
            ("stripIndent" | "stripMargin", None) => return Some(value),
            ("toLowerCase", Some(text)) => return Some(Word::literal(text.to_lowercase())),
            ("toUpperCase", Some(text)) => return Some(Word::literal(text.to_uppercase())),
            _ => {}
        }
        let filter = match name.as_str() {
            "toLowerCase" => "tr '[:upper:]' '[:lower:]'".to_owned(),
            "toUpperCase" => "tr '[:lower:]' '[:upper:]'".to_owned(),
            "capitalize" => "sed 's/^./\\u&/'".to_owned(),
            "take" => format!("cut -c1-{}", whole(first(call)?)?),
            "substring" => match call.args.as_slice() {
                [Arg::Value(from)] => format!("cut -c{}-", whole(from)? + 1),
                [Arg::Value(from), Arg::Value(to)] => format!("cut -c{}-{}", whole(from)? + 1, whole(to)?),
                _ => return None,
            },
            "replace" | "replaceAll" | "replaceFirst" => match call.args.as_slice() {
                [Arg::Value(from), Arg::Value(to)] => {
                    let (from, to) = (self.value(from)?.constant()?, self.value(to)?.constant()?);
                    replacing(name, &from, &to)?
                }
                _ => return None,
            },
            _ => return None,
        };
        Some(Word::command(&format!("printf %s {} | {filter}", value.argument())))
    }

    /// Steps that have a value.
    fn step_value(&self, name: &str, call: &Call) -> Option<Word> {
        match name {
            "sh" => {
                let stdout = named(call, "returnStdout").is_some_and(is_true);
                let script = self.value(argument(call, "script")?)?;
                stdout.then(|| Word::command(&self.script(&script).command(self.shell)))
            }
            "readFile" => {
                Some(Word::command(&format!("cat {}", self.value(argument(call, "file")?)?.argument())))
            }
            "pwd" => Some(Word(vec![Part::Expand("$PWD".into())])),
            "isUnix" => Some(Word::literal("true")),
            "fileExists" => {
                let file = self.value(argument(call, "file")?)?.argument();
                Some(Word::command(&format!("test -e {file} && echo true || echo false")))
            }
            "credentials" => None,
            "booleanParam" | "string" => None,
            _ => match self.scope.get(name) {
                // A helper that only gives back a value.
                Some(Meaning::Method([], body)) => match body {
                    [
                        crate::groovy::Stmt {
                            kind:
                                crate::groovy::StmtKind::Expr(value)
                                | crate::groovy::StmtKind::Return(Some(value)),
                            ..
                        },
                    ] if !matches!(&value.kind, ExprKind::Call(inner) if inner.step() == Some(name)) => {
                        self.helped(|translator| translator.value(value))
                    }
                    _ => None,
                },
                _ => None,
            },
        }
    }

    /// Looks into a helper, unless helpers have been looked into too often: they may call each other.
    pub(super) fn helped<T>(&self, look: impl FnOnce(&Self) -> Option<T>) -> Option<T> {
        const DEEPEST: usize = 10;
        const MOST: usize = 2_000;
        if self.helpers.depth.get() > DEEPEST || self.helpers.count.get() > MOST {
            return None;
        }
        self.helpers.count.set(self.helpers.count.get() + 1);
        self.helpers.depth.set(self.helpers.depth.get() + 1);
        let found = look(self);
        self.helpers.depth.set(self.helpers.depth.get() - 1);
        found
    }

    /// The items of a list.
    pub(super) fn list(&self, expr: &Expr) -> Option<Vec<Word>> {
        match &expr.bare().kind {
            ExprKind::List(items) => items.iter().map(|item| self.value(item)).collect(),
            ExprKind::Var(name) => match self.scope.get(name) {
                Some(Meaning::List(items)) => Some(items.clone()),
                _ => None,
            },
            ExprKind::Binary { op: ".." | "..<", left, right } => {
                let (from, to) = (whole(left)?, whole(right)?);
                let last =
                    if matches!(expr.bare().kind, ExprKind::Binary { op: "..<", .. }) { to - 1 } else { to };
                (last - from < 1000)
                    .then(|| (from..=last).map(|value| Word::literal(value.to_string())).collect())
            }
            ExprKind::Cast { value, .. } => self.list(value),
            ExprKind::Call(call) => match (&call.object, &call.name) {
                (Some(object), Name::Fixed(name)) if matches!(name.as_str(), "split" | "tokenize") => {
                    let text = self.value(object)?.constant()?;
                    let separator = match first(call) {
                        Some(separator) => self.value(separator)?.constant()?,
                        None => " ".into(),
                    };
                    let plain =
                        !separator.is_empty() && !separator.contains(['\\', '[', '|', '.', '*', '+', '(']);
                    plain.then(|| text.split(separator.as_str()).map(Word::literal).collect())
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// A text that is known when the file is read.
    pub(super) fn constant(&self, expr: &Expr) -> Option<String> {
        self.value(expr)?.constant()
    }

    /// A script as Jenkins starts it: by `sh -xe`, unless its first line names another program.
    pub(super) fn script(&self, word: &Word) -> Script {
        let text = word.script();
        let interpreter = interpreter(&text);
        let text = match interpreter {
            Interpreter::Sh(_) | Interpreter::Bash(_) if text.starts_with("#!") => {
                text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
            }
            _ => text,
        };
        Script { text: strip_indent(&text), interpreter, ..Script::default() }
    }
}

fn interpreter(text: &str) -> Interpreter {
    let Some(line) = text.strip_prefix("#!").and_then(|rest| rest.lines().next()) else {
        return Interpreter::Sh("-e".into());
    };
    let mut words = line.split_whitespace();
    let mut program = words.next().unwrap_or_default();
    if program.ends_with("/env") {
        program = words.next().unwrap_or_default();
    }
    let options: Vec<_> = words.filter(|word| !matches!(*word, "-x" | "-l" | "--login")).collect();
    let options = options.join(" ").replace("-xe", "-e").replace("-ex", "-e");
    match program.rsplit('/').next().unwrap_or_default() {
        "bash" => Interpreter::Bash(options),
        "sh" | "dash" | "" => Interpreter::Sh(options),
        other => Interpreter::Program {
            template: format!("{} {{0}}", if program.contains('/') { program } else { other }),
            extension: if other.starts_with("python") { "py".into() } else { "script".into() },
        },
    }
}

/// Text without the indentation that all of its lines share.
pub(super) fn strip_indent(text: &str) -> String {
    // What stands in a here-document or between quotes over lines keeps its white space.
    if text.contains("<<") {
        return text.trim_matches('\n').to_owned();
    }
    let indent = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start_matches([' ', '\t']).len())
        .min()
        .unwrap_or(0);
    let lines: Vec<_> = text.lines().map(|line| line.get(indent..).unwrap_or_default().trim_end()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// The filter that replaces a text.
fn replacing(method: &str, from: &str, to: &str) -> Option<String> {
    let single = |text: &str| text.chars().count() == 1 && !text.contains(['\\', '[', ']', '\n']);
    let regex = method != "replace";
    if single(from) && single(to) && !(regex && from.contains(['.', '*', '+', '?', '^', '$', '|', '(', ')']))
    {
        return Some(format!("tr {} {}", quoted(from), quoted(to)));
    }
    if from.contains(['\n', '\u{1}']) || to.contains(['\n', '\\', '$']) {
        return None;
    }
    let escape = |text: &str, special: &str| {
        text.chars()
            .flat_map(|c| special.contains(c).then_some('\\').into_iter().chain([c]))
            .collect::<String>()
    };
    let pattern = if regex { escape(from, "/") } else { escape(from, "/.*[]^$\\") };
    if regex && (from.contains("\\d") || from.contains("\\w") || from.contains("(?")) {
        return None;
    }
    let flags = if method == "replaceFirst" { "" } else { "g" };
    let extended = if regex { "-E " } else { "" };
    Some(format!("sed {extended}{}", quoted(&format!("s/{pattern}/{}/{flags}", escape(to, "/&")))))
}

pub(super) fn whole(expr: &Expr) -> Option<i64> {
    match expr.bare().kind {
        ExprKind::Int(value) if value.abs() < 1_000_000 => Some(value),
        _ => None,
    }
}

pub(super) fn is_true(expr: &Expr) -> bool {
    matches!(expr.bare().kind, ExprKind::Bool(true))
}

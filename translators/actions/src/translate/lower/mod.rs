//! Expressions to what the shell knows.

mod context;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::Rc,
};

use indexmap::IndexMap;

use super::shell::{Lowered, ShellText, Test, joined, variable_name};
use runspan_expressions::{Comparison, Contexts, Expr, Function, Kind, Segment, Template, Value, evaluate};

/// What is known where an expression stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    /// `env`: values that no step changes; other names are variables.
    pub(crate) env: IndexMap<String, Lowered>,
    /// Names of `env` that only the step has.
    pub(crate) local: BTreeSet<String>,
    /// Names of `env` that steps change.
    pub(crate) changing: BTreeSet<String>,
    /// `matrix`: every value that a name has.
    pub(crate) matrix: IndexMap<String, Vec<Value>>,
    /// `inputs`.
    pub(crate) inputs: IndexMap<String, Lowered>,
    /// `steps`: outputs of those that were translated.
    pub(crate) steps: IndexMap<String, Outputs>,
    /// `needs`: whether the jobs before have succeeded whenever this one runs.
    pub(crate) after_success: bool,
    /// `runner.os` and `runner.arch`; nothing when the legs differ.
    pub(crate) os: Option<&'static str>,
    /// `runner.arch`.
    pub(crate) arch: Option<&'static str>,
    /// Artifacts of jobs before: by name the identifier of the build, and where its files lie in it.
    pub(crate) uploads: Rc<IndexMap<String, (String, String)>>,
    /// Jobs before that hand their outputs on: id and identifier of the build.
    pub(crate) handing: Rc<IndexMap<String, String>>,
    /// Conditions of the jobs that call this one, and what they need.
    pub(crate) guards: Vec<Test>,
    /// What these conditions need.
    pub(crate) before: Needed,
    /// Ids of steps in the file's words, with what goes before their variables.
    pub(crate) prefix: String,
    /// Name of the job.
    pub(crate) job: String,
    /// Steps remain steps: what they answer is asked of the engine.
    pub(crate) keeps_steps: bool,
}

/// What a step answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outputs {
    /// Variables that its script fills.
    Script,
    /// What a translated action gives.
    Native(IndexMap<String, Lowered>),
    /// Its action is run by the engine.
    Engine,
}

/// What was needed to lower the expressions of a construct.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// What a person has to see to.
    pub(crate) unknown: BTreeSet<String>,
    /// What differs.
    pub(crate) differences: BTreeSet<String>,
}

/// What a job needs to be set before its steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needed {
    /// GitHub's variables.
    pub(crate) github: BTreeSet<&'static str>,
    /// Secrets and variables of the repository that must be given.
    pub(crate) given: BTreeSet<String>,
    /// Variables that only expressions ask for, with what they are inside double quotes.
    pub(crate) defined: IndexMap<String, String>,
    /// Files that steps write to.
    pub(crate) files: bool,
    /// Builds before whose outputs are asked for.
    pub(crate) outputs_of: BTreeSet<String>,
    /// `sudo`, which an image need not have.
    pub(crate) sudo: bool,
}

/// Bytes of the longest text that an expression becomes: each level of it may double what is below.
const LONGEST: usize = 4_000;

/// Bytes of the longest text that is put together of several.
const MOST: usize = 2 << 20;

pub(crate) struct Lowerer<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) findings: RefCell<Findings>,
    pub(crate) needed: &'a RefCell<Needed>,
    /// Whether it is the condition of a job, which is asked before the job begins.
    pub(crate) of_job: Cell<bool>,
    /// Whether variables of the environment are named rather than their values.
    pub(crate) by_name: Cell<bool>,
}

impl<'a> Lowerer<'a> {
    pub(crate) fn new(scene: &'a Scene, needed: &'a RefCell<Needed>) -> Self {
        Self {
            scene,
            findings: RefCell::default(),
            needed,
            of_job: Cell::new(false),
            by_name: Cell::new(false),
        }
    }

    /// What was found since this was asked last.
    pub(crate) fn findings(&self) -> Findings {
        self.findings.take()
    }

    pub(crate) fn differs(&self, difference: impl Into<String>) {
        self.findings.borrow_mut().differences.insert(difference.into());
    }

    pub(crate) fn unknown(&self, reason: impl Into<String>) {
        self.findings.borrow_mut().unknown.insert(reason.into());
    }

    /// A text with expressions.
    pub(crate) fn template(&self, template: &Template) -> Lowered {
        if let Some(text) = template.literal() {
            return Lowered::Known(text.into());
        }
        if let [Segment::Expression { expr, .. }] = template.segments.as_slice() {
            return self.expr(expr);
        }
        let mut length = 0;
        let mut pieces = Vec::new();
        for segment in &template.segments {
            let piece = match segment {
                Segment::Text(text) => Lowered::Known(text.as_str().into()),
                Segment::Expression { expr, .. } => self.expr(expr),
            };
            length += piece.length();
            if length > MOST {
                self.unknown("the text becomes too long");
                break;
            }
            pieces.push(piece);
        }
        concatenated(&pieces)
    }

    /// A condition; known, or a test.
    pub(crate) fn condition(&self, template: &Template) -> Result<Test, bool> {
        // Text beside an expression makes text of it all, which is true.
        if template.segments.len() > 1 {
            self.differs("text beside `${{ }}` makes the condition always true on GitHub, and here");
            return Err(true);
        }
        match template.expression() {
            Some(expr) => self.ask(expr),
            None => self.template(template).test(),
        }
    }

    /// Whether an expression is taken for true; what it is does not matter.
    fn ask(&self, expr: &Expr) -> Result<Test, bool> {
        match &expr.kind {
            Kind::Not(inner) => match self.ask(inner) {
                Err(known) => Err(!known),
                Ok(test) => Ok(test.negated()),
            },
            Kind::And(parts) => self.ask_each(parts, true),
            Kind::Or(parts) => self.ask_each(parts, false),
            _ => self.expr(expr).test(),
        }
    }

    /// `&&`, where each must hold, or `||`, where one must.
    fn ask_each(&self, parts: &[Expr], all: bool) -> Result<Test, bool> {
        let mut tests = Vec::new();
        for part in parts {
            match self.ask(part) {
                Err(known) if known == all => {}
                Err(known) => return Err(known),
                Ok(test) => tests.push(test),
            }
        }
        if tests.is_empty() { Err(all) } else { Ok(Test::joined(&tests, if all { "&&" } else { "||" })) }
    }

    pub(crate) fn expr(&self, expr: &Expr) -> Lowered {
        let lowered = self.uncut(expr);
        let known = matches!(lowered, Lowered::Known(_));
        let length = if known { lowered.length() / 8 } else { lowered.length() };
        if length <= LONGEST {
            return lowered;
        }
        self.unknown("the expression is too long for a command: compute it in a step of its own");
        Lowered::Text(ShellText::variable("EXPRESSION"))
    }

    fn uncut(&self, expr: &Expr) -> Lowered {
        match &expr.kind {
            Kind::Literal(value) => Lowered::Known(value.clone()),
            Kind::Context(_) | Kind::Index(..) | Kind::Star(_) => self.context(expr),
            Kind::Not(_) => match self.ask(expr) {
                Err(known) => Lowered::Known(known.into()),
                Ok(test) => Lowered::Test(test),
            },
            Kind::And(parts) => self.all(parts),
            Kind::Or(parts) => self.any(parts),
            Kind::Compare(comparison, left, right) => {
                let (left, right) = (self.expr(left), self.expr(right));
                self.compare(*comparison, &left, &right)
            }
            Kind::Call(function, values) => self.call(*function, values, expr),
        }
    }

    /// `a && b`, as a value: the last when the others hold.
    fn all(&self, parts: &[Expr]) -> Lowered {
        match self.option(parts) {
            (None, value) => value,
            (Some(test), Lowered::Test(last)) => Lowered::Test(Test::joined(&[test, last], "&&")),
            (Some(test), Lowered::Known(Value::Boolean(true))) => Lowered::Test(test),
            (Some(test), value) => Lowered::Text(ShellText::new(format!(
                "$(if {}; then echo \"{}\"; else echo false; fi)",
                test.text,
                value.inside()
            ))),
        }
    }

    /// `a || b`, as a value: the first that is something.
    fn any(&self, parts: &[Expr]) -> Lowered {
        let mut options: Vec<(Option<Test>, Lowered)> = Vec::new();
        for part in parts {
            let (test, value) = match &part.kind {
                Kind::And(parts) => self.option(parts),
                _ => (None, self.expr(part)),
            };
            match value.test() {
                Err(false) => {}
                Err(true) if test.is_none() => {
                    options.push((None, value));
                    break;
                }
                _ => options.push((test, value)),
            }
        }
        let Some((last, others)) = options.split_last() else { return Lowered::Known(false.into()) };
        if let ([], (None, value)) = (others, last) {
            return value.clone();
        }
        let question = |value: &Lowered| match value {
            Lowered::Test(_) | Lowered::Known(Value::Boolean(_)) => true,
            Lowered::Text(text) => text.boolean,
            Lowered::Known(_) => false,
        };
        if options.iter().all(|(_, value)| question(value)) {
            let tests: Result<Vec<Test>, bool> = options.into_iter().map(both).collect();
            return match tests {
                Ok(tests) => Lowered::Test(Test::joined(&tests, "||")),
                Err(known) => Lowered::Known(known.into()),
            };
        }
        let mut out = last.1.inside();
        if let Some(test) = &last.0 {
            out = format!("$(if {}; then echo \"{out}\"; else echo false; fi)", test.text);
        }
        for (test, value) in others.iter().rev() {
            let inside = value.inside();
            let variable = inside.strip_prefix('$').filter(|name| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            });
            out = match (test, variable) {
                (None, Some(name)) => format!("${{{name}:-{out}}}"),
                _ => match both((test.clone(), value.clone())) {
                    Ok(test) => {
                        format!("$(if {}; then echo \"{inside}\"; else echo \"{out}\"; fi)", test.text)
                    }
                    Err(_) => inside,
                },
            };
        }
        Lowered::Text(ShellText::new(out))
    }

    /// The last of several values, and the question whether the others hold.
    fn option(&self, parts: &[Expr]) -> (Option<Test>, Lowered) {
        let Some((last, conditions)) = parts.split_last() else {
            return (None, Lowered::Known(true.into()));
        };
        match self.ask_each(conditions, true) {
            Err(false) => (None, Lowered::Known(false.into())),
            Err(true) => (None, self.expr(last)),
            Ok(test) => (Some(test), self.expr(last)),
        }
    }

    fn compare(&self, comparison: Comparison, left: &Lowered, right: &Lowered) -> Lowered {
        if let (Lowered::Known(left), Lowered::Known(right)) = (left, right) {
            let literal = |value: &Value| Box::new(Expr::new(Kind::Literal(value.clone()), 0..0));
            let both = Kind::Compare(comparison, literal(left), literal(right));
            return Lowered::Known(evaluate(&Expr::new(both, 0..0), &Nothing).unwrap_or_default());
        }
        let operator = match comparison {
            Comparison::Equal | Comparison::NotEqual => "=",
            Comparison::Less => "-lt",
            Comparison::LessOrEqual => "-le",
            Comparison::Greater => "-gt",
            Comparison::GreaterOrEqual => "-ge",
        };
        let equality = operator == "=";
        if let (Lowered::Test(test), Lowered::Known(Value::Boolean(flag)), true) = (left, right, equality) {
            let same = (comparison == Comparison::Equal) == *flag;
            return Lowered::Test(if same { test.clone() } else { test.negated() });
        }
        // A variable that no matrix or event sets is empty in the shell, as null is text.
        let word = |side: &Lowered| match side {
            Lowered::Known(Value::Null) => "\"\"".into(),
            Lowered::Known(value) => {
                let text = value.to_text();
                if equality && text.chars().any(char::is_alphabetic) && !matches!(value, Value::Boolean(_)) {
                    self.differs("upper and lower case differ in the shell's comparison");
                }
                if text.is_empty() { "\"\"".into() } else { side.word() }
            }
            other => other.word(),
        };
        if !equality {
            self.differs("numbers are compared as whole ones");
        }
        let (left, right) = (word(left), word(right));
        let negated = comparison == Comparison::NotEqual;
        let operator = if negated { "!=" } else { operator };
        Lowered::Test(Test::single(format!("[ {left} {operator} {right} ]")))
    }

    fn call(&self, function: Function, values: &[Expr], expr: &Expr) -> Lowered {
        if function.is_status() {
            return match function {
                Function::Always => Lowered::Known(true.into()),
                Function::Cancelled => {
                    self.differs("a stopped build runs nothing more");
                    Lowered::Known(false.into())
                }
                Function::Failure if self.of_job.get() => Lowered::Known(false.into()),
                Function::Success if self.of_job.get() => Lowered::Known(true.into()),
                Function::Failure => Lowered::Test(Test::single("[ \"$CODEBUILD_BUILD_SUCCEEDING\" = 0 ]")),
                _ => Lowered::Test(Test::single("[ \"$CODEBUILD_BUILD_SUCCEEDING\" = 1 ]")),
            };
        }
        let lowered: Vec<Lowered> = values.iter().map(|value| self.expr(value)).collect();
        let known: Option<Vec<Expr>> = lowered
            .iter()
            .map(|value| match value {
                Lowered::Known(value) => Some(Expr::new(Kind::Literal(value.clone()), 0..0)),
                _ => None,
            })
            .collect();
        if let (Some(literals), true) = (known, function != Function::HashFiles) {
            let call = Expr::new(Kind::Call(function, literals), expr.span.clone());
            return match evaluate(&call, &Nothing) {
                Ok(value) => Lowered::Known(value),
                Err(error) => {
                    self.unknown(format!("{}() has no value: {error}", function.name()));
                    Lowered::Known(Value::Null)
                }
            };
        }
        match (function, lowered.as_slice()) {
            (Function::HashFiles, patterns) => {
                self.differs("codebuild-hash-files has another digest than hashFiles");
                let patterns: Vec<_> = patterns.iter().map(Lowered::word).collect();
                Lowered::Text(ShellText::new(format!("$(codebuild-hash-files {})", patterns.join(" "))))
            }
            (Function::Contains | Function::StartsWith | Function::EndsWith, [whole, part]) => {
                self.within(function, whole, part)
            }
            (Function::Format, [Lowered::Known(pattern), arguments @ ..]) => {
                self.format(&pattern.to_text(), arguments)
            }
            (Function::Join | Function::FromJson | Function::ToJson, [Lowered::Text(text), ..])
                if text.boolean =>
            {
                lowered[0].clone()
            }
            _ => {
                self.unknown(format!("{}() of what is only known in the build", function.name()));
                Lowered::Text(ShellText::variable(&variable_name(function.name())))
            }
        }
    }

    fn within(&self, function: Function, whole: &Lowered, part: &Lowered) -> Lowered {
        if let (Lowered::Known(Value::Array(array)), Function::Contains) = (whole, function) {
            let tests: Vec<Test> = array
                .items()
                .iter()
                .map(|item| {
                    let item = Lowered::Known(item.clone()).word();
                    Test::single(format!("[ {} = {item} ]", part.word()))
                })
                .collect();
            if tests.is_empty() {
                return Lowered::Known(false.into());
            }
            self.differs("upper and lower case differ in the shell's comparison");
            return Lowered::Test(Test::joined(&tests, "||"));
        }
        self.differs("upper and lower case differ in the shell's comparison");
        let part = match part {
            Lowered::Known(value) => {
                let text = value.to_text();
                let plain = |c: char| c.is_ascii_alphanumeric() || "/._:+=@,-".contains(c);
                if text.chars().all(plain) { text.to_string() } else { part.word() }
            }
            other => other.word(),
        };
        let pattern = match function {
            Function::StartsWith => format!("{part}*"),
            Function::EndsWith => format!("*{part}"),
            _ => format!("*{part}*"),
        };
        let test = format!("case \"{}\" in {pattern}) true ;; *) false ;; esac", whole.inside());
        Lowered::Test(Test::single(test))
    }

    fn format(&self, pattern: &str, arguments: &[Lowered]) -> Lowered {
        let mut pieces = Vec::new();
        let mut rest = pattern;
        while let Some(at) = rest.find(['{', '}']) {
            pieces.push(Lowered::Known(rest[..at].into()));
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                pieces.push(Lowered::Known(brace.into()));
                rest = after;
                continue;
            }
            let end = rest.find('}').unwrap_or(rest.len());
            match rest[..end].parse::<usize>().ok().and_then(|index| arguments.get(index)) {
                Some(argument) => pieces.push(argument.clone()),
                None => self.unknown("format() with a text that is invalid"),
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        pieces.push(Lowered::Known(rest.into()));
        concatenated(&pieces)
    }
}

/// Whether a value is something, under a condition.
fn both((condition, value): (Option<Test>, Lowered)) -> Result<Test, bool> {
    match (condition, value.test()) {
        (None, answer) => answer,
        (Some(test), Ok(own)) => Ok(Test::joined(&[test, own], "&&")),
        (Some(test), Err(true)) => Ok(test),
        (Some(_), Err(false)) => Err(false),
    }
}

fn concatenated(pieces: &[Lowered]) -> Lowered {
    if pieces.iter().all(|piece| matches!(piece, Lowered::Known(_))) {
        let text: String = pieces
            .iter()
            .map(|piece| match piece {
                Lowered::Known(value) => value.to_text().to_string(),
                _ => String::new(),
            })
            .collect();
        return Lowered::Known(text.into());
    }
    let pieces: Vec<String> = pieces.iter().map(Lowered::inside).filter(|piece| !piece.is_empty()).collect();
    Lowered::Text(ShellText::new(joined(&pieces)))
}

/// Nothing is known beyond the expression itself.
pub(crate) struct Nothing;

impl Contexts for Nothing {
    fn context(&self, _: &str) -> Value {
        Value::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runspan_expressions::{Scope, parse};

    fn lowered(text: &str) -> String {
        let mut scene = Scene::default();
        let text_of = |inside: &str, boolean| Lowered::Text(ShellText { inside: inside.into(), boolean });
        scene.inputs.insert("a".into(), text_of("$A", false));
        scene.inputs.insert("flag".into(), text_of("$FLAG", true));
        let needed = RefCell::default();
        let lowerer = Lowerer::new(&scene, &needed);
        let expr = parse(text, Scope::STEP).unwrap_or_else(|error| panic!("{error}"));
        let asked = match lowerer.ask(&expr) {
            Ok(test) => test.text,
            Err(known) => known.to_string(),
        };
        format!("{} ? {asked}", lowerer.expr(&expr).inside())
    }

    #[test]
    fn values_and_questions_are_told_apart() {
        for (text, expected) in [
            ("inputs.a || 'x'", "${A:-x} ? true"),
            ("inputs.a && 'x' || 'y'", "$(if [ -n \"$A\" ]; then echo \"x\"; else echo \"y\"; fi) ? true"),
            ("inputs.a && 'x'", "$(if [ -n \"$A\" ]; then echo \"x\"; else echo false; fi) ? [ -n \"$A\" ]"),
            ("inputs.a && '' || 'y'", "y ? true"),
            (
                "!inputs.flag",
                "$(if ! [ \"$FLAG\" = true ]; then echo true; else echo false; fi) ? ! [ \"$FLAG\" = true ]",
            ),
            ("false && inputs.a", "false ? false"),
            ("1 == 1 && 'b'", "b ? true"),
            ("contains(fromJSON('[1]'), 1)", "true ? true"),
        ] {
            assert_eq!(lowered(text), expected, "{text}");
        }
        let mixed = lowered("inputs.a || inputs.flag");
        assert!(mixed.ends_with("? [ -n \"$A\" ] || [ \"$FLAG\" = true ]"), "{mixed}");
    }
}

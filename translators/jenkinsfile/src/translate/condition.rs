//! Conditions as commands whose status answers them.

use runspan_buildspec::glob_regex;
use runspan_buildspec::shell::quoted;

use super::{
    Translator,
    scope::{Meaning, argument, first, named},
    value::{LONGEST, RESULT, whole},
};
use crate::{
    declarative::{Condition, ConditionKind, When},
    groovy::{Arg, Call, Expr, ExprKind, Name, Stmt, StmtKind},
};

impl Translator<'_> {
    /// The command that tells whether an expression holds.
    pub(super) fn condition(&self, expr: &Expr) -> Option<String> {
        self.condition_of(expr).filter(|text| text.len() <= LONGEST)
    }

    fn condition_of(&self, expr: &Expr) -> Option<String> {
        match &expr.kind {
            ExprKind::Paren(inner) => {
                let inner = self.condition(inner)?;
                Some(if inner.contains(" && ") || inner.contains(" || ") {
                    format!("{{ {inner}; }}")
                } else {
                    inner
                })
            }
            ExprKind::Bool(true) => Some("true".into()),
            ExprKind::Bool(false) | ExprKind::Null => Some("false".into()),
            ExprKind::Unary { op: "!", operand } => Some(format!("! {}", grouped(&self.condition(operand)?))),
            ExprKind::Binary { op: op @ ("&&" | "||"), left, right } => {
                let side = |side: &Expr| {
                    let text = self.condition(side)?;
                    // The shell gives both operators the same rank.
                    let mixed = *op == "&&" && text.contains(" || ") || *op == "||" && text.contains(" && ");
                    Some(if mixed { grouped(&text) } else { text })
                };
                Some(format!("{} {op} {}", side(left)?, side(right)?))
            }
            ExprKind::Binary { op: op @ ("==" | "!="), left, right } => {
                self.equality(left, right, *op == "==")
            }
            ExprKind::Binary { op: op @ ("<" | "<=" | ">" | ">="), left, right } => {
                let op = match *op {
                    "<" => "-lt",
                    "<=" => "-le",
                    ">" => "-gt",
                    _ => "-ge",
                };
                Some(format!("[ {} {op} {} ]", self.value(left)?.argument(), self.value(right)?.argument()))
            }
            ExprKind::Binary { op: op @ ("=~" | "==~"), left, right } => {
                let pattern = self.constant(right)?;
                let pattern = extended_regex(&pattern)?;
                let whole = if *op == "==~" { "x" } else { "" };
                Some(format!(
                    "printf '%s\\n' {} | grep -Eq{whole} {}",
                    self.value(left)?.argument(),
                    quoted(&pattern)
                ))
            }
            ExprKind::Binary { op: "in", left, right } => {
                let items: Option<Vec<_>> = self.list(right)?.iter().map(|item| item.constant()).collect();
                let items: Vec<_> = items?.iter().map(|item| quoted(item)).collect();
                Some(case(&self.value(left)?.argument(), &items.join(" | ")))
            }
            ExprKind::Call(call) => self.tested(call),
            _ => self.truth(expr),
        }
    }

    /// A value taken for a condition.
    fn truth(&self, expr: &Expr) -> Option<String> {
        let name = match &expr.kind {
            ExprKind::Var(name) => Some(name.as_str()),
            ExprKind::Property { object, name: Name::Fixed(name), .. } => match &object.kind {
                ExprKind::Var(owner) if matches!(owner.as_str(), "params" | "env") => Some(name.as_str()),
                _ => None,
            },
            _ => None,
        };
        let word = self.value(expr)?;
        match name.and_then(|name| self.scope.get(name)) {
            Some(Meaning::Flag) => Some(format!("[ {} = true ]", word.argument())),
            Some(Meaning::Constant(text)) => {
                Some(if text.is_empty() || text == "false" { "false".into() } else { "true".into() })
            }
            _ => match name {
                // What is set by the script may hold `false` as a text.
                Some(_) if self.scope.get(name.unwrap_or_default()).is_some() => {
                    let word = word.argument();
                    Some(format!("[ -n {word} ] && [ {word} != false ]"))
                }
                _ => Some(format!("[ -n {} ]", word.argument())),
            },
        }
    }

    fn equality(&self, left: &Expr, right: &Expr, equal: bool) -> Option<String> {
        for (this, other) in [(left, right), (right, left)] {
            match &other.bare().kind {
                ExprKind::Null => {
                    let test = if equal { "-z" } else { "-n" };
                    return Some(format!("[ {test} {} ]", self.value(this)?.argument()));
                }
                ExprKind::Bool(value) if !matches!(this.bare().kind, ExprKind::Bool(_)) => {
                    let plain = match &this.bare().kind {
                        ExprKind::Var(_) | ExprKind::Property { .. } => None,
                        _ => self.condition(this),
                    };
                    return match plain {
                        Some(condition) if *value == equal => Some(condition),
                        Some(condition) => Some(format!("! {}", grouped(&condition))),
                        None => {
                            let op = if equal { "=" } else { "!=" };
                            Some(format!("[ {} {op} {value} ]", self.value(this)?.argument()))
                        }
                    };
                }
                _ => {}
            }
        }
        if let Some(status) = self.status_of(left, right, equal) {
            return Some(status);
        }
        if is_result(left)
            && let Some(test) = self.constant(right).and_then(|result| result_test(&result))
        {
            return Some(if equal { test } else { format!("! {}", grouped(&test)) });
        }
        let op = if equal { "=" } else { "!=" };
        Some(format!("[ {} {op} {} ]", self.value(left)?.argument(), self.value(right)?.argument()))
    }

    /// `sh(script: …, returnStatus: true) == 0`.
    fn status_of(&self, left: &Expr, right: &Expr, equal: bool) -> Option<String> {
        let ExprKind::Call(call) = &left.bare().kind else { return None };
        let status =
            call.step() == Some("sh") && named(call, "returnStatus").is_some_and(super::value::is_true);
        if !status {
            return None;
        }
        let script = self.value(argument(call, "script")?)?;
        let command = self.own_shell(&script);
        match (whole(right)?, equal) {
            (0, true) => Some(command),
            (0, false) => Some(format!("! {command}")),
            _ => None,
        }
    }

    /// A script in a shell of its own, so that what stands around does not change how it fails.
    pub(super) fn own_shell(&self, script: &super::word::Word) -> String {
        let text = self.script(script).text;
        // What is done by the shell itself would be done to the shell around.
        let own = [
            "cd", "exit", "set", "export", "unset", "exec", ".", "source", "return", "trap", "eval", "shift",
        ];
        let first = text.split_whitespace().next().unwrap_or_default();
        let simple = !text.contains(['\n', ';', '|', '&', '(', '{', '#', '=']) && !own.contains(&first);
        if simple { text } else { format!("sh -ec {}", quoted(&text)) }
    }

    fn tested(&self, call: &Call) -> Option<String> {
        let Name::Fixed(name) = &call.name else { return None };
        let Some(object) = &call.object else {
            return match name.as_str() {
                "fileExists" => Some(format!("[ -e {} ]", self.value(argument(call, "file")?)?.argument())),
                "isUnix" => Some("true".into()),
                "sh" if named(call, "returnStatus").is_some_and(super::value::is_true) => {
                    // Groovy takes any status but 0 for true.
                    let script = self.value(argument(call, "script")?)?;
                    Some(format!("! {}", self.own_shell(&script)))
                }
                _ => match self.scope.get(name) {
                    Some(Meaning::Method([], body)) => self.helped(|translator| translator.expression(body)),
                    _ => None,
                },
            };
        };
        if matches!(name.as_str(), "toBoolean" | "asBoolean") {
            return Some(format!("[ {} = true ]", self.value(object)?.argument()));
        }
        if name == "contains"
            && let (Some(items), Some(item)) = (self.list(object), first(call))
        {
            let items: Option<Vec<_>> = items.iter().map(|item| item.constant()).collect();
            let items: Vec<_> = items?.iter().map(|item| quoted(item)).collect();
            return Some(case(&self.value(item)?.argument(), &items.join(" | ")));
        }
        let value = self.value(object)?.argument();
        if matches!(name.as_str(), "isEmpty" | "trim" | "isBlank" | "length" | "size") {
            let test = if matches!(name.as_str(), "isEmpty" | "isBlank") { "-z" } else { "-n" };
            return Some(format!("[ {test} {value} ]"));
        }
        let other = self.value(first(call)?)?;
        Some(match name.as_str() {
            "equals" => format!("[ {value} = {} ]", other.argument()),
            "equalsIgnoreCase" => format!(
                "[ \"$(printf %s {value} | tr '[:upper:]' '[:lower:]')\" = {} ]",
                quoted(&other.constant()?.to_lowercase())
            ),
            "contains" => case(&value, &format!("*{}*", other.argument())),
            "startsWith" => case(&value, &format!("{}*", other.argument())),
            "endsWith" => case(&value, &format!("*{}", other.argument())),
            "matches" => {
                format!("printf '%s\\n' {value} | grep -Eqx {}", quoted(&extended_regex(&other.constant()?)?))
            }
            _ => return None,
        })
    }

    /// The condition that statements end with.
    pub(super) fn expression(&self, body: &[Stmt]) -> Option<String> {
        match body {
            [Stmt { kind: StmtKind::Expr(expr) | StmtKind::Return(Some(expr)), .. }] => self.condition(expr),
            _ => None,
        }
    }

    /// The conditions of `when`; each is noted. Nothing where one is left to people.
    pub(super) fn when(&mut self, when: &When<'_>, path: &str) -> Option<String> {
        let path = format!("{path}.when");
        for flag in &when.flags {
            let difference = "the condition is looked at in the build, when its agent is there";
            self.notes.approximate(flag, &path, "nothing", difference);
        }
        let tests: Vec<_> =
            when.conditions.iter().map(|condition| self.when_condition(condition, &path)).collect();
        let tests: Option<Vec<_>> = tests.into_iter().collect();
        self.notes.exact(&when.span, &path, "`if` around the commands of the stage");
        Some(join(&tests?, "&&"))
    }

    fn when_condition(&mut self, condition: &Condition<'_>, path: &str) -> Option<String> {
        let path = format!("{path}.{}", condition.name);
        let span = &condition.span;
        match &condition.kind {
            ConditionKind::Nested(_, children) => {
                let tests: Vec<_> = children.iter().map(|child| self.when_condition(child, &path)).collect();
                let tests: Option<Vec<_>> = tests.into_iter().collect();
                self.notes.exact(span, &path, "tests joined in the shell");
                let tests = tests?;
                Some(match condition.name.as_str() {
                    "not" => format!("! {}", grouped(&join(&tests, "&&"))),
                    "anyOf" => join(&tests, "||"),
                    _ => join(&tests, "&&"),
                })
            }
            ConditionKind::Expression(body) => match self.expression(body) {
                Some(test) => {
                    self.notes.exact(span, &path, "a test of the shell");
                    Some(test)
                }
                None => {
                    let quoted = self.notes.quote(span, 8);
                    self.notes.manual(
                        span,
                        &path,
                        "the expression is more than a test of the shell can be",
                        Some(format!(
                            "# write a command that succeeds when this holds\n# {}",
                            quoted.replace('\n', "\n# ")
                        )),
                    );
                    None
                }
            },
            ConditionKind::Call(call) => {
                let test = self.when_call(&condition.name, call, span, &path);
                if test.is_none() {
                    let reason = "its values are not known to the shell";
                    self.notes.manual(span, &path, reason, Some("[ \"$BRANCH_NAME\" = main ]".into()));
                }
                test
            }
        }
    }

    fn when_call(
        &mut self,
        name: &str,
        call: &Call,
        span: &std::ops::Range<usize>,
        path: &str,
    ) -> Option<String> {
        let pattern = argument(call, "pattern").and_then(|pattern| self.value(pattern));
        let regex =
            named(call, "comparator").and_then(|it| self.constant(it)).unwrap_or_default() == "REGEXP";
        let test = match name {
            "branch" => {
                let pattern = pattern?;
                self.notes.approximate(
                    span,
                    path,
                    "a test of the branch that the webhook names",
                    "without a webhook the source version is taken for the branch",
                );
                self.matching("\"$BRANCH_NAME\"", &pattern, regex)?
            }
            "tag" | "buildingTag" => {
                self.notes.exact(span, path, "a test of CODEBUILD_WEBHOOK_TRIGGER");
                match pattern {
                    Some(pattern) => {
                        let tag = "\"$TAG_NAME\"";
                        format!("[ -n {tag} ] && {}", grouped(&self.matching(tag, &pattern, regex)?))
                    }
                    None => case("\"$CODEBUILD_WEBHOOK_TRIGGER\"", "tag/*"),
                }
            }
            "changeRequest" => {
                let mut tests = vec![case("\"$CODEBUILD_WEBHOOK_TRIGGER\"", "pr/*")];
                let mut unknown = Vec::new();
                for arg in &call.args {
                    let Arg::Named(entry) = arg else { continue };
                    let variable = match entry.key.as_ref().and_then(Expr::as_text) {
                        Some("id") => "\"$CHANGE_ID\"",
                        Some("target") => "\"$CHANGE_TARGET\"",
                        Some("branch") => "\"$CHANGE_BRANCH\"",
                        Some("comparator") => continue,
                        other => {
                            unknown.push(other.unwrap_or_default().to_owned());
                            continue;
                        }
                    };
                    let pattern = self.value(&entry.value)?;
                    tests.push(self.matching(variable, &pattern, regex)?);
                }
                if unknown.is_empty() {
                    self.notes.exact(span, path, "a test of CODEBUILD_WEBHOOK_TRIGGER");
                } else {
                    self.notes.approximate(
                        span,
                        path,
                        "a test of CODEBUILD_WEBHOOK_TRIGGER",
                        format!("{} cannot be tested", unknown.join(", ")),
                    );
                }
                join(&tests, "&&")
            }
            "environment" => {
                let variable = self.constant(named(call, "name")?)?;
                let value = self.value(named(call, "value")?)?;
                self.notes.exact(span, path, "a test of the variable");
                if named(call, "ignoreCase").is_some_and(super::value::is_true) {
                    format!(
                        "[ \"$(printf %s \"${variable}\" | tr '[:upper:]' '[:lower:]')\" = {} ]",
                        quoted(&value.constant()?.to_lowercase())
                    )
                } else {
                    format!("[ \"${variable}\" = {} ]", value.argument())
                }
            }
            "equals" => {
                let (expected, actual) = (named(call, "expected")?, named(call, "actual")?);
                match self.equality(actual, expected, true) {
                    Some(test) => {
                        self.notes.exact(span, path, "a test of the shell");
                        test
                    }
                    None => {
                        let reason = "one of the values is not known to the shell";
                        self.notes.manual(span, path, reason, Some("[ \"$ACTUAL\" = expected ]".into()));
                        return None;
                    }
                }
            }
            "changeset" => {
                let regex_of = match (pattern?.constant(), regex) {
                    (Some(pattern), true) => extended_regex(&pattern)?,
                    (Some(pattern), false) => ant_regex(&pattern),
                    (None, _) => return None,
                };
                self.notes.approximate(
                    span,
                    path,
                    "a search in the files that git says have changed",
                    "compared with the commit before the push, which the clone must hold (git clone depth)",
                );
                format!(
                    "git diff --name-only \"${{CODEBUILD_WEBHOOK_PREV_COMMIT:-HEAD~1}}\" HEAD | grep -Eqx {}",
                    quoted(&regex_of)
                )
            }
            "changelog" => {
                let pattern = extended_regex(&pattern?.constant()?)?;
                self.notes.approximate(
                    span,
                    path,
                    "a search in the messages of the commits",
                    "compared with the commit before the push, which the clone must hold (git clone depth)",
                );
                format!(
                    "git log --format=%B \"${{CODEBUILD_WEBHOOK_PREV_COMMIT:-HEAD~1}}\"..HEAD | grep -Eq {}",
                    quoted(&pattern)
                )
            }
            "triggeredBy" => {
                let cause =
                    argument(call, "cause").and_then(|cause| self.constant(cause)).unwrap_or_default();
                let Some(test) = cause_test(&cause) else {
                    self.notes.manual(
                        span,
                        path,
                        "CodeBuild does not tell builds by this cause",
                        Some(
                            "case \"$CODEBUILD_INITIATOR\" in codepipeline/*) true ;; *) false ;; esac"
                                .into(),
                        ),
                    );
                    return None;
                };
                self.notes.approximate(
                    span,
                    path,
                    "a test of CODEBUILD_INITIATOR",
                    "CodeBuild knows fewer causes",
                );
                test
            }
            "isRestartedRun" => {
                self.notes.approximate(span, path, "`false`", "builds are not restarted from a stage");
                "false".into()
            }
            _ => return None,
        };
        Some(test)
    }

    /// A test of a variable against an Ant pattern or a regular expression.
    fn matching(&self, variable: &str, pattern: &super::word::Word, regex: bool) -> Option<String> {
        match pattern.constant() {
            Some(text) if regex => {
                Some(format!("printf '%s\\n' {variable} | grep -Eqx {}", quoted(&extended_regex(&text)?)))
            }
            Some(text) if text.contains(['*', '?']) => {
                Some(format!("printf '%s\\n' {variable} | grep -Eqx {}", quoted(&ant_regex(&text))))
            }
            _ => Some(format!("[ {variable} = {} ]", pattern.argument())),
        }
    }
}

fn is_result(expr: &Expr) -> bool {
    matches!(
        &expr.bare().kind,
        ExprKind::Property { object, name: Name::Fixed(name), .. }
            if matches!(&object.kind, ExprKind::Var(owner) if owner == "currentBuild")
                && matches!(name.as_str(), "result" | "currentResult" | "resultIsBetterOrEqualTo")
    )
}

/// A test of the result so far.
fn result_test(result: &str) -> Option<String> {
    Some(match result {
        "SUCCESS" => format!("[ \"$CODEBUILD_BUILD_SUCCEEDING\" = 1 ] && [ -z \"${RESULT}\" ]"),
        "FAILURE" => "[ \"$CODEBUILD_BUILD_SUCCEEDING\" = 0 ]".into(),
        "UNSTABLE" => format!("[ \"$CODEBUILD_BUILD_SUCCEEDING\" = 1 ] && [ \"${RESULT}\" = UNSTABLE ]"),
        _ => return None,
    })
}

fn cause_test(cause: &str) -> Option<String> {
    Some(match cause {
        "UserIdCause" | "user" => {
            "case \"$CODEBUILD_INITIATOR\" in GitHub-Hookshot/* | codepipeline/* | rule/*) false ;; *) true ;; esac".into()
        }
        "TimerTrigger" | "timer" | "TimerTriggerCause" | "ParameterizedTimerTriggerCause" => {
            case("\"$CODEBUILD_INITIATOR\"", "rule/*")
        }
        "SCMTrigger" | "SCMTriggerCause" | "BranchEventCause" | "GitHubPushCause" => "[ -n \"$CODEBUILD_WEBHOOK_EVENT\" ]".into(),
        _ => return None,
    })
}

/// `case` as a condition.
fn case(value: &str, pattern: &str) -> String {
    format!("case {value} in {pattern}) true ;; *) false ;; esac")
}

/// Several commands as one.
fn grouped(test: &str) -> String {
    if test.contains(" && ") || test.contains(" || ") || test.contains(" | ") || test.starts_with("! ") {
        format!("{{ {test}; }}")
    } else {
        test.into()
    }
}

fn join(tests: &[String], op: &str) -> String {
    match tests {
        [] => "true".into(),
        [only] => only.clone(),
        _ => {
            let other = if op == "&&" { " || " } else { " && " };
            let grouped: Vec<_> = tests
                .iter()
                .map(|test| if test.contains(other) { grouped(test) } else { test.clone() })
                .collect();
            grouped.join(&format!(" {op} "))
        }
    }
}

/// Java's regular expression as one of `grep -E`, where both mean the same.
fn extended_regex(pattern: &str) -> Option<String> {
    if pattern.contains("(?") || pattern.contains("\\b") || pattern.contains("*?") || pattern.contains("+?") {
        return None;
    }
    Some(
        pattern
            .replace("\\d", "[0-9]")
            .replace("\\w", "[A-Za-z0-9_]")
            .replace("\\s", "[[:space:]]")
            .replace("\\/", "/"),
    )
}

/// Ant's pattern as a regular expression.
fn ant_regex(pattern: &str) -> String {
    glob_regex(pattern, |c| (c == '?').then_some("[^/]"))
}

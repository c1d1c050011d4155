//! Statements as commands.

use std::ops::Range;

use runspan_buildspec::shell::quoted;

use super::{
    Translator,
    block::{Block, Command},
    scope::{Meaning, argument, named},
    value::{RESULT, is_true, whole},
    word::{Word, is_name},
};
use crate::groovy::{Arg, Call, Catch, Closure, Expr, ExprKind, Name, Param, Stmt, StmtKind};

/// Statements that bodies of helpers may bring in, so that helpers that call each other twice end.
const MOST_INLINED: usize = 2_000;

impl<'a> Translator<'a> {
    /// The commands of statements.
    pub(super) fn statements(&mut self, body: &'a [Stmt], path: &str) -> Block {
        let mut block = Block::default();
        for stmt in body {
            block.append(self.statement(stmt, path));
        }
        block
    }

    fn statement(&mut self, stmt: &'a Stmt, path: &str) -> Block {
        let span = &stmt.span;
        let translated = match &stmt.kind {
            StmtKind::Expr(expr) => self.expression_statement(expr, span, path),
            StmtKind::Declare { annotations, names, unpacked: None, .. } => {
                if let Some(annotation) = annotations.iter().find(|it| it.name == "Library") {
                    self.library(&annotation.args, span);
                    return Block::default();
                }
                self.declaration(names, span, path)
            }
            StmtKind::If { condition, then, otherwise } => {
                self.conditional(condition, then, otherwise.as_deref(), span, path)
            }
            StmtKind::While { condition, body } => self.repeat_while(condition, body, span, path),
            StmtKind::ForIn { name, over, body } => self.each_of(name, over, body, span, path),
            StmtKind::For { init, condition: Some(condition), update, body } => {
                let mut block = self.statements(init, path);
                let Some(test) = self.condition(condition) else { return self.unknown(stmt, path) };
                let mut inner = self.statements(body, path);
                inner.append(self.statements(update, path));
                self.notes.exact(span, &format!("{path}.for"), "a loop of the shell");
                block.append(Block {
                    sets: true,
                    ..Block::of(format!("while {test}; do\n{}done", guarded_lines(&inner)))
                });
                Some(block)
            }
            StmtKind::Try { body, catches, finally } => {
                Some(self.attempt(body, catches, finally.as_deref(), span, path))
            }
            StmtKind::Return(None) | StmtKind::Break | StmtKind::Continue => self.jump(stmt, path),
            StmtKind::Return(Some(expr)) => match &expr.kind {
                // A value that nobody asks for.
                ExprKind::Call(_) => self.expression_statement(expr, span, path),
                _ => {
                    self.notes.exact(span, &format!("{path}.return"), "nothing: nobody uses the value");
                    Some(Block::default())
                }
            },
            StmtKind::Throw(_) => {
                self.notes.exact(span, &format!("{path}.throw"), "`exit 1`");
                Some(Block { ends: true, ..Block::of("exit 1") })
            }
            StmtKind::Assert(condition, message) => self.assertion(condition, message.as_ref(), span, path),
            StmtKind::Block(body) => {
                self.notes.exact(span, &format!("{path}.block"), "its commands");
                Some(self.statements(body, path))
            }
            StmtKind::Label(_, stmt) => return self.statement(stmt, path),
            StmtKind::Method { name, .. } => {
                self.notes.exact(span, name, "its commands where it is called");
                Some(Block::default())
            }
            StmtKind::Import { annotations, .. } => {
                match annotations.iter().find(|it| it.name == "Library") {
                    Some(annotation) => self.library(&annotation.args, span),
                    None => self.notes.exact(span, "import", "nothing: the shell has no classes"),
                }
                Some(Block::default())
            }
            StmtKind::Switch { value, cases } => self.choice(value, cases, span, path),
            _ => None,
        };
        match translated {
            Some(block) => block,
            None => self.unknown(stmt, path),
        }
    }

    /// What the shell cannot do: its text as a comment, and a command that fails.
    fn unknown(&mut self, stmt: &'a Stmt, path: &str) -> Block {
        let what = match &stmt.kind {
            StmtKind::Class { .. } => "class",
            StmtKind::Expr(Expr { kind: ExprKind::Call(call), .. }) => {
                let name = name_of(call);
                let reason = match call.step() {
                    Some(step) if super::steps::is_known(step) => {
                        "a value in it is Groovy that the shell cannot hold"
                    }
                    Some(_) => "this step is of a plugin or a shared library, and not known here",
                    None => GROOVY,
                };
                return self.by_hand(&stmt.span, &format!("{path}.{name}"), reason, None, true);
            }
            _ => "groovy",
        };
        let fails = what != "class";
        self.by_hand(&stmt.span, &format!("{path}.{what}"), GROOVY, None, fails)
    }

    /// What is left to people.
    pub(super) fn by_hand(
        &mut self,
        span: &Range<usize>,
        construct: &str,
        reason: &str,
        suggestion: Option<String>,
        fails: bool,
    ) -> Block {
        let text = self.notes.quote(span, 12);
        let line = self.notes.line(span.start);
        let suggestion = suggestion
            .unwrap_or_else(|| format!("# do in the shell what this does\n# {}", text.replace('\n', "\n# ")));
        self.notes.manual(span, construct, reason, Some(suggestion));
        // Steps that are not there must not look as if they had succeeded.
        let command = if fails {
            format!(
                "echo {} >&2; exit 1",
                quoted(&format!("Line {line} of the Jenkinsfile is to be done by hand"))
            )
        } else {
            String::new()
        };
        Block {
            commands: vec![Command { text: command, comment: format!("TODO by hand ({reason}):\n{text}") }],
            ends: fails,
            ..Block::default()
        }
    }

    fn expression_statement(&mut self, expr: &'a Expr, span: &Range<usize>, path: &str) -> Option<Block> {
        match &expr.kind {
            ExprKind::Call(call) => self.call(call, span, path),
            ExprKind::Assign { op: "=", target, value } => self.assignment(target, value, span, path),
            ExprKind::Assign { op: "+=", target, value } => {
                let name = self.target(target)?;
                let number = matches!(value.kind, ExprKind::Int(_))
                    && !matches!(self.scope.get(&name), Some(Meaning::Constant(_)));
                let text = if number {
                    format!("{name}=$(({name} + {}))", whole(value)?)
                } else {
                    let word = Word::variable(&name).then(self.value(value)?);
                    format!("{name}={}", word.argument())
                };
                self.notes.exact(span, &format!("{path}.{name}"), "an assignment of the shell");
                Some(Block::setting(text))
            }
            ExprKind::Postfix { op, operand } | ExprKind::Unary { op: op @ ("++" | "--"), operand } => {
                let name = self.target(operand)?;
                let sign = if *op == "++" { '+' } else { '-' };
                self.notes.exact(span, &format!("{path}.{name}"), "arithmetic of the shell");
                Some(Block::setting(format!("{name}=$(({name} {sign} 1))")))
            }
            ExprKind::Text(_)
            | ExprKind::GString(_)
            | ExprKind::Bool(_)
            | ExprKind::Var(_)
            | ExprKind::Null
            | ExprKind::Int(_) => {
                self.notes.exact(span, &format!("{path}.value"), "nothing: nobody uses the value");
                Some(Block::default())
            }
            ExprKind::Paren(inner) => self.expression_statement(inner, span, path),
            _ => None,
        }
    }

    /// The variable that is assigned.
    fn target(&self, target: &Expr) -> Option<String> {
        let name = match &target.kind {
            ExprKind::Var(name) => name,
            ExprKind::Property { object, name: Name::Fixed(name), .. } => match &object.kind {
                ExprKind::Var(owner) if owner == "env" => name,
                _ => return None,
            },
            ExprKind::Index { object, args } => match (&object.kind, args.as_slice()) {
                (ExprKind::Var(owner), [Expr { kind: ExprKind::Text(name), .. }]) if owner == "env" => name,
                _ => return None,
            },
            _ => return None,
        };
        is_name(name).then(|| name.clone())
    }

    fn declaration(
        &mut self,
        names: &'a [(String, Option<Expr>)],
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let mut block = Block::default();
        for (name, value) in names {
            match value {
                Some(value) => block.append(self.set(name, value, span, path, true)?),
                None => {
                    if is_name(name) {
                        self.scope.set(name, Meaning::Variable);
                    }
                    self.notes.exact(
                        span,
                        &format!("{path}.{name}"),
                        "nothing: the shell declares no variables",
                    );
                }
            }
        }
        Some(block)
    }

    fn assignment(
        &mut self,
        target: &'a Expr,
        value: &'a Expr,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        if let ExprKind::Property { object, name: Name::Fixed(name), .. } = &target.kind
            && let ExprKind::Var(owner) = &object.kind
            && owner == "currentBuild"
        {
            return self.set_build(name, value, span, path);
        }
        let name = self.target(target)?;
        let of_env = !matches!(target.kind, ExprKind::Var(_));
        self.set(&name, value, span, path, !of_env)
    }

    /// `currentBuild.name = value`.
    fn set_build(&mut self, name: &str, value: &'a Expr, span: &Range<usize>, path: &str) -> Option<Block> {
        let construct = format!("{path}.currentBuild.{name}");
        match name {
            "result" => {
                let result = self.value(value)?;
                self.results = true;
                self.fails_late |= !matches!(result.constant().as_deref(), Some("SUCCESS" | "UNSTABLE"));
                self.notes.approximate(
                    span,
                    &construct,
                    format!("the variable {RESULT}"),
                    "a build of CodeBuild is SUCCEEDED or FAILED; the variable is looked at by `post` and at the end",
                );
                let constant = result.constant();
                let result =
                    if constant.as_deref() == Some("SUCCESS") { String::new() } else { result.argument() };
                Some(Block::setting(format!("{RESULT}={result}")))
            }
            "displayName" | "description" => {
                let text = self.value(value).map(|word| format!("echo {}", word.argument()));
                self.notes.approximate(
                    span,
                    &construct,
                    "a line of the log",
                    "builds of CodeBuild have neither a name nor a description of their own",
                );
                Some(text.map_or_else(Block::default, Block::of))
            }
            _ => None,
        }
    }

    fn set(
        &mut self,
        name: &str,
        value: &'a Expr,
        span: &Range<usize>,
        path: &str,
        local: bool,
    ) -> Option<Block> {
        let construct = format!("{path}.{name}");
        if let Some(items) = self.list(value).filter(|_| {
            local
                && matches!(
                    value.bare().kind,
                    ExprKind::List(_) | ExprKind::Call(_) | ExprKind::Binary { .. }
                )
        }) {
            self.scope.set(name, Meaning::List(items));
            self.notes.exact(span, &construct, "its items where it is used");
            return Some(Block::default());
        }
        if let Some(image) = self.built_image(value, span, &construct) {
            let (image, block) = image;
            self.scope.set(name, Meaning::Image(image));
            return Some(block);
        }
        if !is_name(name) || (local && super::RESERVED.contains(&name)) {
            return None;
        }
        // A status: the script may fail without an end of the build.
        if let ExprKind::Call(call) = &value.bare().kind
            && call.step() == Some("sh")
            && named(call, "returnStatus").is_some_and(is_true)
        {
            let script = self.value(argument(call, "script")?)?;
            let command = self.own_shell(&script);
            self.scope.set(name, Meaning::Variable);
            self.notes.exact(span, &construct, "the status of the script in a variable");
            return Some(Block::setting(format!("{name}=0\n{command} || {name}=$?")));
        }
        let Some(word) = self.value(value) else {
            // A condition kept in a variable.
            if let Some(test) = Some(value).filter(|it| is_condition(it)).and_then(|it| self.condition(it)) {
                self.scope.set(name, Meaning::Flag);
                self.notes.exact(span, &construct, "`true` or `false` in a variable");
                return Some(Block::setting(format!("if {test}; then {name}=true; else {name}=false; fi")));
            }
            self.scope.set(name, Meaning::Opaque);
            return None;
        };
        let known = self.scope.get(name).is_some();
        let constant =
            word.constant().filter(|_| local && !known && self.scope.is_fixed(name) && self.loops == 0);
        if let Some(text) = constant {
            // Scripts in single quotes cannot see it, so its value stands where Groovy uses it.
            self.scope.set(name, Meaning::Constant(text));
            self.notes.exact(span, &construct, "its value where it is used");
            return Some(Block::default());
        }
        let flag = matches!(value.bare().kind, ExprKind::Bool(_));
        self.scope.set(name, if flag { Meaning::Flag } else { Meaning::Variable });
        let from_output = word
            .0
            .iter()
            .any(|part| matches!(part, super::word::Part::Expand(text) if text.starts_with("$(")));
        let became =
            if from_output { "the output of a command in a variable" } else { "a variable of the shell" };
        self.notes.exact(span, &construct, became);
        Some(Block::setting(format!("{name}={}", word.argument())))
    }

    fn conditional(
        &mut self,
        condition: &'a Expr,
        then: &'a [Stmt],
        otherwise: Option<&'a [Stmt]>,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let test = self.condition(condition)?;
        let construct = format!("{path}.if");
        if test == "true" || test == "false" {
            self.notes.exact(span, &construct, format!("the condition is always {test}"));
            let body = if test == "true" { then } else { otherwise.unwrap_or_default() };
            let skipped = if test == "true" { otherwise.unwrap_or_default() } else { then };
            for stmt in skipped {
                self.notes.exact(&stmt.span, &construct, "nothing: it is never reached");
            }
            return Some(self.statements(body, path));
        }
        self.notes.exact(span, &construct, "`if` of the shell");
        let then = self.statements(then, path);
        let mut sets = then.sets;
        let mut text = format!("if {test}; then\n{}", guarded_lines(&then));
        if let Some(otherwise) = otherwise {
            let otherwise = self.statements(otherwise, path);
            sets |= otherwise.sets;
            text.push_str(&format!("else\n{}", guarded_lines(&otherwise)));
        }
        text.push_str("fi");
        Some(Block { sets, ..Block::of(text) })
    }

    fn repeat_while(
        &mut self,
        condition: &'a Expr,
        body: &'a [Stmt],
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        self.loops += 1;
        let test = self.condition(condition);
        let Some(test) = test else {
            self.loops -= 1;
            return None;
        };
        self.notes.exact(span, &format!("{path}.while"), "a loop of the shell");
        let body = self.statements(body, path);
        self.loops -= 1;
        Some(Block {
            sets: body.sets,
            ..Block::of(format!("while {test}; do\n{}done", guarded_lines(&body)))
        })
    }

    /// A loop over items that are known.
    pub(super) fn each_of(
        &mut self,
        name: &str,
        over: &'a Expr,
        body: &'a [Stmt],
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let items = match self.list(over) {
            Some(items) => items.iter().map(Word::argument).collect::<Vec<_>>().join(" "),
            // Lines or words of an output.
            None => {
                let ExprKind::Call(call) = &over.bare().kind else { return None };
                let Name::Fixed(method) = &call.name else { return None };
                let of = call
                    .object
                    .as_ref()
                    .filter(|_| matches!(method.as_str(), "split" | "tokenize" | "readLines"))?;
                let value = self.value(of)?;
                let separator = super::scope::first(call).and_then(|it| self.constant(it));
                match separator.as_deref() {
                    None | Some("\n" | " " | "\\n" | "\\s+" | "\r?\n") => {
                        format!("$(printf '%s\\n' {})", value.argument())
                    }
                    Some(separator) if separator.len() == 1 && !matches!(separator, "." | "|") => {
                        format!("$(printf '%s\\n' {} | tr {} ' ')", value.argument(), quoted(separator))
                    }
                    Some(_) => return None,
                }
            }
        };
        if !is_name(name) {
            return None;
        }
        self.loops += 1;
        self.scope.set(name, Meaning::Variable);
        let block = self.statements(body, path);
        self.loops -= 1;
        self.notes.exact(span, &format!("{path}.for"), "a loop of the shell");
        Some(Block {
            sets: block.sets,
            ..Block::of(format!("for {name} in {items}; do\n{}done", guarded_lines(&block)))
        })
    }

    /// `try`: what it does in a shell of its own, then its status.
    fn attempt(
        &mut self,
        body: &'a [Stmt],
        catches: &'a [Catch],
        finally: Option<&'a [Stmt]>,
        span: &Range<usize>,
        path: &str,
    ) -> Block {
        let tried = self.statements(body, path);
        let construct = format!("{path}.try");
        if tried.sets {
            self.notes.approximate(
                span,
                &construct,
                "a shell of its own and a look at its status",
                "variables that are set in it are not seen after it",
            );
        } else {
            self.notes.exact(span, &construct, "a shell of its own and a look at its status");
        }
        let status = self.fresh("step_status");
        let mut out = Block { ends: true, ..Block::of(format!("set +e\n{}\n{status}=$?", tried.apart(""))) };
        let mut text = out.commands.remove(0).text;
        if let Some(catch) = catches.first() {
            for catch in catches {
                self.notes.exact(&catch.span, &format!("{path}.catch"), "the commands after a failure");
            }
            self.scope.set(&catch.name, Meaning::Exception);
            let caught = self.statements(&catch.body, path);
            for more in &catches[1..] {
                self.scope.set(&more.name, Meaning::Exception);
                for stmt in &more.body {
                    self.notes.approximate(
                        &stmt.span,
                        &format!("{path}.catch"),
                        "nothing",
                        "the shell does not tell failures apart: the first `catch` is used",
                    );
                }
            }
            // What ends the build must not pass by what comes after it.
            if caught.sets && !caught.lines().contains("exit ") {
                text.push_str(&format!(
                    "\nif [ \"${status}\" != 0 ]; then\n{}{status}=0\nfi",
                    guarded_lines(&caught)
                ));
                out.sets = true;
            } else {
                text.push_str(&format!(
                    "\nif [ \"${status}\" != 0 ]; then\n{}\n{status}=$?\nfi",
                    caught.apart("")
                ));
            }
        }
        if let Some(finally) = finally {
            let finally = self.statements(finally, path);
            text.push('\n');
            text.push_str(finally.lines().trim_end());
            out.sets |= finally.sets;
        }
        text.push_str(&format!("\n[ \"${status}\" = 0 ] || exit \"${status}\""));
        text.push_str("\nset -e");
        // Outside of `set -e` the last line would only be noise, inside it is what goes on.
        out.commands.insert(0, Command { text, comment: String::new() });
        out
    }

    fn jump(&mut self, stmt: &Stmt, path: &str) -> Option<Block> {
        let (name, text) = match stmt.kind {
            StmtKind::Break => ("break", "break"),
            StmtKind::Continue => ("continue", "continue"),
            _ => ("return", "exit 0"),
        };
        if self.loops == 0 && name != "return" {
            return None;
        }
        let construct = format!("{path}.{name}");
        if name == "return" {
            self.notes.approximate(
                &stmt.span,
                &construct,
                "`exit 0`",
                "it ends the command it stands in, with what was set there",
            );
        } else {
            self.notes.exact(&stmt.span, &construct, format!("`{name}`"));
        }
        Some(Block { ends: true, ..Block::of(text) })
    }

    fn assertion(
        &mut self,
        condition: &'a Expr,
        message: Option<&'a Expr>,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let test = self.condition(condition)?;
        let message = message
            .and_then(|message| self.value(message))
            .unwrap_or_else(|| Word::literal("an assertion failed"));
        self.notes.exact(span, &format!("{path}.assert"), "a test that ends the build");
        Some(Block::of(format!("if ! {{ {test}; }}; then echo {} >&2; exit 1; fi", message.argument())))
    }

    fn choice(
        &mut self,
        value: &'a Expr,
        cases: &'a [crate::groovy::Case],
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let word = self.value(value)?.argument();
        let mut text = format!("case {word} in\n");
        let mut sets = false;
        let mut labels = Vec::new();
        for case in cases {
            match &case.value {
                Some(value) => labels.push(quoted(&self.constant(value)?)),
                None => labels.push("*".into()),
            }
            let (body, falls) = match case.body.split_last() {
                None => continue,
                Some((Stmt { kind: StmtKind::Break, .. }, rest)) => (rest, false),
                Some((Stmt { kind: StmtKind::Return(_), .. }, _)) => return None,
                Some(_) => (case.body.as_slice(), case.value.is_some()),
            };
            if falls && !std::ptr::eq(case, &cases[cases.len() - 1]) {
                return None;
            }
            let block = self.statements(body, path);
            sets |= block.sets;
            text.push_str(&format!("{})\n{};;\n", labels.join(" | "), guarded_lines(&block)));
            labels.clear();
        }
        text.push_str("esac");
        self.notes.exact(span, &format!("{path}.switch"), "`case` of the shell");
        Some(Block { sets, ..Block::of(text) })
    }

    /// A call: a method of the file, a step, or a method of a value.
    fn call(&mut self, call: &'a Call, span: &Range<usize>, path: &str) -> Option<Block> {
        let Name::Fixed(name) = &call.name else { return None };
        if let Some(object) = &call.object {
            return self.method(object, name, call, span, path);
        }
        if let Some(Meaning::Method(params, body)) = self.scope.get(name).cloned() {
            return self.inlined(name, params, body, call, span, path);
        }
        self.step(name, call, span, path)
    }

    /// The body of a method of the file, where it is called.
    fn inlined(
        &mut self,
        name: &str,
        params: &'a [Param],
        body: &'a [Stmt],
        call: &'a Call,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let construct = format!("{path}.{name}");
        if self.calls.contains(&name.to_owned()) || self.calls.len() > 8 || self.inlined > MOST_INLINED {
            return None;
        }
        self.inlined += body.len();
        let mut block = Block::default();
        let mut values = call.args.iter();
        for param in params {
            let value = match values.next() {
                Some(Arg::Value(value)) => value,
                Some(Arg::Named(_)) => return None,
                None => param.default.as_ref()?,
            };
            if let Some(items) = self.list(value) {
                self.scope.set(&param.name, Meaning::List(items));
                continue;
            }
            let word = self.value(value)?;
            if !is_name(&param.name) || super::RESERVED.contains(&param.name.as_str()) {
                return None;
            }
            match word.constant() {
                Some(text) => self.scope.set(&param.name, Meaning::Constant(text)),
                None => {
                    if word.as_variable() != Some(&param.name) {
                        block.append(Block::setting(format!("{}={}", param.name, word.argument())));
                    }
                    self.scope.set(&param.name, Meaning::Variable);
                }
            }
        }
        self.notes.exact(span, &construct, "the commands of the method");
        self.calls.push(name.to_owned());
        block.append(self.statements(body, &construct));
        self.calls.pop();
        Some(block)
    }

    fn method(
        &mut self,
        object: &'a Expr,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        if let Some(block) = self.docker(object, name, call, span, path) {
            return Some(block);
        }
        let construct = format!("{path}.{name}");
        match name {
            "each" | "eachWithIndex" if name == "each" => {
                let Closure { params, body } = call.block()?;
                let item = match params.as_deref() {
                    None | Some([]) => "it",
                    Some([param]) => param.name.as_str(),
                    Some(_) => return None,
                };
                self.each_of(item, object, body, span, path)
            }
            "times" => {
                let count = self.value(object)?;
                let body = &call.block()?.body;
                self.loops += 1;
                self.scope.set("it", Meaning::Variable);
                let block = self.statements(body, path);
                self.loops -= 1;
                self.notes.exact(span, &construct, "a loop of the shell");
                let text = format!(
                    "it=0\nwhile [ \"$it\" -lt {} ]; do\n{}it=$((it + 1))\ndone",
                    count.argument(),
                    guarded_lines(&block)
                );
                Some(Block::setting(text))
            }
            "echo" | "println" | "print" => {
                let word = self.value(super::scope::first(call)?)?;
                self.notes.exact(span, &construct, "`echo`");
                Some(Block::of(format!("echo {}", word.argument())))
            }
            // `steps.sh` and `this.sh` are `sh`.
            _ if matches!(&object.kind, ExprKind::Var(owner) if matches!(owner.as_str(), "steps" | "script" | "this")) => {
                self.step(name, call, span, path)
            }
            _ => None,
        }
    }

    /// A name that nothing else of the file has.
    pub(super) fn fresh(&mut self, name: &str) -> String {
        let made = self.made.entry(name.to_owned()).or_insert(0);
        *made += 1;
        if *made == 1 { name.into() } else { format!("{name}_{made}") }
    }
}

const GROOVY: &str = "this is Groovy that the shell cannot do";

/// Lines of a body that ends at the first failure.
pub(super) fn guarded_lines(block: &Block) -> String {
    let lines = block.lines();
    if block.commands.iter().filter(|command| !command.text.is_empty()).count() > 1 {
        format!("set -e\n{lines}")
    } else {
        lines
    }
}

pub(super) fn name_of(call: &Call) -> String {
    match &call.name {
        Name::Fixed(name) => name.clone(),
        Name::Dynamic(_) => "call".into(),
    }
}

fn is_condition(expr: &Expr) -> bool {
    match &expr.bare().kind {
        ExprKind::Binary { op, .. } => !matches!(*op, "+" | "-" | "*" | "/" | "%"),
        ExprKind::Unary { op: "!", .. } => true,
        ExprKind::Call(call) => matches!(
            &call.name,
            Name::Fixed(name) if matches!(name.as_str(), "contains" | "startsWith" | "endsWith" | "matches" | "equals" | "isEmpty" | "equalsIgnoreCase")
        ),
        _ => false,
    }
}

//! Conditions, loops and `try`.

use std::ops::Range;

use runspan_buildspec::shell::quoted;

use super::{
    Translator,
    block::{Block, Command},
    scope::Meaning,
    word::{Word, is_name},
};
use crate::groovy::{Catch, Expr, ExprKind, Name, Stmt, StmtKind};

impl<'a> Translator<'a> {
    pub(super) fn conditional(
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

    pub(super) fn repeat_while(
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
    pub(super) fn attempt(
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

    pub(super) fn jump(&mut self, stmt: &Stmt, path: &str) -> Option<Block> {
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

    pub(super) fn assertion(
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

    pub(super) fn choice(
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
}

/// Lines of a body that ends at the first failure.
pub(super) fn guarded_lines(block: &Block) -> String {
    let lines = block.lines();
    if block.commands.iter().filter(|command| !command.text.is_empty()).count() > 1 {
        format!("set -e\n{lines}")
    } else {
        lines
    }
}

//! Directives, each with what may stand in it.

use std::collections::HashSet;

use super::super::{
    Agent, AgentConfig, Condition, ConditionKind, Config, Environment, Input, Item, Items, Key, Libraries,
    Post, PostCondition, Tools, When, names,
};
use super::{Reader, block_of, call_of, is_constant};
use crate::groovy::{Arg, Call, Expr, ExprKind, Stmt, StmtKind};

impl<'a> Reader<'_> {
    pub(super) fn environment(&mut self, stmt: &'a Stmt) -> Environment<'a> {
        let mut out = Environment { span: stmt.span.clone(), variables: Vec::new() };
        for stmt in self.block(stmt, "environment") {
            let StmtKind::Expr(Expr { kind: ExprKind::Assign { op: "=", target, value }, .. }) = &stmt.kind
            else {
                let text = self.text(&stmt.span);
                self.fault(&stmt.span, format!("`{text}` is no variable: write `NAME = 'value'`"));
                continue;
            };
            let key = self.key(target);
            if out.variables.iter().any(|(other, _)| other.text == key.text) {
                self.fault(&key.span, format!("the variable `{}` is set twice", key.text));
                continue;
            }
            self.environment_value(value);
            out.variables.push((key, value));
        }
        out
    }

    fn environment_value(&mut self, value: &'a Expr) {
        match &value.bare().kind {
            ExprKind::Call(call) if call.step() == Some("credentials") => {
                for arg in &call.args {
                    if let Arg::Value(value) = arg
                        && !is_constant(value)
                        && !matches!(value.kind, ExprKind::GString(_))
                    {
                        self.fault(&value.span, "`credentials` takes a string");
                    }
                }
            }
            ExprKind::Call(_) => self.value(value),
            ExprKind::Binary { op: "+", left, right } => {
                for side in [left, right] {
                    match &side.bare().kind {
                        ExprKind::Binary { op: "+", .. } => self.environment_value(side),
                        ExprKind::Binary { .. } => {
                            self.fault(&side.span, "parts of a variable's value are joined with `+` only");
                        }
                        ExprKind::GString(_) => {}
                        _ if is_constant(side) => {}
                        _ => self.fault(&side.span, "what is joined with `+` here must be strings"),
                    }
                }
            }
            ExprKind::Binary { .. } => {
                self.fault(&value.span, "parts of a variable's value are joined with `+` only");
            }
            ExprKind::GString(_) => {}
            _ if is_constant(value) => self.value(value),
            _ => self.fault(&value.span, "a variable's value is a string or the call of a method"),
        }
    }

    pub(super) fn tools(&mut self, stmt: &'a Stmt) -> Tools<'a> {
        let mut out = Tools { span: stmt.span.clone(), tools: Vec::new() };
        for stmt in self.block(stmt, "tools") {
            let Some(call) = call_of(stmt) else {
                self.fault(&stmt.span, "expected a tool: `maven 'name'`");
                continue;
            };
            let key = self.key_of_call(call, &stmt.span);
            if let Some(value) = self.single(call, &key) {
                out.tools.push((key, value));
            }
        }
        out
    }

    pub(super) fn items(&mut self, stmt: &'a Stmt, section: &str, what: &str) -> Items<'a> {
        let mut out = Items { span: stmt.span.clone(), items: Vec::new() };
        for stmt in self.block(stmt, section) {
            out.items.extend(self.item(stmt, section, what));
        }
        out
    }

    fn item(&mut self, stmt: &'a Stmt, section: &str, what: &str) -> Option<Item<'a>> {
        let Some(call) = call_of(stmt) else {
            self.fault(&stmt.span, format!("expected the definition of a {what}: `name(arguments)`"));
            return None;
        };
        if block_of(stmt).is_some() {
            self.fault(&stmt.span, format!("the entries of `{section}` have no blocks"));
            return None;
        }
        let name = self.name_of(call, &stmt.span).to_owned();
        self.item_args(call);
        Some(Item { span: stmt.span.clone(), name, call })
    }

    pub(super) fn item_args(&mut self, call: &'a Call) {
        for arg in &call.args {
            let value = match arg {
                Arg::Named(entry) => {
                    if let Some(key) = &entry.key {
                        self.literal(key);
                    }
                    &entry.value
                }
                Arg::Value(value) => value,
            };
            match &value.kind {
                ExprKind::Closure(_) => self.fault(&value.span, "an argument cannot be a block here"),
                ExprKind::Call(inner) if inner.step() != Some("$") => {
                    self.name_of(inner, &value.span);
                    self.item_args(inner);
                }
                _ => self.value(value),
            }
        }
    }

    pub(super) fn libraries(&mut self, stmt: &'a Stmt) -> Libraries<'a> {
        let mut out = Libraries { span: stmt.span.clone(), names: Vec::new() };
        for stmt in self.block(stmt, "libraries") {
            let call = call_of(stmt).filter(|call| call.step() == Some("lib"));
            match call.map(|call| call.args.as_slice()) {
                Some([Arg::Value(value)])
                    if !matches!(value.kind, ExprKind::Closure(_) | ExprKind::Call(_) | ExprKind::Map(_)) =>
                {
                    out.names.push(value);
                }
                _ => {
                    let text = self.text(&stmt.span);
                    self.fault(&stmt.span, format!("expected `lib('name@version')`, found `{text}`"));
                }
            }
        }
        out
    }

    pub(super) fn input(&mut self, stmt: &'a Stmt) -> Input<'a> {
        let mut out = Input { span: stmt.span.clone(), ..Input::default() };
        let mut seen = HashSet::new();
        for stmt in self.block(stmt, "input") {
            let Some(call) = self.section(stmt) else { continue };
            let name = self.name_of(call, &stmt.span);
            self.first(&mut seen, name, &stmt.span);
            let key = Key { text: name.to_owned(), span: call.name_span.clone() };
            match name {
                "message" | "id" | "ok" | "submitter" | "submitterParameter" => {
                    if let Some(value) = self.single(call, &key) {
                        self.value(value);
                        out.fields.push((key, value));
                    }
                }
                "parameters" => out.parameters = self.items(stmt, "parameters", "parameter").items,
                _ => self.fault(&key.span, format!("`{name}` is not a field of `input`")),
            }
        }
        out
    }

    pub(super) fn when(&mut self, stmt: &'a Stmt) -> When<'a> {
        let mut out = When { span: stmt.span.clone(), ..When::default() };
        for stmt in self.block(stmt, "when") {
            let Some(call) = call_of(stmt) else {
                self.fault(&stmt.span, "expected a condition, such as `branch 'main'`");
                continue;
            };
            if matches!(call.step(), Some("beforeAgent" | "beforeInput" | "beforeOptions")) {
                out.flags.push(stmt.span.clone());
            }
            match call.step() {
                Some("beforeAgent") => out.before_agent = self.flag(call, &stmt.span),
                Some("beforeInput") => out.before_input = self.flag(call, &stmt.span),
                Some("beforeOptions") => out.before_options = self.flag(call, &stmt.span),
                _ => out.conditions.extend(self.condition(stmt)),
            }
        }
        out
    }

    fn condition(&mut self, stmt: &'a Stmt) -> Option<Condition<'a>> {
        let Some(call) = call_of(stmt) else {
            self.fault(&stmt.span, "expected a condition, such as `branch 'main'`");
            return None;
        };
        let name = self.name_of(call, &stmt.span).to_owned();
        let kind = match call.block() {
            Some(closure) if name == "expression" => ConditionKind::Expression(&closure.body),
            None if name == "expression" => {
                self.fault(&stmt.span, "`expression` needs a block: `expression { … }`");
                ConditionKind::Expression(&[])
            }
            Some(closure) => {
                self.arguments(&call.args[..call.args.len() - 1]);
                ConditionKind::Nested(
                    call,
                    closure.body.iter().filter_map(|stmt| self.condition(stmt)).collect(),
                )
            }
            None => {
                self.arguments(&call.args);
                ConditionKind::Call(call)
            }
        };
        Some(Condition { span: stmt.span.clone(), name, kind })
    }

    pub(super) fn post(&mut self, stmt: &'a Stmt) -> Post<'a> {
        let mut out = Post { span: stmt.span.clone(), conditions: Vec::new() };
        for stmt in self.block(stmt, "post") {
            let (Some(closure), Some(call)) = (block_of(stmt), call_of(stmt)) else {
                let all = names::POST.join(", ");
                self.fault(&stmt.span, format!("`post` holds conditions with blocks; they are {all}"));
                continue;
            };
            let name = call.step().unwrap_or_default().to_owned();
            let branch = self.branch("default", &closure.body, &stmt.span);
            out.conditions.push(PostCondition { span: stmt.span.clone(), name, branch });
        }
        out
    }

    pub(super) fn agent(&mut self, stmt: &'a Stmt) -> Agent<'a> {
        let mut out = Agent { span: stmt.span.clone(), ..Agent::default() };
        let Some(call) = call_of(stmt) else { return out };
        let Some(closure) = call.block() else {
            match call.args.as_slice() {
                [Arg::Value(value)] => {
                    let key = self.key(value);
                    if matches!(key.text.as_str(), "any" | "none") {
                        out.kind = Some(key);
                    } else {
                        self.fault(&stmt.span, "an agent is `any`, `none` or a block: `agent { label 'x' }`");
                    }
                }
                _ => self.fault(&stmt.span, "an agent is `any`, `none` or a block: `agent { label 'x' }`"),
            }
            return out;
        };
        let [only] = closure.body.as_slice() else {
            self.fault(&stmt.span, "an agent's block names exactly one kind of agent");
            return out;
        };
        let Some(call) = call_of(only) else {
            self.fault(&only.span, "expected a kind of agent, such as `label 'x'`");
            return out;
        };
        let mut kind = self.key_of_call(call, &only.span);
        out.config = match call.args.as_slice() {
            [Arg::Value(Expr { kind: ExprKind::Closure(inner), .. })] => {
                AgentConfig::Map(self.config(&inner.body))
            }
            _ => self.single(call, &kind).map_or(AgentConfig::Nothing, AgentConfig::Value),
        };
        if kind.text == "label" && matches!(out.config, AgentConfig::Map(_)) {
            kind.text = "node".into();
        }
        out.kind = Some(kind);
        out
    }

    fn config(&mut self, body: &'a [Stmt]) -> Vec<(Key, Config<'a>)> {
        let mut out = Vec::new();
        for stmt in body {
            let Some(call) = call_of(stmt) else {
                self.fault(&stmt.span, "expected `key 'value'`");
                continue;
            };
            let key = self.key_of_call(call, &stmt.span);
            match call.args.as_slice() {
                [Arg::Value(Expr { kind: ExprKind::Closure(inner), .. })] => {
                    let map = self.config(&inner.body);
                    out.push((key, Config::Map(map)));
                }
                _ => {
                    if let Some(value) = self.single(call, &key) {
                        out.push((key, Config::Value(value)));
                    }
                }
            }
        }
        out
    }
}

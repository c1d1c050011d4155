//! From the tree to the model. What has not the form of Declarative Pipeline is a fault.

use std::{collections::HashSet, ops::Range};

use super::{
    Agent, AgentConfig, Axis, Branch, Condition, ConditionKind, Config, Directives, Environment, Exclude,
    Input, Item, Items, Key, Libraries, Matrix, Pipeline, Post, PostCondition, Stage, Stages, Step, StepKind,
    Tools, When, names,
};
use crate::groovy::{Arg, Call, Closure, Entry, Expr, ExprKind, Fault, Stmt, StmtKind};

/// A script read as Declarative Pipeline.
#[derive(Clone, Debug, Default)]
pub struct Read<'a> {
    /// Nothing when the script has no `pipeline` block.
    pub pipeline: Option<Pipeline<'a>>,
    /// What has not the form that it must have.
    pub faults: Vec<Fault>,
}

/// Looks for `pipeline { … }`: at the top, in a method `call`, or in a `try` at the top.
pub fn read<'a>(script: &'a [Stmt], source: &str) -> Read<'a> {
    let mut reader = Reader { source, faults: Vec::new() };
    let pipeline = find(script).map(|(stmt, closure)| reader.pipeline(stmt, closure));
    if pipeline.is_none() {
        script.iter().for_each(|stmt| reader.no_pipeline_inside(stmt, true));
    }
    Read { pipeline, faults: reader.faults }
}

fn find(script: &[Stmt]) -> Option<(&Stmt, &Closure)> {
    let top = |body: &'_ [Stmt]| body.iter().position(|stmt| pipeline_block(stmt).is_some());
    if let Some(at) = top(script) {
        return pipeline_block(&script[at]).map(|closure| (&script[at], closure));
    }
    let in_call = script.iter().find_map(|stmt| match &stmt.kind {
        StmtKind::Method { name, body, .. } if name == "call" => inside(body),
        _ => None,
    });
    in_call.or_else(|| match &script.first()?.kind {
        StmtKind::Try { body, .. } => top(body).and_then(|at| Some((&body[at], pipeline_block(&body[at])?))),
        _ => None,
    })
}

/// The first `pipeline` block among statements and their bodies.
fn inside(body: &[Stmt]) -> Option<(&Stmt, &Closure)> {
    body.iter().find_map(|stmt| {
        if let Some(closure) = pipeline_block(stmt)
            && !closure.body.iter().any(|stmt| pipeline_block(stmt).is_some())
        {
            return Some((stmt, closure));
        }
        match &stmt.kind {
            StmtKind::If { then, otherwise, .. } => {
                inside(then).or_else(|| otherwise.as_deref().and_then(inside))
            }
            StmtKind::Try { body, catches, finally } => inside(body)
                .or_else(|| catches.iter().find_map(|catch| inside(&catch.body)))
                .or_else(|| finally.as_deref().and_then(inside)),
            StmtKind::Block(body) | StmtKind::While { body, .. } | StmtKind::ForIn { body, .. } => {
                inside(body)
            }
            StmtKind::Switch { cases, .. } => cases.iter().find_map(|case| inside(&case.body)),
            StmtKind::Expr(_) => inside(&block_of(stmt)?.body),
            _ => None,
        }
    })
}

fn pipeline_block(stmt: &Stmt) -> Option<&Closure> {
    call_of(stmt).filter(|call| call.step() == Some("pipeline"))?.block()
}

/// The call that a statement is.
fn call_of(stmt: &Stmt) -> Option<&Call> {
    match &stmt.kind {
        StmtKind::Expr(Expr { kind: ExprKind::Call(call), .. }) => Some(call),
        _ => None,
    }
}

/// The block of a call of the script's own method.
fn block_of(stmt: &Stmt) -> Option<&Closure> {
    call_of(stmt).filter(|call| call.step().is_some())?.block()
}

/// The arguments as Groovy has them: all names are one map, which comes first.
enum Given<'a> {
    Names(Vec<&'a Entry>),
    Value(&'a Expr),
}

fn given(call: &Call) -> Vec<Given<'_>> {
    let names: Vec<_> = call
        .args
        .iter()
        .filter_map(|arg| match arg {
            Arg::Named(entry) => Some(entry),
            Arg::Value(_) => None,
        })
        .collect();
    let mut given: Vec<_> = if names.is_empty() { Vec::new() } else { vec![Given::Names(names)] };
    given.extend(call.args.iter().filter_map(|arg| match arg {
        Arg::Value(value) => Some(Given::Value(value)),
        Arg::Named(_) => None,
    }));
    given
}

struct Reader<'s> {
    source: &'s str,
    faults: Vec<Fault>,
}

impl<'a> Reader<'_> {
    fn fault(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.faults.push(Fault { span: span.clone(), message: message.into() });
    }

    fn text(&self, span: &Range<usize>) -> String {
        let text = &self.source[span.clone()];
        let line = text.lines().next().unwrap_or_default();
        if line.len() == text.len() { line.to_owned() } else { format!("{line} …") }
    }

    fn no_pipeline_inside(&mut self, stmt: &Stmt, top: bool) {
        let Some(call) = call_of(stmt) else { return };
        if call.step() == Some("pipeline") && !top && call.block().is_some() {
            self.fault(&stmt.span, "`pipeline` must stand at the top, not within another block");
        }
        if let Some(block) = block_of(stmt) {
            block.body.iter().for_each(|stmt| self.no_pipeline_inside(stmt, false));
        }
    }

    /// The name of a call that must be one of the script's own methods.
    fn name_of(&mut self, call: &'a Call, span: &Range<usize>) -> &'a str {
        if let Some(name) = call.step() {
            return name;
        }
        let of_variable = matches!(call.object.as_ref().map(|object| &object.kind), Some(ExprKind::Var(_)));
        self.fault(
            span,
            if of_variable {
                "methods of objects can only be called in `script` blocks"
            } else {
                "expected a name here; line breaks separate the entries of a block"
            },
        );
        "error"
    }

    /// The call that a section is.
    fn section(&mut self, stmt: &'a Stmt) -> Option<&'a Call> {
        let call = call_of(stmt);
        if call.is_none() {
            let text = self.text(&stmt.span);
            self.fault(&stmt.span, format!("`{text}` is not a section; it lacks a block or a value"));
        }
        call
    }

    /// Whether a section stands here for the first time.
    fn first(&mut self, seen: &mut HashSet<&'a str>, name: &'a str, span: &Range<usize>) {
        if !seen.insert(name) {
            self.fault(span, format!("the section `{name}` stands more than once"));
        }
    }

    fn block(&mut self, stmt: &'a Stmt, what: &str) -> &'a [Stmt] {
        if let Some(closure) = block_of(stmt) {
            return &closure.body;
        }
        self.fault(&stmt.span, format!("`{what}` needs a block: `{what} {{ … }}`"));
        &[]
    }

    fn pipeline(&mut self, stmt: &'a Stmt, closure: &'a Closure) -> Pipeline<'a> {
        let mut out = Pipeline { span: stmt.span.clone(), ..Pipeline::default() };
        let mut seen = HashSet::new();
        for stmt in &closure.body {
            let Some(call) = self.section(stmt) else { continue };
            let span = &stmt.span;
            let name = self.name_of(call, span);
            self.first(&mut seen, name, span);
            match name {
                "stages" => out.stages = Some(self.stages(stmt, "stages")),
                "environment" => out.environment = Some(self.environment(stmt)),
                "post" => out.post = Some(self.post(stmt)),
                "agent" => out.agent = Some(self.agent(stmt)),
                "tools" => out.tools = Some(self.tools(stmt)),
                "options" => out.options = Some(self.items(stmt, "options", "option")),
                "parameters" => out.parameters = Some(self.items(stmt, "parameters", "parameter")),
                "triggers" => out.triggers = Some(self.items(stmt, "triggers", "trigger")),
                "libraries" => out.libraries = Some(self.libraries(stmt)),
                "error" if call.step().is_none() => {}
                "properties" | "wrappers" | "jobProperties" => {
                    self.fault(span, format!("the section `{name}` is now called `options`"));
                }
                "notifications" | "postBuild" => {
                    self.fault(span, format!("the section `{name}` is now called `post`"));
                }
                _ => self.fault(span, format!("`{name}` is not a section of `pipeline`")),
            }
        }
        out
    }

    fn stages(&mut self, stmt: &'a Stmt, what: &str) -> Stages<'a> {
        let body = self.block(stmt, what);
        Stages { span: stmt.span.clone(), stages: body.iter().filter_map(|stmt| self.stage(stmt)).collect() }
    }

    fn stage(&mut self, stmt: &'a Stmt) -> Option<Stage<'a>> {
        let Some(call) = call_of(stmt).filter(|call| call.step() == Some("stage") && call.block().is_some())
        else {
            self.fault(&stmt.span, "expected a stage: `stage('name') { … }`");
            return None;
        };
        let mut out = Stage { span: stmt.span.clone(), ..Stage::default() };
        match (call.args.first(), call.args.get(1)) {
            (Some(Arg::Value(name)), Some(Arg::Value(Expr { kind: ExprKind::Closure(closure), .. }))) => {
                out.name = self.literal(name);
                self.stage_body(closure, &mut out);
            }
            (Some(Arg::Value(Expr { kind: ExprKind::Closure(_), .. })) | None, _) => {
                self.fault(&stmt.span, "a stage needs a name: `stage('name') { … }`");
            }
            _ => self.fault(&stmt.span, "a stage takes a name and a block: `stage('name') { … }`"),
        }
        Some(out)
    }

    fn stage_body(&mut self, closure: &'a Closure, out: &mut Stage<'a>) {
        let mut seen = HashSet::new();
        for stmt in &closure.body {
            let Some(call) = self.section(stmt) else { continue };
            let span = &stmt.span;
            let name = self.name_of(call, span);
            self.first(&mut seen, name, span);
            if self.directive(name, stmt, &mut out.directives) {
                continue;
            }
            match name {
                "steps" => {
                    out.steps_span = Some(span.clone());
                    self.steps(stmt, out);
                }
                "parallel" => out.parallel = Some(self.stages(stmt, "parallel")),
                "stages" => out.stages = Some(self.stages(stmt, "stages")),
                "matrix" => out.matrix = Some(self.matrix(stmt)),
                "failFast" => {
                    out.fail_fast = self.flag(call, span);
                    out.fail_fast_span = Some(span.clone());
                }
                "error" if call.step().is_none() => {}
                _ => self.fault(
                    span,
                    format!("`{name}` is not a section of a stage; steps stand in a `steps` block"),
                ),
            }
        }
    }

    /// What a stage and a matrix have in common.
    fn directive(&mut self, name: &str, stmt: &'a Stmt, out: &mut Directives<'a>) -> bool {
        match name {
            "agent" => out.agent = Some(self.agent(stmt)),
            "when" => out.when = Some(self.when(stmt)),
            "post" => out.post = Some(self.post(stmt)),
            "options" => out.options = Some(self.items(stmt, "options", "option")),
            "input" => out.input = Some(self.input(stmt)),
            "tools" => out.tools = Some(self.tools(stmt)),
            "environment" => out.environment = Some(self.environment(stmt)),
            _ => return false,
        }
        true
    }

    fn steps(&mut self, stmt: &'a Stmt, out: &mut Stage<'a>) {
        let body = self.block(stmt, "steps");
        if let [only] = body
            && let Some(call) = call_of(only)
            && call.step() == Some("parallel")
        {
            out.parallel_step_span = Some(only.span.clone());
            return self.parallel_step(call, out);
        }
        out.branches.push(self.branch("default", body, &stmt.span));
    }

    /// The step `parallel a: { … }, b: { … }`, alone in `steps`.
    fn parallel_step(&mut self, call: &'a Call, out: &mut Stage<'a>) {
        for arg in &call.args {
            let Arg::Named(entry) = arg else { continue };
            let Some(key) = &entry.key else { continue };
            match (&entry.value.kind, key.as_text()) {
                (ExprKind::Bool(value), Some("failFast")) => out.fail_fast = Some(*value),
                (_, Some("failFast")) => self.fault(&key.span, "`failFast` is `true` or `false`"),
                (ExprKind::Closure(closure), _) => {
                    let name = self.literal(key);
                    out.branches.push(self.branch(&name, &closure.body, &entry.value.span));
                }
                _ => self.fault(&key.span, "expected a block or `failFast`"),
            }
        }
    }

    fn branch(&mut self, name: &str, body: &'a [Stmt], span: &Range<usize>) -> Branch<'a> {
        let steps = body.iter().map(|stmt| self.step(stmt)).collect();
        Branch { span: span.clone(), name: name.to_owned(), body, steps }
    }

    fn step(&mut self, stmt: &'a Stmt) -> Step<'a> {
        let Some(call) = call_of(stmt) else {
            self.fault(&stmt.span, "expected a step; other Groovy stands in a `script` block");
            return Step { span: stmt.span.clone(), name: "error".into(), kind: StepKind::Code(&[]) };
        };
        let name = self.name_of(call, &stmt.span);
        let kind = match (name, call.block()) {
            ("script" | "expression", Some(closure)) => StepKind::Code(&closure.body),
            ("script" | "expression", None) => {
                self.fault(&stmt.span, format!("`{name}` needs a block: `{name} {{ … }}`"));
                StepKind::Code(&[])
            }
            (_, Some(closure)) if call.step().is_some() => {
                self.arguments(&call.args[..call.args.len() - 1]);
                StepKind::Tree(call, closure.body.iter().map(|stmt| self.step(stmt)).collect())
            }
            _ => {
                self.arguments(&call.args);
                StepKind::Plain(call)
            }
        };
        Step { span: stmt.span.clone(), name: name.to_owned(), kind }
    }

    fn arguments(&mut self, args: &'a [Arg]) {
        for arg in args {
            match arg {
                Arg::Value(value) => self.value(value),
                Arg::Named(entry) => {
                    if let Some(key) = &entry.key {
                        self.literal(key);
                    }
                    self.value(&entry.value);
                }
            }
        }
    }

    /// Values that Declarative Pipeline cannot hold.
    fn value(&mut self, value: &Expr) {
        match &value.kind {
            ExprKind::BigInt(_) => self.fault(&value.span, "this number does not fit 64 bits"),
            // `$` before a block is a call of a method of that name.
            ExprKind::Call(call) if call.step() == Some("$") && call.block().is_some() => {
                let text = self.text(&value.span);
                self.fault(&value.span, format!("`{text}` is no value by itself: put it in double quotes"));
            }
            _ => {}
        }
    }

    fn literal(&mut self, expr: &Expr) -> String {
        match &expr.bare().kind {
            ExprKind::Text(text) | ExprKind::Var(text) if !text.is_empty() => text.clone(),
            ExprKind::Text(_) => "error".into(),
            _ => {
                self.fault(&expr.span, "expected a string without values in it");
                "error".into()
            }
        }
    }

    fn key(&mut self, expr: &Expr) -> Key {
        Key { text: self.literal(expr), span: expr.span.clone() }
    }

    fn key_of_call(&mut self, call: &'a Call, span: &Range<usize>) -> Key {
        Key { text: self.name_of(call, span).to_owned(), span: call.name_span.clone() }
    }

    fn flag(&mut self, call: &Call, span: &Range<usize>) -> Option<bool> {
        match call.args.first() {
            Some(Arg::Value(Expr { kind: ExprKind::Bool(value), .. })) => Some(*value),
            _ => {
                let name = call.step().unwrap_or_default();
                self.fault(span, format!("`{name}` is `true` or `false`"));
                None
            }
        }
    }

    /// The one value of a field.
    fn single(&mut self, call: &'a Call, key: &Key) -> Option<&'a Expr> {
        match given(call).as_slice() {
            [Given::Value(value)] => return Some(value),
            [Given::Names(entries)] => {
                let span = entries[0].value.span.clone();
                self.fault(&span, format!("`{}` takes a value, not named arguments", key.text));
            }
            [] => self.fault(&key.span, format!("`{}` needs a value", key.text)),
            _ => self.fault(&key.span, format!("`{}` takes one value", key.text)),
        }
        None
    }

    fn environment(&mut self, stmt: &'a Stmt) -> Environment<'a> {
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

    fn tools(&mut self, stmt: &'a Stmt) -> Tools<'a> {
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

    fn items(&mut self, stmt: &'a Stmt, section: &str, what: &str) -> Items<'a> {
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

    fn item_args(&mut self, call: &'a Call) {
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

    fn libraries(&mut self, stmt: &'a Stmt) -> Libraries<'a> {
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

    fn input(&mut self, stmt: &'a Stmt) -> Input<'a> {
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

    fn when(&mut self, stmt: &'a Stmt) -> When<'a> {
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

    fn post(&mut self, stmt: &'a Stmt) -> Post<'a> {
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

    fn agent(&mut self, stmt: &'a Stmt) -> Agent<'a> {
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

    fn matrix(&mut self, stmt: &'a Stmt) -> Matrix<'a> {
        let mut out = Matrix { span: stmt.span.clone(), ..Matrix::default() };
        let mut seen = HashSet::new();
        for stmt in self.block(stmt, "matrix") {
            let Some(call) = self.section(stmt) else { continue };
            let name = self.name_of(call, &stmt.span);
            self.first(&mut seen, name, &stmt.span);
            if self.directive(name, stmt, &mut out.directives) {
                continue;
            }
            match name {
                "axes" => {
                    let body = self.block(stmt, "axes");
                    out.axes = Some(body.iter().map(|stmt| self.axis(stmt, false)).collect());
                    out.axes_span = stmt.span.clone();
                }
                "excludes" => {
                    let body = self.block(stmt, "excludes");
                    out.excludes = Some(body.iter().map(|stmt| self.exclude(stmt)).collect());
                    out.excludes_span = stmt.span.clone();
                }
                "stages" => out.stages = Some(self.stages(stmt, "stages")),
                _ => self.fault(&stmt.span, format!("`{name}` is not a section of `matrix`")),
            }
        }
        out
    }

    fn exclude(&mut self, stmt: &'a Stmt) -> Exclude<'a> {
        let body = self.block(stmt, "exclude");
        Exclude { span: stmt.span.clone(), axes: body.iter().map(|stmt| self.axis(stmt, true)).collect() }
    }

    fn axis(&mut self, stmt: &'a Stmt, excluded: bool) -> Axis<'a> {
        let mut out = Axis { span: stmt.span.clone(), ..Axis::default() };
        let mut seen = HashSet::new();
        for stmt in self.block(stmt, "axis") {
            let Some(call) = self.section(stmt) else { continue };
            let name = self.name_of(call, &stmt.span);
            self.first(&mut seen, name, &stmt.span);
            let key = Key { text: name.to_owned(), span: call.name_span.clone() };
            match name {
                "name" => {
                    if let Some(value) = self.single(call, &key) {
                        out.name = Some(match &value.kind {
                            ExprKind::Text(text) if text.is_empty() => {
                                Key { text: String::new(), span: value.span.clone() }
                            }
                            _ => self.key(value),
                        });
                    }
                }
                "values" | "notValues" if name == "values" || excluded => {
                    if seen.contains("values") && seen.contains("notValues") {
                        self.fault(&stmt.span, "an excluded axis has either `values` or `notValues`");
                    }
                    out.inverse |= name == "notValues";
                    self.item_args(call);
                    out.values.extend(call.args.iter().filter_map(|arg| match arg {
                        Arg::Value(value) => Some(value),
                        Arg::Named(_) => None,
                    }));
                }
                _ => self.fault(&stmt.span, format!("`{name}` is not a section of `axis`")),
            }
        }
        out
    }
}

fn is_constant(expr: &Expr) -> bool {
    matches!(
        expr.bare().kind,
        ExprKind::Text(_)
            | ExprKind::Int(_)
            | ExprKind::BigInt(_)
            | ExprKind::Decimal(_)
            | ExprKind::Bool(_)
            | ExprKind::Null
    )
}

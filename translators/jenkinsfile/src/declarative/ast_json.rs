//! Jenkins' own JSON of a Declarative Pipeline.

use serde_json::{Map, Value, json};

use super::{
    Agent, AgentConfig, Axis, Branch, Condition, ConditionKind, Config, Directives, Input, Item, Key, Matrix,
    Pipeline, Post, Stage, Stages, Step, StepKind, When, names, source_text,
};
use crate::groovy::{Arg, Call, Entry, Expr, ExprKind, Stmt};

/// The AST as Jenkins' converter prints it.
pub fn ast_json(pipeline: &Pipeline<'_>, source: &str) -> Value {
    let json = Json { source };
    let mut out = Map::new();
    put(&mut out, "stages", pipeline.stages.as_ref().map(|stages| json.stages(stages)));
    put(&mut out, "post", pipeline.post.as_ref().map(|post| json.post(post)));
    put(&mut out, "environment", pipeline.environment.as_ref().map(|it| json.environment(&it.variables)));
    put(&mut out, "agent", pipeline.agent.as_ref().map(|agent| json.agent(agent)));
    put(&mut out, "tools", pipeline.tools.as_ref().map(|tools| json.pairs(&tools.tools)));
    for (name, items) in [
        ("options", &pipeline.options),
        ("parameters", &pipeline.parameters),
        ("triggers", &pipeline.triggers),
    ] {
        let items = items.as_ref().filter(|items| !items.items.is_empty());
        put(&mut out, name, items.map(|items| json!({ name: json.items(&items.items) })));
    }
    let libraries = pipeline.libraries.as_ref().filter(|libraries| !libraries.names.is_empty());
    put(
        &mut out,
        "libraries",
        libraries
            .map(|it| json!({ "libraries": it.names.iter().map(|e| json.value(e)).collect::<Vec<_>>() })),
    );
    json!({ "pipeline": out })
}

struct Json<'s> {
    source: &'s str,
}

fn put(out: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        out.insert(key.into(), value);
    }
}

impl Json<'_> {
    fn stages(&self, stages: &Stages<'_>) -> Value {
        stages.stages.iter().map(|stage| self.stage(stage)).collect()
    }

    fn stage(&self, stage: &Stage<'_>) -> Value {
        let mut out = self.directives(&stage.directives);
        out.insert("name".into(), stage.name.clone().into());
        put(&mut out, "stages", stage.stages.as_ref().map(|stages| self.stages(stages)));
        put(&mut out, "parallel", stage.parallel.as_ref().map(|stages| self.stages(stages)));
        put(&mut out, "matrix", stage.matrix.as_ref().map(|matrix| self.matrix(matrix)));
        if !stage.branches.is_empty() {
            out.insert("branches".into(), stage.branches.iter().map(|branch| self.branch(branch)).collect());
        }
        put(&mut out, "failFast", stage.fail_fast.map(Value::Bool));
        Value::Object(out)
    }

    fn directives(&self, directives: &Directives<'_>) -> Map<String, Value> {
        let mut out = Map::new();
        put(&mut out, "agent", directives.agent.as_ref().map(|agent| self.agent(agent)));
        put(&mut out, "when", directives.when.as_ref().map(|when| self.when(when)));
        put(&mut out, "post", directives.post.as_ref().map(|post| self.post(post)));
        put(&mut out, "tools", directives.tools.as_ref().map(|tools| self.pairs(&tools.tools)));
        put(
            &mut out,
            "environment",
            directives.environment.as_ref().map(|it| self.environment(&it.variables)),
        );
        put(
            &mut out,
            "options",
            directives.options.as_ref().map(|options| json!({ "options": self.items(&options.items) })),
        );
        put(&mut out, "input", directives.input.as_ref().map(|input| self.input(input)));
        out
    }

    fn matrix(&self, matrix: &Matrix<'_>) -> Value {
        let mut out = self.directives(&matrix.directives);
        let axes = |axes: &[Axis<'_>]| -> Value { axes.iter().map(|axis| self.axis(axis)).collect() };
        put(&mut out, "axes", matrix.axes.as_deref().map(axes));
        let excludes = matrix.excludes.as_ref();
        put(
            &mut out,
            "excludes",
            excludes.map(|excludes| excludes.iter().map(|each| axes(&each.axes)).collect()),
        );
        put(&mut out, "stages", matrix.stages.as_ref().map(|stages| self.stages(stages)));
        Value::Object(out)
    }

    fn axis(&self, axis: &Axis<'_>) -> Value {
        let mut out = Map::new();
        out.insert("name".into(), axis.name.as_ref().map_or(Value::Null, |name| name.text.clone().into()));
        out.insert("values".into(), axis.values.iter().map(|value| self.value(value)).collect());
        put(&mut out, "inverse", axis.inverse.then_some(Value::Bool(true)));
        Value::Object(out)
    }

    fn agent(&self, agent: &Agent<'_>) -> Value {
        let kind = agent.kind.as_ref().map(|kind| kind.text.clone()).unwrap_or_default();
        if matches!(kind.as_str(), "label" | "node") && is_empty_label(&agent.config) {
            return json!({ "type": "any" });
        }
        let mut out = Map::new();
        out.insert("type".into(), kind.into());
        match &agent.config {
            AgentConfig::Nothing => {}
            AgentConfig::Value(value) => drop(out.insert("argument".into(), self.value(value))),
            AgentConfig::Map(map) if map.is_empty() => {}
            AgentConfig::Map(map) => drop(out.insert("arguments".into(), self.config(map))),
        }
        Value::Object(out)
    }

    fn config(&self, map: &[(Key, Config<'_>)]) -> Value {
        let of = |value: &Config<'_>| match value {
            Config::Value(value) => self.value(value),
            Config::Map(map) => self.config(map),
        };
        map.iter().map(|(key, value)| json!({ "key": key.text, "value": of(value) })).collect()
    }

    fn environment(&self, variables: &[(Key, &Expr)]) -> Value {
        variables
            .iter()
            .map(|(key, value)| {
                let value = match &value.bare().kind {
                    ExprKind::Call(call) if call.step() == Some("credentials") => {
                        json!({ "name": "credentials", "arguments": self.args_of(call) })
                    }
                    ExprKind::Binary { op: "+", .. } => self.concatenation(value),
                    ExprKind::GString(_) => {
                        json!({ "isLiteral": false, "value": source_text::with_comment(value, self.source) })
                    }
                    _ => self.value(value),
                };
                json!({ "key": key.text, "value": value })
            })
            .collect()
    }

    /// Texts joined by `+` are one value.
    fn concatenation(&self, value: &Expr) -> Value {
        let mut text = String::new();
        let literal = self.join(value, &mut text);
        json!({ "isLiteral": literal, "value": text })
    }

    fn join(&self, value: &Expr, into: &mut String) -> bool {
        match &value.bare().kind {
            ExprKind::Binary { op: "+", left, right } => {
                let left = self.join(left, into);
                self.join(right, into) && left
            }
            ExprKind::Text(text) => {
                into.push_str(text);
                true
            }
            ExprKind::GString(_) => {
                let quoted = source_text::of_expr(value, self.source);
                let bare = quoted.trim_start_matches(['"', '\'']).trim_end_matches(['"', '\'']);
                into.push_str(bare);
                false
            }
            _ => {
                into.push_str(&scalar(value).map(|value| value.to_string()).unwrap_or_default());
                true
            }
        }
    }

    fn pairs(&self, pairs: &[(Key, &Expr)]) -> Value {
        pairs.iter().map(|(key, value)| json!({ "key": key.text, "value": self.value(value) })).collect()
    }

    fn items(&self, items: &[Item<'_>]) -> Value {
        items.iter().map(|item| self.method_call(item.call)).collect()
    }

    /// `{name, arguments}` of options, triggers and parameters.
    fn method_call(&self, call: &Call) -> Value {
        json!({ "name": call.step().unwrap_or("error"), "arguments": self.args_of(call) })
    }

    fn args_of(&self, call: &Call) -> Value {
        // Groovy gathers named arguments in one map before all others.
        let (named, others): (Vec<&Arg>, Vec<&Arg>) =
            call.args.iter().partition(|arg| matches!(arg, Arg::Named(_)));
        let value = |value: &Expr| match &value.kind {
            ExprKind::Call(call) => self.method_call(call),
            _ => self.value(value),
        };
        let mut out = Vec::new();
        for arg in named.into_iter().chain(others) {
            match arg {
                Arg::Named(entry) => out.push(json!({ "key": key_of(entry), "value": value(&entry.value) })),
                Arg::Value(Expr { kind: ExprKind::Map(entries), .. }) => {
                    let of = |entry: &Entry| json!({ "key": key_of(entry), "value": value(&entry.value) });
                    out.extend(entries.iter().map(of));
                }
                Arg::Value(expr) => out.push(value(expr)),
            }
        }
        Value::Array(out)
    }

    fn input(&self, input: &Input<'_>) -> Value {
        let mut out = Map::new();
        out.insert("message".into(), Value::Null);
        for (key, value) in &input.fields {
            out.insert(key.text.clone(), self.value(value));
        }
        if !input.parameters.is_empty() {
            out.insert("parameters".into(), json!({ "parameters": self.items(&input.parameters) }));
        }
        Value::Object(out)
    }

    fn when(&self, when: &When<'_>) -> Value {
        let mut out = Map::new();
        out.insert("conditions".into(), when.conditions.iter().map(|each| self.condition(each)).collect());
        put(&mut out, "beforeAgent", when.before_agent.map(Value::Bool));
        put(&mut out, "beforeInput", when.before_input.map(Value::Bool));
        put(&mut out, "beforeOptions", when.before_options.map(Value::Bool));
        Value::Object(out)
    }

    fn condition(&self, condition: &Condition<'_>) -> Value {
        match &condition.kind {
            ConditionKind::Expression(body) => self.code("expression", body),
            ConditionKind::Call(call) => {
                json!({ "name": condition.name, "arguments": self.argument_list(&call.args) })
            }
            ConditionKind::Nested(call, children) => {
                let mut out = Map::new();
                out.insert("name".into(), condition.name.clone().into());
                let args = &call.args[..call.args.len() - 1];
                put(&mut out, "arguments", (!args.is_empty()).then(|| self.argument_list(args)));
                if !children.is_empty() {
                    out.insert(
                        "children".into(),
                        children.iter().map(|child| self.condition(child)).collect(),
                    );
                }
                Value::Object(out)
            }
        }
    }

    fn post(&self, post: &Post<'_>) -> Value {
        let of = |condition: &super::PostCondition<'_>| json!({ "condition": condition.name, "branch": self.branch(&condition.branch) });
        json!({ "conditions": post.conditions.iter().map(of).collect::<Vec<_>>() })
    }

    fn branch(&self, branch: &Branch<'_>) -> Value {
        let steps: Vec<_> = branch.steps.iter().map(|step| self.step(step)).collect();
        json!({ "name": branch.name, "steps": steps })
    }

    fn step(&self, step: &Step<'_>) -> Value {
        match &step.kind {
            StepKind::Code(body) => self.code(&step.name, body),
            StepKind::Plain(call) => {
                let arguments = match (call.args.as_slice(), names::sole_parameter(&step.name)) {
                    ([Arg::Value(value)], Some(key)) if !is_map(value) => {
                        json!([{ "key": key, "value": self.value(value) }])
                    }
                    (args, _) => self.argument_list(args),
                };
                json!({ "name": step.name, "arguments": arguments })
            }
            StepKind::Tree(call, children) => {
                let args = &call.args[..call.args.len() - 1];
                json!({
                    "name": step.name,
                    "arguments": self.argument_list(args),
                    "children": children.iter().map(|child| self.step(child)).collect::<Vec<_>>(),
                })
            }
        }
    }

    fn code(&self, name: &str, body: &[Stmt]) -> Value {
        let text = source_text::of_block(body, self.source);
        let value = json!({ "isLiteral": true, "value": text });
        json!({ "name": name, "arguments": [{ "key": "scriptBlock", "value": value }] })
    }

    /// Arguments of a step: all by name, or one, or several by place.
    fn argument_list(&self, args: &[Arg]) -> Value {
        let named = |entries: &mut dyn Iterator<Item = &Entry>| -> Value {
            entries.map(|entry| json!({ "key": key_of(entry), "value": self.value(&entry.value) })).collect()
        };
        if !args.is_empty() && args.iter().all(|arg| matches!(arg, Arg::Named(_))) {
            let mut entries = args.iter().filter_map(|arg| match arg {
                Arg::Named(entry) => Some(entry),
                Arg::Value(_) => None,
            });
            if args.iter().any(is_class) {
                return self.map_value(args);
            }
            return named(&mut entries);
        }
        match args {
            [] => json!([]),
            [Arg::Value(Expr { kind: ExprKind::Map(entries), .. })]
                if !entries.iter().any(|entry| key_of(entry) == "$class") =>
            {
                named(&mut entries.iter())
            }
            [Arg::Value(value)] => self.value(value),
            _ => {
                // The names come first, as one map.
                let names: Vec<Arg> =
                    args.iter().filter(|arg| matches!(arg, Arg::Named(_))).cloned().collect();
                let mut out = Vec::new();
                if !names.is_empty() {
                    out.push(self.map_value(&names));
                }
                out.extend(args.iter().filter_map(|arg| match arg {
                    Arg::Value(value) => Some(self.value(value)),
                    Arg::Named(_) => None,
                }));
                Value::Array(out)
            }
        }
    }

    /// Named arguments as the text of a map.
    fn map_value(&self, args: &[Arg]) -> Value {
        let spans: Vec<_> = args
            .iter()
            .filter_map(|arg| match arg {
                Arg::Named(entry) => {
                    let start = entry.key.as_ref().map_or(entry.value.span.start, |key| key.span.start);
                    Some(start..entry.value.span.end)
                }
                Arg::Value(_) => None,
            })
            .collect();
        let (start, end) = (spans.first().map_or(0, |s| s.start), spans.last().map_or(0, |s| s.end));
        json!({ "isLiteral": false, "value": self.source[start..end.max(start)].trim() })
    }

    /// A value: a constant, or source text.
    fn value(&self, expr: &Expr) -> Value {
        let bare = expr.bare();
        if let Some(value) = scalar(bare) {
            return json!({ "isLiteral": true, "value": value });
        }
        let value = match &bare.kind {
            ExprKind::Var(name) if matches!(name.as_str(), "any" | "none") => {
                return json!({ "isLiteral": true, "value": name });
            }
            ExprKind::GString(_) | ExprKind::Map(_) => source_text::of_expr(bare, self.source),
            _ => format!("${{{}}}", source_text::of_expr(bare, self.source)),
        };
        json!({ "isLiteral": false, "value": value })
    }
}

fn scalar(expr: &Expr) -> Option<Value> {
    Some(match &expr.kind {
        ExprKind::Text(text) => text.clone().into(),
        ExprKind::Int(value) => (*value).into(),
        ExprKind::Decimal(value) => json!(value),
        ExprKind::Bool(value) => (*value).into(),
        ExprKind::Null => Value::Null,
        _ => return None,
    })
}

fn is_map(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Map(entries) if !entries.iter().any(|entry| key_of(entry) == "$class"))
}

fn is_class(arg: &Arg) -> bool {
    matches!(arg, Arg::Named(entry) if key_of(entry) == "$class")
}

fn key_of(entry: &Entry) -> String {
    match entry.key.as_ref().map(|key| &key.kind) {
        Some(ExprKind::Text(text) | ExprKind::Var(text)) => text.clone(),
        Some(ExprKind::Paren(inner)) => match &inner.kind {
            ExprKind::Text(text) | ExprKind::Var(text) => text.clone(),
            _ => "error".into(),
        },
        _ => "error".into(),
    }
}

fn is_empty_label(config: &AgentConfig<'_>) -> bool {
    match config {
        AgentConfig::Value(value) => value.as_text() == Some(""),
        AgentConfig::Map(map) => matches!(
            map.as_slice(),
            [(key, Config::Value(value))] if key.text == "label" && value.as_text() == Some("")
        ),
        AgentConfig::Nothing => false,
    }
}

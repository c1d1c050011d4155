//! What Jenkins refuses although it has the right form.

use std::{collections::HashSet, ops::Range};

use super::{
    Agent, AgentConfig, Axis, Branch, Condition, ConditionKind, Config, Directives, Environment, Input, Item,
    Items, Matrix, Pipeline, Post, Stage, Stages, Step, StepKind, Tools, When, names,
};
use crate::groovy::{Arg, Expr, ExprKind, Fault};

/// Every fault that Jenkins finds without looking at its own configuration.
pub fn validate(pipeline: &Pipeline<'_>) -> Vec<Fault> {
    let mut check = Check { faults: Vec::new() };
    check.pipeline(pipeline);
    check.faults.sort_by_key(|fault| fault.span.start);
    check.faults
}

struct Check {
    faults: Vec<Fault>,
}

impl Check {
    fn fault(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.faults.push(Fault { span: span.clone(), message: message.into() });
    }

    fn empty(&mut self, is_empty: bool, span: &Range<usize>, what: &str) {
        if is_empty {
            self.fault(span, format!("`{what}` is empty"));
        }
    }

    fn unique<'n>(&mut self, names: impl IntoIterator<Item = (&'n str, &'n Range<usize>)>, what: &str) {
        let mut seen = HashSet::new();
        for (name, span) in names {
            if !seen.insert(name) {
                self.fault(span, format!("the {what} `{name}` stands twice"));
            }
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline<'_>) {
        for (missing, name) in [(pipeline.stages.is_none(), "stages"), (pipeline.agent.is_none(), "agent")] {
            if missing {
                self.fault(&pipeline.span, format!("`pipeline` needs the section `{name}`"));
            }
        }
        let each = &mut |stages: &Stages<'_>| self.stages(stages, false);
        pipeline.stages.iter().for_each(each);
        pipeline.post.iter().for_each(|post| self.post(post));
        pipeline.environment.iter().for_each(|environment| self.environment(environment));
        pipeline.agent.iter().for_each(|agent| self.agent(agent));
        pipeline.tools.iter().for_each(|tools| self.tools(tools));
        pipeline.options.iter().for_each(|options| self.options(options, false));
        pipeline.parameters.iter().for_each(|parameters| {
            self.empty(parameters.items.is_empty(), &parameters.span, "parameters");
            parameters.items.iter().for_each(|item| self.parameter(item));
        });
        pipeline.triggers.iter().for_each(|triggers| self.triggers(triggers));
        if let Some(libraries) = &pipeline.libraries {
            self.empty(libraries.names.is_empty(), &libraries.span, "libraries");
        }
    }

    fn stages(&mut self, stages: &Stages<'_>, within_parallel: bool) {
        self.empty(stages.stages.is_empty(), &stages.span, "stages");
        self.unique(stages.stages.iter().map(|stage| (stage.name.as_str(), &stage.span)), "stage name");
        stages.stages.iter().for_each(|stage| self.stage(stage, within_parallel));
    }

    fn stage(&mut self, stage: &Stage<'_>, within_parallel: bool) {
        self.directives(&stage.directives);
        let has = [
            !stage.branches.is_empty(),
            stage.parallel.is_some(),
            stage.matrix.is_some(),
            stage.stages.is_some(),
        ];
        let count = has.iter().filter(|&&has| has).count();
        if within_parallel && (stage.branches.len() > 1 || stage.parallel.is_some() || stage.matrix.is_some())
        {
            let span = match (&stage.matrix, &stage.parallel) {
                (Some(matrix), _) => &matrix.span,
                (None, Some(parallel)) => &parallel.span,
                (None, None) => &stage.branches[0].span,
            };
            self.fault(span, "`parallel` and `matrix` cannot stand inside of another `parallel` or `matrix`");
        } else if count > 1 {
            let name = &stage.name;
            self.fault(
                &stage.span,
                format!("the stage `{name}` has more than one of `steps`, `stages`, `parallel` and `matrix`"),
            );
        } else if count == 0 {
            let name = &stage.name;
            self.fault(
                &stage.span,
                format!("the stage `{name}` needs one of `steps`, `stages`, `parallel` and `matrix`"),
            );
        } else if stage.parallel.is_some() || stage.matrix.is_some() {
            if let Some(agent) = &stage.directives.agent {
                self.fault(&agent.span, "`agent` cannot stand beside `parallel` or `matrix`");
            }
            if let Some(tools) = &stage.directives.tools {
                self.fault(&tools.span, "`tools` cannot stand beside `parallel` or `matrix`");
            }
        } else {
            self.unique(
                stage.branches.iter().map(|branch| (branch.name.as_str(), &branch.span)),
                "branch name",
            );
        }
        stage.branches.iter().for_each(|branch| self.branch(branch));
        stage.parallel.iter().for_each(|stages| self.stages(stages, true));
        stage.matrix.iter().for_each(|matrix| self.matrix(matrix));
        stage.stages.iter().for_each(|stages| self.stages(stages, within_parallel));
    }

    fn directives(&mut self, directives: &Directives<'_>) {
        directives.agent.iter().for_each(|agent| self.agent(agent));
        directives.when.iter().for_each(|when| self.when(when));
        directives.post.iter().for_each(|post| self.post(post));
        directives.tools.iter().for_each(|tools| self.tools(tools));
        directives.environment.iter().for_each(|environment| self.environment(environment));
        directives.options.iter().for_each(|options| self.options(options, true));
        directives.input.iter().for_each(|input| self.input(input));
    }

    fn matrix(&mut self, matrix: &Matrix<'_>) {
        self.directives(&matrix.directives);
        for (missing, name) in [(matrix.axes.is_none(), "axes"), (matrix.stages.is_none(), "stages")] {
            if missing {
                self.fault(&matrix.span, format!("`matrix` needs the section `{name}`"));
            }
        }
        if let Some(axes) = &matrix.axes {
            self.empty(axes.is_empty(), &matrix.axes_span, "axes");
            axes.iter().for_each(|axis| self.axis(axis));
            self.unique_axes(axes);
        }
        if let Some(excludes) = &matrix.excludes {
            self.empty(excludes.is_empty(), &matrix.excludes_span, "excludes");
            for exclude in excludes {
                self.empty(exclude.axes.is_empty(), &exclude.span, "exclude");
                exclude.axes.iter().for_each(|axis| self.axis(axis));
                self.unique_axes(&exclude.axes);
            }
        }
        matrix.stages.iter().for_each(|stages| self.stages(stages, true));
    }

    fn unique_axes(&mut self, axes: &[Axis<'_>]) {
        let names = axes.iter().filter_map(|axis| axis.name.as_ref()).filter(|name| !name.text.is_empty());
        self.unique(names.map(|name| (name.text.as_str(), &name.span)), "axis");
    }

    fn axis(&mut self, axis: &Axis<'_>) {
        match &axis.name {
            None => self.fault(&axis.span, "`axis` needs a `name`"),
            Some(name) if !is_variable(&name.text) => {
                self.fault(&name.span, format!("`{}` cannot be the name of a variable", name.text));
            }
            Some(_) => {}
        }
        if axis.values.is_empty() {
            self.fault(&axis.span, "`axis` needs `values`");
        }
        let mut seen = HashSet::new();
        for value in &axis.values {
            let literal = match &value.bare().kind {
                ExprKind::Text(text) => text.clone(),
                ExprKind::Int(value) => value.to_string(),
                ExprKind::Decimal(value) => value.to_string(),
                ExprKind::Bool(value) => value.to_string(),
                ExprKind::Null => "null".into(),
                ExprKind::Var(name) if matches!(name.as_str(), "any" | "none") => name.clone(),
                _ => {
                    self.fault(&value.span, "the values of an axis are strings without values in them");
                    continue;
                }
            };
            if !seen.insert(literal.clone()) {
                self.fault(&value.span, format!("the value `{literal}` stands twice"));
            }
        }
    }

    fn environment(&mut self, environment: &Environment<'_>) {
        self.empty(environment.variables.is_empty(), &environment.span, "environment");
        for (key, _) in &environment.variables {
            if !is_variable(&key.text) {
                self.fault(&key.span, format!("`{}` cannot be the name of a variable", key.text));
            }
        }
    }

    fn tools(&mut self, tools: &Tools<'_>) {
        self.empty(tools.tools.is_empty(), &tools.span, "tools");
        for (key, _) in &tools.tools {
            self.known(&key.text, &key.span, names::TOOLS, "tool");
        }
    }

    /// Names beyond those of Jenkins and its commonest plugins are taken for mistakes, as Jenkins takes those of
    /// plugins that it has not; whole class names are left alone.
    fn known(&mut self, name: &str, span: &Range<usize>, known: &[&str], what: &str) {
        if !known.contains(&name) && !name.contains('.') {
            self.fault(span, format!("`{name}` is not a {what} that is known here"));
        }
    }

    fn options(&mut self, options: &Items<'_>, in_stage: bool) {
        self.empty(options.items.is_empty(), &options.span, "options");
        self.unique(options.items.iter().map(|item| (item.name.as_str(), &item.span)), "option");
        for item in &options.items {
            self.mixed(item);
            self.known(&item.name, &item.span, names::OPTIONS, "kind of option");
            // Options of a job as a whole, which a stage cannot have.
            let of_job = matches!(
                item.name.as_str(),
                "buildDiscarder"
                    | "disableConcurrentBuilds"
                    | "quietPeriod"
                    | "preserveStashes"
                    | "parallelsAlwaysFailFast"
                    | "skipStagesAfterUnstable"
                    | "disableResume"
                    | "durabilityHint"
                    | "disableRestartFromStage"
                    | "newContainerPerStage"
                    | "overrideIndexTriggers"
                    | "rateLimitBuilds"
            );
            if in_stage && of_job {
                self.fault(
                    &item.span,
                    format!("the option `{}` is of the pipeline, not of a stage", item.name),
                );
            }
        }
    }

    fn triggers(&mut self, triggers: &Items<'_>) {
        self.empty(triggers.items.is_empty(), &triggers.span, "triggers");
        self.unique(triggers.items.iter().map(|item| (item.name.as_str(), &item.span)), "trigger");
        for item in &triggers.items {
            self.mixed(item);
            self.known(&item.name, &item.span, names::TRIGGERS, "kind of trigger");
            let args = &item.call.args;
            if matches!(item.name.as_str(), "cron" | "pollSCM") && args.len() != 1 {
                self.fault(&item.span, format!("`{}` takes one argument", item.name));
            }
            for arg in args {
                match arg {
                    Arg::Value(Expr { kind: ExprKind::Call(call), span, .. })
                        if call.step() == Some("properties") =>
                    {
                        self.fault(span, "`properties` has no place here");
                    }
                    Arg::Named(entry) if item.name == "upstream" => {
                        let name = entry.key.as_ref().and_then(Expr::as_text).unwrap_or_default();
                        if !matches!(name, "upstreamProjects" | "threshold") {
                            self.fault(&item.span, format!("`upstream` has no argument `{name}`"));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn parameter(&mut self, item: &Item<'_>) {
        self.mixed(item);
        match names::PARAMETERS.iter().find(|(name, _)| *name == item.name) {
            Some((name, params)) => self.arguments(name, &item.span, &item.call.args, params),
            None => self.known(&item.name, &item.span, names::OTHER_PARAMETERS, "kind of parameter"),
        }
    }

    fn mixed(&mut self, item: &Item<'_>) {
        let named = item.call.args.iter().filter(|arg| matches!(arg, Arg::Named(_))).count();
        if named > 0 && named < item.call.args.len() {
            self.fault(&item.span, "arguments with and without names cannot be mixed");
        }
    }

    fn input(&mut self, input: &Input<'_>) {
        if !input.fields.iter().any(|(key, _)| key.text == "message") {
            self.fault(&input.span, "`input` needs a `message`");
        }
        input.parameters.iter().for_each(|item| self.parameter(item));
    }

    fn post(&mut self, post: &Post<'_>) {
        self.empty(post.conditions.is_empty(), &post.span, "post");
        self.unique(post.conditions.iter().map(|each| (each.name.as_str(), &each.span)), "condition");
        for condition in &post.conditions {
            if !names::POST.contains(&condition.name.as_str()) {
                let all = names::POST.join(", ");
                self.fault(
                    &condition.span,
                    format!("`{}` is not a condition of `post`; they are {all}", condition.name),
                );
            }
            self.branch(&condition.branch);
        }
    }

    fn branch(&mut self, branch: &Branch<'_>) {
        if branch.steps.is_empty() {
            self.fault(&branch.span, "there are no steps here");
        }
        branch.steps.iter().for_each(|step| self.step(step));
    }

    fn step(&mut self, step: &Step<'_>) {
        match &step.kind {
            StepKind::Code(_) => {}
            StepKind::Plain(call) => self.step_arguments(step, &call.args),
            StepKind::Tree(call, children) => {
                self.step_arguments(step, &call.args[..call.args.len() - 1]);
                children.iter().for_each(|child| self.step(child));
            }
        }
    }

    /// What Jenkins knows of the commonest steps.
    fn step_arguments(&mut self, step: &Step<'_>, args: &[Arg]) {
        if names::MISPLACED.contains(&step.name.as_str()) {
            self.fault(&step.span, format!("`{}` has no place among the steps of a stage", step.name));
        }
        if let Some((name, params)) = names::STEPS.iter().find(|(name, _)| *name == step.name) {
            self.arguments(name, &step.span, args, params);
        }
    }

    fn arguments(&mut self, of: &str, span: &Range<usize>, args: &[Arg], params: &[names::Param]) {
        let values = args.iter().filter(|arg| matches!(arg, Arg::Value(_))).count();
        let whole_map = matches!(args, [Arg::Value(Expr { kind: ExprKind::Map(_), .. })]);
        if values > 1 || (values == 1 && args.len() > 1) {
            self.fault(span, format!("the arguments of `{}` must be named", of));
            return;
        }
        if values == 1 && !whole_map {
            if let [Arg::Value(value)] = args {
                self.kind_of_argument(value, params[0]);
            }
            return;
        }
        for arg in args {
            let Arg::Named(entry) = arg else { continue };
            let Some(key) = entry.key.as_ref() else { continue };
            let Some(name) = key.as_text() else { continue };
            match params.iter().find(|param| param.name == name) {
                None if name == "$class" => {}
                None => {
                    let known: Vec<_> = params.iter().map(|param| param.name).collect();
                    self.fault(
                        &key.span,
                        format!("`{}` has no argument `{name}`; it has {}", of, known.join(", ")),
                    );
                }
                Some(param) => self.kind_of_argument(&entry.value, *param),
            }
        }
        let given = |name: &str| {
            whole_map
                || args.iter().any(|arg| {
                    matches!(arg, Arg::Named(entry) if entry.key.as_ref().and_then(Expr::as_text) == Some(name))
                })
        };
        for param in params.iter().filter(|param| param.required) {
            if !given(param.name) {
                self.fault(span, format!("`{}` needs the argument `{}`", of, param.name));
            }
        }
    }

    fn kind_of_argument(&mut self, value: &Expr, param: names::Param) {
        let wrong = match (param.kind, &value.kind) {
            (names::ParamKind::Text, ExprKind::Int(_) | ExprKind::Bool(_)) => "a string",
            (names::ParamKind::Number, ExprKind::Text(_) | ExprKind::Bool(_)) => "a number",
            (names::ParamKind::Flag, ExprKind::Text(_) | ExprKind::Int(_)) => "`true` or `false`",
            _ => return,
        };
        self.fault(&value.span, format!("the argument `{}` is {wrong}", param.name));
    }

    fn when(&mut self, when: &When<'_>) {
        self.empty(when.conditions.is_empty(), &when.span, "when");
        when.conditions.iter().for_each(|condition| self.condition(condition));
    }

    fn condition(&mut self, condition: &Condition<'_>) {
        let name = condition.name.as_str();
        if !names::WHEN.contains(&name) {
            let all = names::WHEN.join(", ");
            return self
                .fault(&condition.span, format!("`{name}` is not a condition of `when`; they are {all}"));
        }
        let nests = matches!(name, "allOf" | "anyOf" | "not");
        match &condition.kind {
            ConditionKind::Expression(_) => {}
            ConditionKind::Call(_) if nests => {
                self.fault(&condition.span, format!("`{name}` needs conditions in a block"));
            }
            ConditionKind::Call(call) => self.condition_args(condition, &call.args),
            ConditionKind::Nested(..) if !nests => {
                self.fault(&condition.span, format!("`{name}` holds no conditions"));
            }
            ConditionKind::Nested(call, children) => {
                if call.args.len() > 1 {
                    self.fault(&condition.span, format!("`{name}` takes conditions only, no arguments"));
                } else if name == "not" && children.len() != 1 {
                    self.fault(&condition.span, "`not` takes exactly one condition");
                } else {
                    self.empty(children.is_empty(), &condition.span, name);
                }
                children.iter().for_each(|child| self.condition(child));
            }
        }
    }

    fn condition_args(&mut self, condition: &Condition<'_>, args: &[Arg]) {
        let (required, known): (&[&str], &[&str]) = match condition.name.as_str() {
            "branch" => (&["pattern"], &["pattern", "comparator"]),
            "changelog" => (&["pattern"], &["pattern"]),
            "changeset" => (&["pattern"], &["pattern", "comparator", "caseSensitive"]),
            "environment" => (&["name", "value"], &["name", "value", "ignoreCase"]),
            "equals" => (&["actual", "expected"], &["actual", "expected"]),
            "triggeredBy" => (&["cause"], &["cause", "detail"]),
            "tag" => (&[], &["pattern", "comparator"]),
            "changeRequest" => (
                &[],
                &[
                    "id",
                    "target",
                    "branch",
                    "fork",
                    "url",
                    "title",
                    "author",
                    "authorDisplayName",
                    "authorEmail",
                    "comparator",
                ],
            ),
            _ => (&[], &[]),
        };
        let mut named = Vec::new();
        for arg in args {
            match arg {
                Arg::Named(entry) => {
                    let Some(key) = entry.key.as_ref() else { continue };
                    let Some(name) = key.as_text() else { continue };
                    if known.contains(&name) {
                        named.push(name);
                    } else {
                        self.fault(&key.span, format!("`{}` has no argument `{name}`", condition.name));
                    }
                }
                Arg::Value(value) => {
                    if args.len() > 1
                        || required.len() > 1
                        || (required.is_empty() && condition.name != "tag")
                    {
                        self.fault(
                            &value.span,
                            format!("the arguments of `{}` must be named", condition.name),
                        );
                        return;
                    }
                    if matches!(value.kind, ExprKind::Int(_) | ExprKind::Bool(_)) {
                        self.fault(&value.span, format!("`{}` takes a string", condition.name));
                    }
                    return;
                }
            }
        }
        for name in required {
            if !named.contains(name) {
                self.fault(&condition.span, format!("`{}` needs the argument `{name}`", condition.name));
            }
        }
    }

    fn agent(&mut self, agent: &Agent<'_>) {
        let Some(kind) = &agent.kind else { return };
        let name = kind.text.as_str();
        if matches!(name, "any" | "none") {
            return;
        }
        // Plugins bring kinds of their own: `kubernetes` is the one that everybody knows.
        let Some((_, known)) = names::AGENTS.iter().find(|(agent, _)| *agent == name) else {
            if name != "kubernetes" {
                let all: Vec<_> = names::AGENTS.iter().map(|(agent, _)| *agent).collect();
                self.fault(
                    &kind.span,
                    format!(
                        "`{name}` is not a kind of agent; they are any, none, kubernetes, {}",
                        all.join(", ")
                    ),
                );
            }
            return;
        };
        let AgentConfig::Map(map) = &agent.config else { return };
        for (key, value) in map {
            if !known.contains(&key.text.as_str()) {
                let known = known.join(", ");
                self.fault(
                    &key.span,
                    format!("the agent `{name}` has no option `{}`; it has {known}", key.text),
                );
            }
            if let Config::Map(_) = value {
                self.fault(&key.span, format!("the option `{}` takes a value, not a block", key.text));
            }
        }
        let required = names::REQUIRED_BY_AGENT.iter().find(|(agent, _)| *agent == name);
        if let Some((_, required)) = required
            && !map.iter().any(|(key, _)| key.text == *required)
        {
            self.fault(&kind.span, format!("the agent `{name}` needs the option `{required}`"));
        }
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}

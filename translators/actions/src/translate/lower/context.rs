//! Contexts: what GitHub knows of a run, and where the shell finds it.

use super::{
    super::{
        github,
        shell::{Lowered, ShellText, variable_name},
    },
    Lowerer, Nothing, Outputs,
};
use runspan_expressions::{Expr, Kind, Value, evaluate};

impl Lowerer<'_> {
    pub(super) fn context(&self, expr: &Expr) -> Lowered {
        if let Some(path) = expr.path() {
            return self.path(&path);
        }
        // A value that is known has parts that are known.
        if let Kind::Index(inner, index) = &expr.kind
            && let (Lowered::Known(inner), Lowered::Known(index)) =
                (self.expr_quietly(inner), self.expr(index))
        {
            let parts = [inner, index].map(|value| Box::new(Expr::new(Kind::Literal(value), 0..0)));
            let [inner, index] = parts;
            let whole = Expr::new(Kind::Index(inner, index), 0..0);
            return Lowered::Known(evaluate(&whole, &Nothing).unwrap_or_default());
        }
        if let Kind::Star(inner) = &expr.kind
            && let Lowered::Known(inner) = self.expr_quietly(inner)
        {
            let whole = Expr::new(Kind::Star(Box::new(Expr::new(Kind::Literal(inner), 0..0))), 0..0);
            return Lowered::Known(evaluate(&whole, &Nothing).unwrap_or_default());
        }
        let mut names = Vec::new();
        expr.visit(&mut |expr| match &expr.kind {
            Kind::Context(name) => names.insert(0, name.clone()),
            Kind::Literal(value) => names.push(value.to_text().to_string()),
            _ => {}
        });
        let name = variable_name(&names.join("_"));
        self.unknown(format!(
            "`{}` is only known on GitHub: give it as the variable {name}",
            names.join(".")
        ));
        Lowered::Text(ShellText::variable(&name))
    }

    /// A part that may be unknown without anybody having to see to it.
    fn expr_quietly(&self, expr: &Expr) -> Lowered {
        let before = self.findings.borrow().clone();
        let lowered = self.expr(expr);
        if !matches!(lowered, Lowered::Known(_)) {
            self.findings.replace(before);
        }
        lowered
    }

    fn path(&self, path: &[&str]) -> Lowered {
        let lower: Vec<String> = path.iter().map(|name| name.to_ascii_lowercase()).collect();
        let names: Vec<&str> = lower.iter().map(String::as_str).collect();
        match (names.as_slice(), path) {
            (["github", "event", "inputs", _, ..] | ["inputs", _, ..], _) => {
                let name = path.last().copied().unwrap_or_default();
                self.scene
                    .inputs
                    .get(&name.to_ascii_lowercase())
                    .cloned()
                    .unwrap_or(Lowered::Known(Value::Null))
            }
            (["github", "event"], _) => self.host_only(path),
            (["github", "event", ..], [_, _, rest @ ..]) => match github::event(rest) {
                Some((inside, difference)) => {
                    difference.into_iter().for_each(|difference| self.differs(difference));
                    let known = !inside.contains('$');
                    if known {
                        Lowered::Known((inside == "true").into())
                    } else {
                        Lowered::Text(ShellText::new(inside))
                    }
                }
                None => self.host_only(path),
            },
            (["github", "workflow" | "job"], [_, name]) => {
                let value = if name.eq_ignore_ascii_case("job") { self.scene.job.as_str() } else { "" };
                if value.is_empty() {
                    self.needed.borrow_mut().github.insert("GITHUB_WORKFLOW");
                    return Lowered::Text(ShellText::variable("GITHUB_WORKFLOW"));
                }
                Lowered::Known(value.into())
            }
            (["github", "token"], _) | (["secrets", "github_token"], _) => {
                self.given("GITHUB_TOKEN", "secret")
            }
            (["github", name], _) => match github::by_context(name) {
                Some(given) => {
                    self.needed.borrow_mut().github.insert(given.variable);
                    given.difference.into_iter().for_each(|difference| self.differs(difference));
                    Lowered::Text(ShellText::variable(given.variable))
                }
                None => self.host_only(path),
            },
            (["runner", "os"], _) if self.scene.os.is_some() => {
                Lowered::Known(self.scene.os.unwrap_or_default().into())
            }
            (["runner", "arch"], _) if self.scene.arch.is_some() => {
                Lowered::Known(self.scene.arch.unwrap_or_default().into())
            }
            (["runner", "temp"], _) => Lowered::Known("/tmp".into()),
            (["runner", "tool_cache"], _) => Lowered::Known("/opt/hostedtoolcache".into()),
            (["runner", "workspace"], _) => Lowered::Text(ShellText::new("${CODEBUILD_SRC_DIR%/*}")),
            (["runner", "debug"], _) => Lowered::Known("".into()),
            (["secrets", _], [_, name]) => self.given(name, "secret"),
            (["vars", _], [_, name]) => self.given(name, "variable"),
            (["env", _], [_, name]) => match self.scene.env.get(*name) {
                Some(_)
                    if (self.by_name.get() || self.scene.changing.contains(*name))
                        && !self.scene.local.contains(*name) =>
                {
                    Lowered::Text(ShellText::variable(name))
                }
                Some(known) => known.clone(),
                None => Lowered::Text(ShellText::variable(name)),
            },
            (["matrix", ..], [_, rest @ ..]) => self.matrix(rest),
            (["steps", _, "outputs", _], [_, id, _, output]) => self.output(id, output),
            (["steps", _, "outcome" | "conclusion"], [_, id, _]) => {
                if self.scene.keeps_steps {
                    return Lowered::Text(ShellText::new(format!("${{{{ {} }}}}", path.join("."))));
                }
                let id = variable_name(&format!("{}{id}", self.scene.prefix));
                Lowered::Text(ShellText::new(format!("${{STEP_{id}_OUTCOME:-success}}")))
            }
            (["needs", _, "outputs", _], [_, job, _, output]) => {
                let name = variable_name(&format!("needs_{job}_{output}"));
                if let Some(identifier) = self.scene.handing.get(&job.to_ascii_lowercase()) {
                    self.needed.borrow_mut().outputs_of.insert(identifier.clone());
                    self.differs(
                        "runspan hands it on with the artifacts of the earlier build, AWS needs S3 for it",
                    );
                    return Lowered::Text(ShellText::variable(&name));
                }
                self.unknown(format!(
                    "a batch hands nothing from build to build: job `{job}` exports {name}, give it to this one"
                ));
                Lowered::Text(ShellText::variable(&name))
            }
            (["needs", _, "result"], _) => {
                if self.scene.after_success {
                    return Lowered::Known("success".into());
                }
                self.differs("a batch starts a build only after those before it succeeded");
                Lowered::Known("success".into())
            }
            (["job", "status"], _) => Lowered::Text(ShellText::new(
                "$(if [ \"$CODEBUILD_BUILD_SUCCEEDING\" = 1 ]; then echo success; else echo failure; fi)",
            )),
            _ => self.host_only(path),
        }
    }

    fn given(&self, name: &str, what: &str) -> Lowered {
        self.needed.borrow_mut().given.insert(name.to_owned());
        self.differs(format!("the {what} {name} must be given as a variable of the build"));
        Lowered::Text(ShellText::variable(name))
    }

    fn host_only(&self, path: &[&str]) -> Lowered {
        let name = variable_name(&path.join("_"));
        self.unknown(format!("`{}` is only known on GitHub: give it as the variable {name}", path.join(".")));
        Lowered::Text(ShellText::variable(&name))
    }

    fn matrix(&self, path: &[&str]) -> Lowered {
        let Some(values) = path.first().and_then(|name| {
            self.scene.matrix.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, values)| values)
        }) else {
            // A name that only some legs have is empty in the others.
            if self.scene.matrix.is_empty() {
                return Lowered::Text(ShellText::variable(&variable_name(&format!(
                    "matrix_{}",
                    path.join("_")
                ))));
            }
            return Lowered::Known(Value::Null);
        };
        let inner: Vec<Value> = values.iter().map(|value| below(value, &path[1..])).collect();
        match inner.as_slice() {
            [first, rest @ ..] if rest.iter().all(|value| value == first) && first.is_primitive() => {
                Lowered::Known(first.clone())
            }
            values => {
                let boolean = values.iter().all(|value| matches!(value, Value::Boolean(_) | Value::Null));
                let name = variable_name(&format!("matrix_{}", path.join("_")));
                Lowered::Text(ShellText { inside: format!("${name}"), boolean })
            }
        }
    }

    fn output(&self, id: &str, output: &str) -> Lowered {
        match self.scene.steps.get(&id.to_ascii_lowercase()) {
            _ if self.scene.keeps_steps => {
                Lowered::Text(ShellText::new(format!("${{{{ steps.{id}.outputs.{output} }}}}")))
            }
            Some(Outputs::Script) => {
                Lowered::Text(ShellText::variable(&output_variable(&self.scene.prefix, id, output)))
            }
            Some(Outputs::Native(outputs)) => match outputs.get(output) {
                Some(lowered) => lowered.clone(),
                None => {
                    let name = output_variable(&self.scene.prefix, id, output);
                    self.unknown(format!(
                        "the output `{output}` of step `{id}` has no counterpart: set {name}"
                    ));
                    Lowered::Text(ShellText::variable(&name))
                }
            },
            Some(Outputs::Engine) | None => {
                let name = output_variable(&self.scene.prefix, id, output);
                self.unknown(format!("step `{id}` gives no output `{output}` here: set {name}"));
                Lowered::Text(ShellText::variable(&name))
            }
        }
    }
}

/// The variable of a step's output.
pub(crate) fn output_variable(prefix: &str, id: &str, output: &str) -> String {
    variable_name(&format!("step_{prefix}{id}_{output}"))
}

fn below(value: &Value, path: &[&str]) -> Value {
    let mut value = value.clone();
    for name in path {
        value = match &value {
            Value::Object(object) => object.get(name).cloned().unwrap_or_default(),
            _ => Value::Null,
        };
    }
    value
}

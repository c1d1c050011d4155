//! What an expression of a step can ask for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use runspan_expressions::{Contexts, Expr, Function, Kind, Object, Scope, Template, Value};
use serde::Deserialize as _;
use serde_json::Value as Json;

use super::contexts::JobContexts;
use super::job::{JobStatus, Records, Variables};

/// Contexts that do not change from step to step.
#[derive(Debug)]
pub(crate) struct Fixed {
    contexts: IndexMap<&'static str, Value>,
}

impl Fixed {
    /// Of a job, with `github` and `runner` completed by what is known here.
    pub(crate) fn new(job: &JobContexts, github: &[(&str, String)], runner: &[(&str, String)]) -> Self {
        let secrets =
            job.secrets.iter().map(|secret| (secret.name.clone(), Value::from(secret.value.reveal())));
        let secrets = Value::object(secrets.collect::<Vec<_>>());
        let strings = |pairs: &[(&str, String)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
                .collect::<Vec<_>>()
        };
        let token = job.secrets.iter().find(|secret| secret.name.eq_ignore_ascii_case("github_token"));
        let token = token.map(|token| ("token".to_owned(), Value::from(token.value.reveal())));
        let contexts = IndexMap::from([
            ("github", merged(&job.github, strings(github).into_iter().chain(token))),
            ("vars", merged(&job.vars, [])),
            ("inputs", merged(&job.inputs, [])),
            ("matrix", value(&job.matrix)),
            ("strategy", merged(&job.strategy, [])),
            ("needs", merged(&job.needs, [])),
            ("job", merged(&job.job, [])),
            ("runner", merged(&Json::Null, strings(runner).into_iter().chain(members(&job.runner)))),
            ("secrets", secrets),
        ]);
        Self { contexts }
    }

    fn get(&self, name: &str) -> Value {
        self.contexts.get(name).cloned().unwrap_or_default()
    }

    /// The plain members of `github`, which every process is given as variables.
    pub(crate) fn github(&self) -> Vec<(String, String)> {
        const HIDDEN: [&str; 6] = [
            "token",
            "event",
            "secret_source",
            "repositoryurl",
            "repository_visibility",
            "artifact_cache_size_limit",
        ];
        let Value::Object(github) = self.get("github") else { return Vec::new() };
        github
            .iter()
            .filter(|(name, value)| {
                value.is_primitive() && !HIDDEN.contains(&name.to_ascii_lowercase().as_str())
            })
            .map(|(name, value)| (name.to_owned(), value.to_text().to_string()))
            .collect()
    }

    /// The texts of `runner`.
    pub(crate) fn runner(&self) -> Vec<(String, String)> {
        let Value::Object(runner) = self.get("runner") else { return Vec::new() };
        let text = |value: &Value| matches!(value, Value::String(_));
        runner
            .iter()
            .filter(|(_, value)| text(value))
            .map(|(name, value)| (name.to_owned(), value.to_text().to_string()))
            .collect()
    }
}

/// JSON as a value.
pub(crate) fn value(json: &Json) -> Value {
    // Whatever is JSON is a value.
    Value::deserialize(json).unwrap_or_default()
}

fn merged(json: &Json, more: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::object(members(json).into_iter().chain(more))
}

fn members(json: &Json) -> Vec<(String, Value)> {
    match json {
        Json::Object(members) => members.iter().map(|(name, json)| (name.clone(), value(json))).collect(),
        _ => Vec::new(),
    }
}

/// One place where expressions stand.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) fixed: &'a Fixed,
    pub(crate) env: &'a Variables,
    pub(crate) steps: &'a Records,
    /// `inputs` of the action that the step is in.
    pub(crate) inputs: Option<&'a Value>,
    /// Members of `github` that change from step to step.
    pub(crate) github: &'a [(&'static str, String)],
    /// How the job stands.
    pub(crate) job: JobStatus,
    /// What `success()` and `failure()` go by.
    pub(crate) status: JobStatus,
    /// Digests of files, by their patterns.
    pub(crate) hashes: &'a BTreeMap<Vec<String>, String>,
    /// Patterns whose digest is not there yet.
    pub(crate) wanted: RefCell<BTreeSet<Vec<String>>>,
}

impl Contexts for Scene<'_> {
    fn context(&self, name: &str) -> Value {
        let text = |(name, value): (&String, &String)| (name.clone(), Value::from(value.as_str()));
        match name.to_ascii_lowercase().as_str() {
            "env" => Value::Object(Object::case_sensitive(self.env.iter().map(text)).into()),
            "steps" => Value::object(self.steps.iter().map(|(id, record)| {
                let outputs = Value::object(record.outputs.iter().map(text));
                let of = [
                    ("outputs", outputs),
                    ("outcome", record.outcome.name().into()),
                    ("conclusion", record.conclusion.name().into()),
                ];
                (id.clone(), Value::object(of))
            })),
            "inputs" if self.inputs.is_some() => self.inputs.cloned().unwrap_or_default(),
            "github" => {
                with(&self.fixed.get("github"), self.github.iter().map(|(k, v)| (*k, v.as_str().into())))
            }
            "job" => with(&self.fixed.get("job"), [("status", self.job.name().into())]),
            other => self.fixed.get(other),
        }
    }

    fn status(&self, function: Function) -> Result<bool, String> {
        Ok(match function {
            Function::Always => true,
            Function::Cancelled => self.job == JobStatus::Cancelled,
            Function::Failure => self.status == JobStatus::Failure,
            _ => self.status == JobStatus::Success,
        })
    }

    fn hash_files(&self, patterns: &[String]) -> Result<String, String> {
        match self.hashes.get(patterns) {
            Some(digest) => Ok(digest.clone()),
            None => {
                self.wanted.borrow_mut().insert(patterns.to_vec());
                Err("the files are not hashed yet".into())
            }
        }
    }
}

fn with<'a>(object: &Value, more: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let Value::Object(object) = object else { return Value::object(more) };
    let given = object.iter().map(|(name, value)| (name.to_owned(), value.clone()));
    Value::object(given.chain(more.into_iter().map(|(name, value)| (name.to_owned(), value))))
}

/// A text with expressions in it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn template(text: &str) -> Result<Template, String> {
    Template::parse(text, Scope::STEP).map_err(|error| format!("The template is not valid. {text}: {error}"))
}

/// A step's condition, `success()` where it does not ask how the job goes.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn condition(text: Option<&str>, default: &str) -> Result<Template, String> {
    let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(default);
    let read = |text: &str| {
        Template::parse_condition(text, Scope::STEP)
            .map_err(|error| format!("The condition is not valid. {text}: {error}"))
    };
    let given = read(text)?;
    if given.asks_status() || given.literal().is_some() {
        return Ok(given);
    }
    let Some(text) = alone(&given) else { return Ok(given) };
    read(&format!("success() && ({text})"))
}

/// The text of a lone expression.
fn alone(template: &Template) -> Option<&str> {
    match template.segments.as_slice() {
        [runspan_expressions::Segment::Expression { text, .. }] => Some(text),
        _ => None,
    }
}

/// Names of variables that a text asks `env` for.
pub(crate) fn env_names(template: &Template) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for expr in template.expressions() {
        expr.visit(&mut |expr| {
            if let Kind::Index(inner, index) = &expr.kind
                && matches!(&inner.kind, Kind::Context(name) if name.eq_ignore_ascii_case("env"))
                && let Expr { kind: Kind::Literal(Value::String(name)), .. } = &**index
            {
                names.insert(name.to_string());
            }
        });
    }
    names
}

#[cfg(test)]
mod tests {
    use runspan_agent_protocol::{StepResult, Variable};

    use super::*;
    use crate::steps::job::Record;

    fn evaluated(text: &str, status: JobStatus) -> String {
        let job = JobContexts {
            github: serde_json::json!({"ref": "refs/heads/main", "event": {"number": 3}}),
            matrix: serde_json::json!({"os": "x"}),
            secrets: vec![Variable::new("GITHUB_TOKEN", "t0ken")],
            ..JobContexts::default()
        };
        let fixed = Fixed::new(&job, &[("workspace", "/w".into())], &[("os", "Linux".into())]);
        let outputs = BTreeMap::from([("o".to_owned(), "1".to_owned())]);
        let record = Record { outcome: StepResult::Failure, conclusion: StepResult::Success, outputs };
        let scene = Scene {
            fixed: &fixed,
            env: &Variables::from([("A".to_owned(), "b".to_owned())]),
            steps: &Records::from([("one".to_owned(), record)]),
            inputs: None,
            github: &[("action", "__run".into())],
            job: status,
            status,
            hashes: &BTreeMap::from([(vec!["*".to_owned()], "d1gest".to_owned())]),
            wanted: RefCell::default(),
        };
        template(text).unwrap().evaluate(&scene).unwrap().to_text().to_string()
    }

    #[test]
    fn every_context_is_there() {
        for (text, expected) in [
            (
                "${{ github.ref }} ${{ github.workspace }} ${{ github.action }} ${{ github.token }}",
                "refs/heads/main /w __run t0ken",
            ),
            (
                "${{ github.event.number }}${{ matrix.os }}${{ runner.os }}${{ secrets.github_token }}",
                "3xLinuxt0ken",
            ),
            ("${{ env.A }}${{ env.a }}${{ vars.none }}", "b"),
            (
                "${{ steps.one.outputs.o }} ${{ steps.ONE.outcome }} ${{ steps.one.conclusion }}",
                "1 failure success",
            ),
            (
                "${{ job.status }} ${{ success() }} ${{ failure() }} ${{ always() }}",
                "failure false true true",
            ),
            ("${{ hashFiles('*') }}", "d1gest"),
        ] {
            assert_eq!(evaluated(text, JobStatus::Failure), expected, "{text}");
        }
    }

    #[test]
    fn a_condition_waits_for_success_unless_it_asks() {
        for (text, expected) in [
            (None, "success()"),
            (Some("a == 'b'"), "x"),
            (Some("${{ env.A }}"), "success() && (env.A)"),
            (Some("failure() && env.A"), "failure() && env.A"),
        ] {
            match condition(text, "success()") {
                Ok(template) => assert_eq!(alone(&template), Some(expected)),
                Err(error) => assert!(error.contains("Unrecognized named-value: 'a'"), "{error}"),
            }
        }
    }

    #[test]
    fn variables_asked_for_are_found() {
        let found =
            env_names(&template("${{ env.A }} ${{ format('{0}', env['B']) }} ${{ github.env.C }}").unwrap());
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["A", "B"]);
    }
}

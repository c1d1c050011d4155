//! A job.

use std::fmt;

use indexmap::IndexMap;
use runspan_buildspec::{Buildspec, Phase, Work};
use serde_json::Value as Json;

use super::container::{self, Container};
use super::context::{self, Known};
use super::step::{self, StepInfo};
use super::token::Token;
use super::{MessageError, environment};
use crate::expressions::{Scope, Template, Value};

/// Names of variables whose values are masked by nobody: they switch debugging on.
const NOT_SECRET: &[&str] = &["ACTIONS_STEP_DEBUG", "ACTIONS_RUNNER_DEBUG"];
/// Secret variables that are no secrets of the workflow's author.
const NOT_AUTHORS: &[&str] = &["system.accesstoken", "system.github.token"];

/// A text that never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a message is about.
#[derive(Clone)]
pub struct Job {
    /// `phases.build.steps` are the job's, with their expressions; `env.variables` are the job's own.
    pub buildspec: Buildspec,
    /// Variables of the job that hold secrets, and so stand in no buildspec.
    pub secret_variables: Vec<(String, Hidden)>,
    /// The steps, in the order of the buildspec's.
    pub steps: Vec<StepInfo>,
    /// `container`.
    pub container: Option<Container>,
    /// `services`: alias to container.
    pub services: Vec<(String, Container)>,
    /// What must not be seen.
    pub masks: Vec<Hidden>,
    /// Shapes of what must not be seen: regular expressions in .NET's syntax.
    pub mask_patterns: Vec<Hidden>,
    /// github, inputs, job, matrix, needs, runner, secrets, strategy, vars; env as the job has it.
    pub contexts: Known,
    /// `outputs`: name to template.
    pub outputs: IndexMap<String, String>,
    /// Name and URL template of `environment`.
    pub environment: Option<(String, Option<String>)>,
    /// What is to be said of the message itself.
    pub warnings: Vec<String>,
}

/// Facts of the runner that the message does not have: the `runner` context.
pub type RunnerFacts<'a> = &'a [(&'a str, &'a str)];

/// Reads the message of a job.
///
/// # Errors
/// [`MessageError`].
pub fn read(message: &Json, runner: RunnerFacts<'_>) -> Result<Job, MessageError> {
    let mut known = Known::default();
    if let Some(Json::Object(contexts)) = message.get("contextData") {
        for (name, value) in contexts {
            known.insert(name, context::read(value)?);
        }
    }
    let variables = Variables::read(message);
    add_github(&mut known, &variables);
    let facts = runner.iter().map(|(name, value)| (*name, Value::from(*value)));
    known.insert("runner", Value::object(facts));
    let secrets = variables.secrets().map(|(name, value)| (name.to_owned(), value.into()));
    known.insert("secrets", Value::object(secrets.collect::<Vec<_>>()));

    let mut buildspec = Buildspec::default();
    buildspec.env.variables.extend(environment::variables(&known));
    let mut secret_variables = Vec::new();
    let mut env: Vec<(String, Value)> = Vec::new();
    for token in tokens(message, "environmentVariables")? {
        let Token::Mapping(pairs) = token else { continue };
        for (key, value) in pairs {
            let at = |error: crate::expressions::Error| MessageError::Expression {
                place: "env".into(),
                reason: error.to_string(),
            };
            let name = key.evaluate(&known).map_err(at)?.to_text().to_string();
            let is_secret = value.names("secrets") || mentions_token(&value);
            let text = value.evaluate(&known).map_err(at)?.to_text().to_string();
            env.retain(|(other, _)| *other != name);
            env.push((name.clone(), text.as_str().into()));
            secret_variables.retain(|(other, _): &(String, Hidden)| *other != name);
            buildspec.env.variables.shift_remove(&name);
            if is_secret {
                secret_variables.push((name, Hidden(text)));
            } else {
                buildspec.env.variables.insert(name, text);
            }
        }
    }
    known.insert("env", Value::Object(crate::expressions::Object::case_sensitive(env).into()));

    let defaults = tokens(message, "defaults")?;
    // A later `run` takes the place of an earlier one, whole.
    let run = defaults.iter().rev().find_map(|token| token.get("run")).filter(|run| !run.is_empty());
    let wire = message.get("steps").and_then(Json::as_array);
    let wire = wire.ok_or(MessageError::Missing { member: "steps" })?;
    let mut work = Vec::with_capacity(wire.len());
    let mut steps = Vec::with_capacity(wire.len());
    for json in wire {
        let (step, info) = step::read(json, &known, run)?;
        work.push(step);
        steps.push(info);
    }
    buildspec.phases.build = Some(Phase { work: Work::Steps(work), ..Phase::default() });

    let optional = |name: &str| message.get(name).filter(|json| !json.is_null()).map(Token::read).transpose();
    let container = match optional("jobContainer")? {
        Some(token) => container::read(&token, &known, "container")?.filter(|found| !found.image.is_empty()),
        None => None,
    };
    let services = match optional("jobServiceContainers")? {
        Some(token) => container::services(&token, &known)?,
        None => Vec::new(),
    };
    let outputs = match optional("jobOutputs")? {
        Some(Token::Mapping(pairs)) => {
            pairs.iter().map(|(name, value)| (name.to_template(), value.to_template())).collect()
        }
        _ => IndexMap::new(),
    };
    let environment = message.get("actionsEnvironment").filter(|json| !json.is_null()).map(|json| {
        let url = json.get("url").filter(|url| !url.is_null()).and_then(|url| Token::read(url).ok());
        let name = json.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
        (name, url.map(|url| url.to_template()))
    });
    let mut masks: Vec<Hidden> = variables.masked().map(|value| Hidden(value.to_owned())).collect();
    masks.extend(container.iter().chain(services.iter().map(|(_, service)| service)).filter_map(
        |container| container.credentials.as_ref().map(|credentials| credentials.password.clone()),
    ));
    Ok(Job {
        buildspec,
        secret_variables,
        steps,
        container,
        services,
        masks: masks.into_iter().filter(|mask| !mask.0.trim().is_empty()).collect(),
        mask_patterns: patterns(message),
        contexts: known,
        outputs,
        environment,
        warnings: Vec::new(),
    })
}

impl Job {
    /// The value of a template, with contexts that the job's end has beside those of its start.
    ///
    /// # Errors
    /// In GitHub's words.
    pub fn evaluate(&self, template: &str, more: &[(&str, Value)]) -> Result<Value, String> {
        let mut known = self.contexts.clone();
        for (name, value) in more {
            known.insert(name, value.clone());
        }
        let template = Template::parse(template, Scope::STEP).map_err(|error| error.to_string())?;
        template.evaluate(&known).map_err(|error| error.to_string())
    }
}

fn tokens(message: &Json, name: &str) -> Result<Vec<Token>, MessageError> {
    message.get(name).and_then(Json::as_array).into_iter().flatten().map(Token::read).collect()
}

/// Whether a value is made of the job's token, which is a secret by another name.
fn mentions_token(token: &Token) -> bool {
    token.names("github") && token.to_template().to_ascii_lowercase().contains("token")
}

fn patterns(message: &Json) -> Vec<Hidden> {
    let masks = message.get("mask").and_then(Json::as_array).into_iter().flatten();
    masks
        .filter(|mask| match mask.get("type") {
            Some(Json::String(kind)) => kind.eq_ignore_ascii_case("regex"),
            Some(kind) => kind.as_u64() == Some(2),
            None => false,
        })
        .filter_map(|mask| mask.get("value")?.as_str())
        .map(Hidden::new)
        .collect()
}

/// What the runner itself adds to the github context.
fn add_github(known: &mut Known, variables: &Variables<'_>) {
    let mut members: Vec<(String, Value)> = match known.get("github") {
        Some(Value::Object(github)) => {
            github.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
        }
        _ => Vec::new(),
    };
    for (member, variable) in [("token", "system.github.token"), ("job", "system.github.job")] {
        if let Some(value) = variables.get(variable) {
            members.push((member.to_owned(), value.into()));
        }
    }
    known.insert("github", Value::object(members));
}

/// `variables`: names in any case.
struct Variables<'a>(Vec<(&'a str, &'a str, bool)>);

impl<'a> Variables<'a> {
    fn read(message: &'a Json) -> Self {
        let members = message.get("variables").and_then(Json::as_object).into_iter().flatten();
        Self(
            members
                .filter_map(|(name, json)| {
                    let secret = json.get("isSecret").and_then(Json::as_bool).unwrap_or_default();
                    Some((name.as_str(), json.get("value")?.as_str()?, secret))
                })
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, ..)| other.eq_ignore_ascii_case(name)).map(|(_, value, _)| *value)
    }

    /// The `secrets` context.
    fn secrets(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let is_authors = |name: &str| !NOT_AUTHORS.contains(&name.to_ascii_lowercase().as_str());
        self.0
            .iter()
            .filter(move |(name, _, secret)| *secret && is_authors(name))
            .map(|(name, value, _)| (*name, *value))
    }

    /// Values that must not be seen, each of their lines as well.
    fn masked(&self) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(|(name, _, secret)| {
                *secret && !NOT_SECRET.iter().any(|other| other.eq_ignore_ascii_case(name))
            })
            .flat_map(|(_, value, _)| {
                let lines = value.lines().map(str::trim_end).filter(move |line| line.len() < value.len());
                std::iter::once(*value).chain(lines)
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message() -> Json {
        json!({
            "steps": [{"reference": {"type": "script"}, "id": "1", "contextName": "a",
                "inputs": {"type": 2, "map": [{"Key": "script", "Value": "make"}]}}],
            "variables": {
                "system.github.token": {"value": "ghs_x", "isSecret": true},
                "system.github.job": {"value": "build"},
                "KEY": {"value": "line one\nline two", "isSecret": true},
                "ACTIONS_STEP_DEBUG": {"value": "true", "isSecret": true},
            },
            "mask": [{"type": "regex", "value": "gh[s]_x"}, {"type": "variable", "value": "no"}],
            "environmentVariables": [
                {"type": 2, "map": [{"Key": "A", "Value": "outer"}, {"Key": "B", "Value": {"type": 3, "expr": "matrix.os"}}]},
                {"type": 2, "map": [{"Key": "A", "Value": {"type": 3, "expr": "secrets.KEY"}}]},
            ],
            "defaults": [
                {"type": 2, "map": [{"Key": "run", "Value": {"type": 2, "map": [{"Key": "shell", "Value": "bash"}]}}]},
                {"type": 2, "map": [{"Key": "run", "Value": {"type": 2, "map": [{"Key": "working-directory", "Value": "sub"}]}}]},
            ],
            "jobContainer": {"type": 3, "expr": "format('{0}:1', matrix.os)"},
            "jobServiceContainers": {"type": 2, "map": [
                {"Key": "db", "Value": {"type": 2, "map": [{"Key": "image", "Value": "pg"},
                    {"Key": "ports", "Value": {"type": 1, "seq": [5432]}},
                    {"Key": "credentials", "Value": {"type": 2, "map": [{"Key": "username", "Value": "u"}, {"Key": "password", "Value": "pw"}]}}]}},
                {"Key": "off", "Value": {"type": 2, "map": [{"Key": "image", "Value": ""}]}},
            ]},
            "jobOutputs": {"type": 2, "map": [{"Key": "o", "Value": {"type": 3, "expr": "steps.a.outputs.v"}}]},
            "contextData": {
                "github": {"t": 2, "d": [{"k": "repository", "v": "o/r"}, {"k": "ref", "v": "refs/heads/main"}]},
                "matrix": {"t": 2, "d": [{"k": "os", "v": "debian"}]},
            },
        })
    }

    #[test]
    fn a_message_is_a_buildspec_and_what_is_beside_it() {
        let job = read(&message(), &[("os", "Linux")]).unwrap();
        let variables = &job.buildspec.env.variables;
        let value = |name: &str| variables.get(name).map(String::as_str);
        assert_eq!((value("B"), value("A")), (Some("debian"), None));
        assert_eq!((value("GITHUB_REPOSITORY"), value("GITHUB_JOB")), (Some("o/r"), Some("build")));
        assert_eq!(value("RUNNER_OS"), Some("Linux"));
        assert_eq!(job.secret_variables[0].0, "A");
        assert_eq!(job.secret_variables[0].1.reveal(), "line one\nline two");
        let Some(Work::Steps(steps)) = job.buildspec.phases.build.as_ref().map(|phase| &phase.work) else {
            panic!()
        };
        let runspan_buildspec::StepAction::Run { shell, working_directory, .. } = &steps[0].action else {
            panic!()
        };
        assert_eq!((shell.as_deref(), working_directory.as_deref()), (None, Some("sub")));
        assert_eq!(job.container.as_ref().unwrap().image, "debian:1");
        assert_eq!(job.services.len(), 1);
        assert_eq!(job.services[0].1.ports, ["5432"]);
        assert_eq!(job.outputs["o"], "${{ steps.a.outputs.v }}");
        assert_eq!(job.mask_patterns.len(), 1);
    }

    #[test]
    fn every_secret_and_each_of_its_lines_is_masked_and_none_is_shown() {
        let job = read(&message(), &[]).unwrap();
        let masks: Vec<&str> = job.masks.iter().map(Hidden::reveal).collect();
        for expected in ["ghs_x", "line one\nline two", "line one", "line two", "pw"] {
            assert!(masks.contains(&expected), "{expected}");
        }
        assert!(!masks.contains(&"true"));
        assert_eq!(format!("{:?}", job.masks[0]), "***");
    }

    #[test]
    fn templates_are_evaluated_at_the_end_with_what_is_known_then() {
        let job = read(&message(), &[]).unwrap();
        let steps = Value::from_json(r#"{"a": {"outputs": {"v": "42"}}}"#).unwrap();
        assert_eq!(&*job.evaluate(&job.outputs["o"], &[("steps", steps)]).unwrap().to_text(), "42");
        assert_eq!(&*job.evaluate("${{ secrets.key }}", &[]).unwrap().to_text(), "line one\nline two");
    }

    #[test]
    fn what_is_no_job_is_refused() {
        assert!(matches!(read(&json!({}), &[]), Err(MessageError::Missing { member: "steps" })));
        let mut wrong = message();
        wrong["environmentVariables"][0]["map"][0]["Value"] = json!({"type": 3, "expr": "1 +"});
        let Err(error) = read(&wrong, &[]) else { panic!() };
        assert!(error.to_string().starts_with("env: "), "{error}");
    }
}

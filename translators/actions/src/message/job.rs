//! A job.

use std::fmt;

use indexmap::IndexMap;
use runspan_buildspec::{Buildspec, Phase, Work};
use serde_json::Value as Json;

use super::container::{self, Container};
use super::context::{self, Known};
use super::step::{self, StepInfo};
use super::token::Token;
use super::{MessageError, services};
use runspan_expressions::Value;

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
    /// `phases.build.steps` are the job's, with their expressions.
    pub buildspec: Buildspec,
    /// The steps, in the order of the buildspec's.
    pub steps: Vec<StepInfo>,
    /// `env` of workflow and job, the job's last: name to template.
    pub env: IndexMap<String, String>,
    /// `defaults.run`: shell and directory as templates.
    pub defaults: (Option<String>, Option<String>),
    /// `container`.
    pub container: Option<Container>,
    /// `services`: alias to container.
    pub services: Vec<(String, Container)>,
    /// `outputs`: name to template.
    pub outputs: IndexMap<String, String>,
    /// Template of `environment.url`.
    pub environment_url: Option<String>,
    /// github, inputs, job, matrix, needs, secrets, strategy, vars.
    pub contexts: Known,
    /// The `secrets` context; its `github_token` is the job's token.
    pub secrets: Vec<(String, Hidden)>,
    /// Variables that actions, and some of them scripts, find beside `env`.
    pub service_variables: Vec<(String, Hidden)>,
    /// What must not be seen.
    pub masks: Vec<Hidden>,
    /// Shapes of what must not be seen: regular expressions in .NET's syntax.
    pub mask_patterns: Vec<Hidden>,
}

/// Reads the message of a job.
///
/// # Errors
/// [`MessageError`].
pub fn read(message: &Json) -> Result<Job, MessageError> {
    let mut known = Known::default();
    if let Some(Json::Object(contexts)) = message.get("contextData") {
        for (name, value) in contexts {
            known.insert(name, context::read(value)?);
        }
    }
    let variables = Variables::read(message);
    add_github(&mut known, &variables);
    let secrets: Vec<(String, Hidden)> =
        variables.secrets().map(|(name, value)| (name.to_owned(), Hidden::new(value))).collect();
    let of_context = secrets.iter().map(|(name, value)| (name.clone(), Value::from(value.reveal())));
    known.insert("secrets", Value::object(of_context.collect::<Vec<_>>()));

    let mut env = IndexMap::new();
    for token in tokens(message, "environmentVariables")? {
        let Token::Mapping(pairs) = token else { continue };
        for (key, value) in pairs {
            // The last one counts, and is evaluated where it stands.
            env.shift_remove(&key.to_template());
            env.insert(key.to_template(), value.to_template());
        }
    }
    let defaults = tokens(message, "defaults")?;
    // A later `run` takes the place of an earlier one, whole.
    let run = defaults.iter().rev().find_map(|token| token.get("run")).filter(|run| !run.is_empty());
    let default = |name: &str| {
        run.and_then(|run| run.get(name)).filter(|token| !token.is_empty()).map(Token::to_template)
    };
    let wire = message.get("steps").and_then(Json::as_array);
    let wire = wire.ok_or(MessageError::Missing { member: "steps" })?;
    let mut work = Vec::with_capacity(wire.len());
    let mut steps = Vec::with_capacity(wire.len());
    for json in wire {
        let (step, info) = step::read(json, &known)?;
        work.push(step);
        steps.push(info);
    }
    let mut buildspec = Buildspec::default();
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
    let url = message.get("actionsEnvironment").and_then(|environment| environment.get("url"));
    let url = url.filter(|url| !url.is_null()).map(Token::read).transpose()?;
    let mut masks: Vec<Hidden> = variables.masked().map(Hidden::new).collect();
    let logins = container.iter().chain(services.iter().map(|(_, service)| service));
    masks.extend(logins.filter_map(|container| Some(container.credentials.as_ref()?.password.clone())));
    masks.retain(|mask| !mask.0.trim().is_empty());
    Ok(Job {
        buildspec,
        steps,
        env,
        defaults: (default("shell"), default("working-directory")),
        container,
        services,
        outputs,
        environment_url: url.filter(|url| !url.is_empty()).map(|url| url.to_template()),
        service_variables: services::variables(message, &variables),
        contexts: known,
        secrets,
        masks,
        mask_patterns: patterns(message),
    })
}

fn tokens(message: &Json, name: &str) -> Result<Vec<Token>, MessageError> {
    message.get(name).and_then(Json::as_array).into_iter().flatten().map(Token::read).collect()
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
pub(super) struct Variables<'a>(Vec<(&'a str, &'a str, bool)>);

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

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
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
                    {"Key": "options", "Value": {"type": 3, "expr": "format('--label a={0}', secrets.KEY)"}},
                    {"Key": "env", "Value": {"type": 2, "map": [{"Key": "PW", "Value": {"type": 3, "expr": "secrets.KEY"}}]}},
                    {"Key": "credentials", "Value": {"type": 2, "map": [{"Key": "username", "Value": "u"}, {"Key": "password", "Value": "pw"}]}}]}},
                {"Key": "off", "Value": {"type": 2, "map": [{"Key": "image", "Value": ""}]}},
            ]},
            "jobOutputs": {"type": 2, "map": [{"Key": "o", "Value": {"type": 3, "expr": "steps.a.outputs.v"}}]},
            "actionsEnvironment": {"name": "staging", "url": "https://x"},
            "resources": {"endpoints": [{"name": "SystemVssConnection", "url": "https://run/",
                "authorization": {"parameters": {"AccessToken": "jwt"}},
                "data": {"ResultsServiceUrl": "https://r/", "GenerateIdTokenUrl": ""}}]},
            "contextData": {
                "github": {"t": 2, "d": [{"k": "repository", "v": "o/r"}, {"k": "ref", "v": "refs/heads/main"}]},
                "matrix": {"t": 2, "d": [{"k": "os", "v": "debian"}]},
            },
        })
    }

    #[test]
    fn a_message_is_a_buildspec_and_what_is_beside_it() {
        let job = read(&message()).unwrap();
        let env: Vec<(&str, &str)> =
            job.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(env, [("B", "${{ matrix.os }}"), ("A", "${{ secrets.KEY }}")]);
        assert_eq!(job.contexts.text("github", "job").as_deref(), Some("build"));
        assert_eq!(job.contexts.json("matrix")["os"], "debian");
        assert_eq!(job.defaults, (None, Some("sub".to_owned())));
        assert_eq!(job.container.as_ref().unwrap().image, "debian:1");
        assert_eq!(job.services.len(), 1);
        let service = &job.services[0].1;
        assert_eq!(service.ports, ["5432"]);
        assert_eq!(service.env, [("PW".to_owned(), "line one\nline two".to_owned())]);
        assert_eq!(service.options, "--label a=", "options hold no secrets");
        assert_eq!(job.outputs["o"], "${{ steps.a.outputs.v }}");
        assert_eq!(job.environment_url.as_deref(), Some("https://x"));
        assert_eq!(job.mask_patterns.len(), 1);
        let of_service = |name: &str| {
            let found = job.service_variables.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| value.reveal().to_owned())
        };
        assert_eq!(of_service("ACTIONS_RESULTS_URL").as_deref(), Some("https://r/"));
        assert_eq!(of_service("ACTIONS_RUNTIME_TOKEN").as_deref(), Some("jwt"));
        assert_eq!(of_service("ACTIONS_ID_TOKEN_REQUEST_URL"), None);
    }

    #[test]
    fn every_secret_and_each_of_its_lines_is_masked_and_none_is_shown() {
        let job = read(&message()).unwrap();
        let masks: Vec<&str> = job.masks.iter().map(Hidden::reveal).collect();
        for expected in ["ghs_x", "line one\nline two", "line one", "line two", "pw"] {
            assert!(masks.contains(&expected), "{expected}");
        }
        assert!(!masks.contains(&"true"));
        assert_eq!(format!("{:?}", job.masks[0]), "***");
    }

    #[test]
    fn what_is_no_job_is_refused() {
        assert!(matches!(read(&json!({})), Err(MessageError::Missing { member: "steps" })));
        let mut wrong = message();
        wrong["jobContainer"] = json!({"type": 3, "expr": "1 +"});
        let Err(error) = read(&wrong) else { panic!() };
        assert!(error.to_string().starts_with("container: "), "{error}");
    }
}

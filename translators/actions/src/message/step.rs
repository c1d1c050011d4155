//! The steps of a job.

use indexmap::IndexMap;
use runspan_buildspec::{Step, StepAction};
use serde_json::Value as Json;

use super::MessageError;
use super::context::Known;
use super::token::Token;

/// What the service and its pages need of a step that a buildspec has no word for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepInfo {
    /// The service's id of it.
    pub id: String,
    /// `id` of the workflow, or the one that GitHub made.
    pub context_name: String,
    /// What people see; an expression in it that needs earlier steps is left as it is.
    pub display_name: String,
    /// What it does.
    pub kind: StepKind,
    /// The script of `run`, as people see it before the step begins.
    pub script: Option<String>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// `run`, in a shell.
    Script,
    /// An action of a repository.
    Action {
        /// `owner/repo`, with the path in it.
        name: String,
        /// Branch, tag or commit.
        reference: String,
    },
    /// An action in the workspace.
    Local(String),
    /// `docker://image`.
    Image(String),
}

/// Reads a step.
pub(super) fn read(json: &Json, known: &Known) -> Result<(Step, StepInfo), MessageError> {
    let text = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let token = |name: &str| json.get(name).filter(|json| !json.is_null()).map(Token::read).transpose();
    let inputs = token("inputs")?.unwrap_or(Token::Null);
    let kind = kind(json.get("reference").unwrap_or(&Json::Null))?;
    let action = match &kind {
        StepKind::Script => script(&inputs),
        StepKind::Action { name, reference } => uses(format!("{name}@{reference}"), &inputs),
        StepKind::Local(path) => uses(path.clone(), &inputs),
        StepKind::Image(image) => uses(format!("docker://{image}"), &inputs),
    };
    let template =
        |name: &str| Ok(token(name)?.filter(|token| !token.is_empty()).map(|token| token.to_template()));
    let context_name = text("contextName");
    let named = token("displayNameToken")?.filter(|token| !token.is_empty());
    let display_name =
        named.as_ref().map_or_else(|| default_name(&kind, &inputs, known), |token| shown(token, known));
    let env = match token("environment")? {
        Some(Token::Mapping(pairs)) => pairs
            .iter()
            .map(|(key, value)| (key.to_template(), value.to_template()))
            .collect::<IndexMap<_, _>>(),
        _ => IndexMap::new(),
    };
    let condition = text("condition");
    let step = Step {
        // What GitHub made up is not in the `steps` context, so it is no `id` either.
        id: Some(context_name.clone()).filter(|name| !name.is_empty() && !name.starts_with("__")),
        condition: Some(condition).filter(|text| !matches!(text.trim(), "" | "success()")),
        name: Some(display_name.clone()).filter(|_| named.is_some()),
        action,
        env,
        continue_on_error: template("continueOnError")?.filter(|text| text != "false"),
        timeout_minutes: template("timeoutInMinutes")?.filter(|text| text != "0"),
    };
    let script = inputs.get("script").filter(|_| kind == StepKind::Script).map(|script| shown(script, known));
    Ok((step, StepInfo { id: text("id"), context_name, display_name, kind, script }))
}

/// A text as people see it: what cannot be evaluated yet stays as it is.
fn shown(token: &Token, known: &Known) -> String {
    let is_for_later = token.names("steps") || token.names("secrets") || token.names_token();
    let value = if is_for_later { None } else { token.evaluate(known).ok() };
    value.map_or_else(|| token.to_template(), |value| value.to_text().to_string())
}

fn kind(reference: &Json) -> Result<StepKind, MessageError> {
    let text = |name: &str| reference.get(name).and_then(Json::as_str).unwrap_or_default();
    let kind = match reference.get("type") {
        Some(Json::String(kind)) => kind.to_ascii_lowercase(),
        Some(Json::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    Ok(match kind.as_str() {
        "script" | "3" => StepKind::Script,
        "repository" | "1" => {
            let path = text("path");
            match text("repositoryType") {
                local if local.eq_ignore_ascii_case("self") => StepKind::Local(path.to_owned()),
                _ => StepKind::Action {
                    name: match path {
                        "" => text("name").to_owned(),
                        path => format!("{}/{path}", text("name")),
                    },
                    reference: text("ref").to_owned(),
                },
            }
        }
        "containerregistry" | "2" => StepKind::Image(text("image").to_owned()),
        _ => return Err(MessageError::Missing { member: "steps[].reference.type" }),
    })
}

fn script(inputs: &Token) -> StepAction {
    let own = |name: &str| inputs.get(name).filter(|token| !token.is_empty());
    StepAction::Run {
        run: own("script").map(Token::to_template).unwrap_or_default(),
        shell: own("shell").map(Token::to_template),
        working_directory: own("workingDirectory").map(Token::to_template),
    }
}

fn uses(uses: String, inputs: &Token) -> StepAction {
    let with = match inputs {
        Token::Mapping(pairs) => {
            pairs.iter().map(|(key, value)| (key.to_template(), value.to_template())).collect()
        }
        _ => IndexMap::new(),
    };
    StepAction::Uses { uses, with }
}

fn default_name(kind: &StepKind, inputs: &Token, known: &Known) -> String {
    let what = match kind {
        StepKind::Script => {
            let script = inputs.get("script").map(|script| shown(script, known)).unwrap_or_default();
            script.trim_start().lines().next().unwrap_or_default().trim_end().to_owned()
        }
        StepKind::Action { name, reference } => format!("{name}@{reference}"),
        StepKind::Local(path) => path.clone(),
        StepKind::Image(image) => image.clone(),
    };
    format!("Run {what}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn step(json: &Json) -> (Step, StepInfo) {
        read(json, &Known::default()).unwrap()
    }

    #[test]
    fn a_script_is_as_the_workflow_has_it() {
        let (step, info) = step(&json!({
            "reference": {"type": "script"}, "id": "a", "contextName": "__run", "condition": "success()",
            "timeoutInMinutes": {"type": 6, "num": 3}, "continueOnError": {"type": 5, "bool": true},
            "inputs": {"type": 2, "map": [{"Key": "script", "Value": "\n echo 1\necho 2"}]},
        }));
        assert_eq!((step.id, step.condition, step.name), (None, None, None));
        assert_eq!(
            (step.timeout_minutes.as_deref(), step.continue_on_error.as_deref()),
            (Some("3"), Some("true"))
        );
        let StepAction::Run { run, shell, .. } = step.action else { panic!() };
        assert_eq!((run.as_str(), shell), ("\n echo 1\necho 2", None));
        assert_eq!((info.display_name.as_str(), info.kind), ("Run echo 1", StepKind::Script));
    }

    #[test]
    fn actions_are_named_as_in_a_workflow() {
        let uses = |reference: Json| {
            let (step, info) = step(&json!({
                "reference": reference, "contextName": "mine", "condition": "always()",
                "inputs": {"type": 2, "map": [{"Key": "a", "Value": {"type": 3, "expr": "matrix.x"}}]},
                "displayNameToken": {"type": 3, "expr": "steps.a.outputs.b"},
            }));
            let StepAction::Uses { uses, with } = step.action else { panic!() };
            assert_eq!((step.id.as_deref(), step.condition.as_deref()), (Some("mine"), Some("always()")));
            assert_eq!(with.get("a").map(String::as_str), Some("${{ matrix.x }}"));
            (uses, info.kind)
        };
        let action = json!({"type": "repository", "name": "o/r", "ref": "v1", "repositoryType": "GitHub", "path": "p"});
        assert_eq!(uses(action).0, "o/r/p@v1");
        let local = json!({"type": "repository", "repositoryType": "self", "path": "./x"});
        assert_eq!(uses(local), ("./x".to_owned(), StepKind::Local("./x".into())));
        assert_eq!(uses(json!({"type": "containerRegistry", "image": "alpine"})).0, "docker://alpine");
    }
}

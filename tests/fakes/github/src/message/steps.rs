//! Steps as the service sends them.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::token;
use crate::workflow::{ExpressionError, Node, NodeKind, condition, guarded};

/// The steps of a job, each with a new identity.
///
/// # Errors
/// An expression is not closed.
pub(super) fn steps(steps: &[&Node]) -> Result<Vec<Json>, ExpressionError> {
    let mut names = Names::default();
    for step in steps {
        names.taken.extend(step.get("id").and_then(Node::text));
    }
    steps.iter().map(|step| one(step, &mut names)).collect()
}

fn one(step: &Node, names: &mut Names) -> Result<Json, ExpressionError> {
    let given = |name: &str| step.get(name).filter(|node| node.kind != NodeKind::Null);
    let optional = |name: &str| given(name).map(token).transpose();
    let uses = given("uses").and_then(Node::text);
    let reference = uses.as_deref().map_or_else(|| json!({"type": "script"}), reference);
    let name = given("id").and_then(Node::text).unwrap_or_else(|| names.generate(uses.as_deref()));
    let inputs = match &uses {
        Some(_) => optional("with")?,
        None => Some(script_inputs(step)?),
    };
    let condition = match given("if").and_then(Node::text) {
        Some(text) => guarded(&condition(&text)?),
        None => guarded(""),
    };
    let mut wire = json!({
        "type": "action",
        "reference": reference,
        "id": Uuid::new_v4(),
        "contextName": name,
        "name": name,
        "condition": condition,
        "continueOnError": optional("continue-on-error")?,
        "timeoutInMinutes": optional("timeout-minutes")?,
    });
    for (member, value) in
        [("displayNameToken", optional("name")?), ("environment", optional("env")?), ("inputs", inputs)]
    {
        if let Some(value) = value {
            wire[member] = value;
        }
    }
    Ok(wire)
}

fn script_inputs(step: &Node) -> Result<Json, ExpressionError> {
    let mut map = Vec::new();
    for (key, name) in [("run", "script"), ("shell", "shell"), ("working-directory", "workingDirectory")] {
        if let Some(node) = step.get(key) {
            map.push(json!({"Key": {"type": 0, "lit": name}, "Value": token(node)?}));
        }
    }
    Ok(json!({"type": 2, "map": map}))
}

fn reference(uses: &str) -> Json {
    if let Some(image) = uses.strip_prefix("docker://") {
        return json!({"type": "containerRegistry", "image": image});
    }
    if uses.starts_with("./") {
        return json!({"type": "repository", "repositoryType": "self", "path": uses});
    }
    let (action, version) = uses.rsplit_once('@').unwrap_or((uses, ""));
    let mut segments = action.splitn(3, '/');
    let name = [segments.next(), segments.next()].into_iter().flatten().collect::<Vec<_>>().join("/");
    let mut wire = json!({"type": "repository", "name": name, "ref": version, "repositoryType": "GitHub"});
    if let Some(path) = segments.next() {
        wire["path"] = json!(path);
    }
    wire
}

/// Names of steps that have no `id`.
#[derive(Default)]
struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    fn generate(&mut self, uses: Option<&str>) -> String {
        let source = match uses {
            None => "run".to_owned(),
            Some(uses) if uses.starts_with("./") => "self".to_owned(),
            Some(uses) => match uses.strip_prefix("docker://") {
                Some(image) => image.to_owned(),
                None => {
                    let action = uses.rsplit_once('@').map_or(uses, |(action, _)| action);
                    action.splitn(3, '/').take(2).collect::<Vec<_>>().join("/")
                }
            },
        };
        let legal: String = source
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' })
            .take(98)
            .collect();
        let base = format!("__{legal}");
        let name = (1..)
            .map(|nth| if nth == 1 { base.clone() } else { format!("{base}_{nth}") })
            .find(|name| !self.taken.contains(name))
            .unwrap_or(base);
        self.taken.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_named_and_referenced_as_the_service_does() {
        let node = Node::read(
            "- run: a\n- run: b\n- uses: actions/checkout@v4\n- uses: o/r/sub/dir@main\n- uses: docker://alpine:3.20\n\
             - uses: ./.github/actions/x\n- id: mine\n  run: c\n  if: failure()\n- run: d\n  if: ${{ github.ref == 'x' }}\n",
        )
        .unwrap();
        let wire = steps(&node.items()).unwrap();
        let names: Vec<&str> = wire.iter().map(|step| step["contextName"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            ["__run", "__run_2", "__actions_checkout", "__o_r", "__alpine_3_20", "__self", "mine", "__run_3"]
        );
        assert_eq!(wire[2]["reference"]["ref"], "v4");
        assert_eq!(wire[3]["reference"]["path"], "sub/dir");
        assert_eq!(wire[5]["reference"]["repositoryType"], "self");
        assert_eq!(wire[0]["condition"], "success()");
        assert_eq!(wire[6]["condition"], "failure()");
        assert_eq!(wire[7]["condition"], "success() && (github.ref == 'x')");
        assert_eq!(wire[0]["inputs"]["map"][0]["Value"]["lit"], "a");
    }
}

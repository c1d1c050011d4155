//! The inputs of a workflow that is started by hand.

use super::{Workflow, coercion};
use crate::{Object, Value};

/// The typed inputs (`inputs`) and the same as text (`github.event.inputs`).
///
/// # Errors
/// What GitHub answers to inputs that do not fit.
pub fn dispatch_inputs(workflow: &Workflow, given: &Object) -> Result<(Object, Object), String> {
    let Some(trigger) = workflow.on.get("workflow_dispatch").or_else(|| {
        workflow.on.items().into_iter().find(|name| name.text().as_deref() == Some("workflow_dispatch"))
    }) else {
        return Err("Workflow does not have 'workflow_dispatch' trigger".to_owned());
    };
    let declared = trigger.get("inputs").map(|inputs| inputs.entries().to_vec()).unwrap_or_default();
    let names: Vec<String> = declared.iter().filter_map(|(name, _)| name.text()).collect();
    if let Some(unknown) = given.keys().find(|name| !names.contains(name)) {
        return Err(format!("Unexpected inputs provided: [\"{unknown}\"]"));
    }
    let (mut typed, mut plain) = (Object::new(), Object::new());
    for (name, input) in &declared {
        let name = name.text().unwrap_or_default();
        let kind = input.get("type").and_then(super::Node::text).unwrap_or_else(|| "string".to_owned());
        let required = input.get("required").is_some_and(|required| coercion::truthy(&required.value()));
        let value = given.get(&name).cloned().or_else(|| input.get("default").map(super::Node::value));
        let text = match (&value, kind.as_str()) {
            (Some(value), _) => coercion::text(value),
            (None, _) if required => return Err(format!("Required input '{name}' not provided")),
            (None, "boolean") => "false".to_owned(),
            (None, _) => String::new(),
        };
        let choices = input
            .get("options")
            .map(|options| options.items().into_iter().filter_map(super::Node::text).collect::<Vec<_>>());
        if kind == "choice" && choices.is_some_and(|choices| !choices.contains(&text)) {
            return Err(format!(
                "Provided value '{text}' for input '{name}' not in the list of allowed values"
            ));
        }
        let value = match kind.as_str() {
            "boolean" => Value::Bool(text == "true"),
            "number" => Value::Number(coercion::number(&Value::String(text.clone()))),
            _ => Value::String(text.clone()),
        };
        typed.insert(name.clone(), value);
        plain.insert(name, Value::String(text));
    }
    Ok((typed, plain))
}

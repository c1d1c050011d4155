//! `strategy.matrix`: every combination of its values.

use indexmap::IndexMap;
use runspan_buildspec::yaml::{Node, ScalarKind, Value as Yaml};
use runspan_expressions::{Scope, Template, Value};

use super::{
    lower::Lowerer,
    shell::{Lowered, variable_name},
};
use crate::model::Matrix;

/// One combination.
pub(crate) type Combination = IndexMap<String, Value>;

/// Jobs of the largest matrix, as GitHub has it.
pub(crate) const MOST: usize = 256;

/// Names of the widest matrix.
const WIDEST: usize = 100;

/// Every combination; nothing when it depends on something that is only known later.
pub(crate) fn combinations(matrix: &Matrix<'_>, lowerer: &Lowerer<'_>) -> Option<Vec<Combination>> {
    if let Yaml::Scalar(_) = matrix.field.node.value {
        let Value::Object(object) = value(matrix.field.node, lowerer)? else { return None };
        let list = |name: &str| object.get(name).cloned();
        let axes = object
            .iter()
            .filter(|(name, _)| {
                !name.eq_ignore_ascii_case("include") && !name.eq_ignore_ascii_case("exclude")
            })
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        return expand(axes, list("include"), list("exclude"));
    }
    let mut axes = Vec::new();
    for (name, field) in &matrix.axes {
        axes.push((name.clone(), value(field.node, lowerer)?));
    }
    let mut extra = Vec::new();
    for field in [&matrix.include, &matrix.exclude] {
        extra.push(match field {
            Some(field) => Some(value(field.node, lowerer)?),
            None => None,
        });
    }
    let exclude = extra.pop().flatten();
    let include = extra.pop().flatten();
    expand(axes, include, exclude)
}

fn expand(
    axes: Vec<(String, Value)>,
    include: Option<Value>,
    exclude: Option<Value>,
) -> Option<Vec<Combination>> {
    if axes.len() > WIDEST {
        return None;
    }
    let mut all: Vec<Combination> = if axes.is_empty() { Vec::new() } else { vec![Combination::new()] };
    for (name, values) in &axes {
        let Value::Array(values) = values else { return None };
        let mut next = Vec::new();
        for combination in &all {
            for value in values.items() {
                let mut combination = combination.clone();
                combination.insert(name.clone(), value.clone());
                next.push(combination);
                // What is excluded may bring it below the limit again.
                if next.len() > 16 * MOST {
                    return None;
                }
            }
        }
        all = next;
    }
    for excluded in objects(exclude)? {
        all.retain(|combination| !matches(combination, &excluded));
    }
    let originals = all.len();
    let mut included = vec![Combination::new(); originals];
    for extra in objects(include)? {
        let of_axes: Combination =
            extra.iter().filter(|(name, _)| axes.iter().any(|(axis, _)| axis == *name)).map(clone).collect();
        let rest: Combination =
            extra.iter().filter(|(name, _)| !of_axes.contains_key(*name)).map(clone).collect();
        let mut found = false;
        for (combination, more) in all[..originals].iter().zip(&mut included) {
            if matches(combination, &of_axes) {
                more.extend(rest.clone());
                found = true;
            }
        }
        if !found {
            all.push(extra);
        }
    }
    for (combination, more) in all.iter_mut().zip(included) {
        combination.extend(more);
    }
    (all.len() <= MOST).then_some(all)
}

fn clone((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

fn matches(combination: &Combination, wanted: &Combination) -> bool {
    wanted.iter().all(|(name, value)| combination.get(name).is_some_and(|own| covers(own, value)))
}

/// Of a map only what is asked for must be the same.
fn covers(own: &Value, wanted: &Value) -> bool {
    match (own, wanted) {
        (Value::Object(own), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| own.get(name).is_some_and(|own| covers(own, value)))
        }
        (own, wanted) => {
            own == wanted
                || (own.is_primitive() && wanted.is_primitive() && own.to_text() == wanted.to_text())
        }
    }
}

fn objects(list: Option<Value>) -> Option<Vec<Combination>> {
    match list {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(array)) => array
            .items()
            .iter()
            .map(|item| match item {
                Value::Object(object) => {
                    Some(object.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect())
                }
                _ => None,
            })
            .collect(),
        Some(_) => None,
    }
}

/// The value of a node, when it is known.
pub(crate) fn value(node: &Node, lowerer: &Lowerer<'_>) -> Option<Value> {
    Some(match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Scalar(scalar) => match scalar.kind {
            ScalarKind::Bool => (scalar.text == "true").into(),
            ScalarKind::Number => scalar.text.parse::<f64>().map_or_else(
                |_| scalar.text.as_str().into(),
                |number| {
                    // `1.10` is text to everybody who writes it, whatever YAML says.
                    if format!("{number}") == scalar.text {
                        number.into()
                    } else {
                        scalar.text.as_str().into()
                    }
                },
            ),
            ScalarKind::Text => {
                let template = Template::parse(&scalar.text, Scope::STEP).ok()?;
                match lowerer.template(&template) {
                    Lowered::Known(value) => value,
                    _ => return None,
                }
            }
        },
        Yaml::List(items) => {
            let items: Option<Vec<Value>> = items.iter().map(|item| value(item, lowerer)).collect();
            Value::array(items?)
        }
        Yaml::Map(entries) => {
            let entries: Option<Vec<(String, Value)>> = entries
                .iter()
                .map(|entry| Some((entry.key.text.clone(), value(&entry.value, lowerer)?)))
                .collect();
            Value::object(entries?)
        }
    })
}

/// Variables of the shell for a combination.
pub(crate) fn variables(combination: &Combination) -> IndexMap<String, String> {
    let mut variables = IndexMap::new();
    for (name, value) in combination {
        flatten(&format!("matrix_{name}"), value, &mut variables);
    }
    variables
}

fn flatten(name: &str, value: &Value, into: &mut IndexMap<String, String>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(key, value)| flatten(&format!("{name}_{key}"), value, into));
        }
        Value::Array(_) => drop(into.insert(variable_name(name), value.to_json())),
        value => drop(into.insert(variable_name(name), value.to_text().to_string())),
    }
}

/// What goes behind the identifier of a job, different for each of its combinations.
pub(crate) fn suffixes(combinations: &[Combination]) -> Vec<String> {
    let words: Vec<String> = combinations
        .iter()
        .map(|combination| {
            let values = combination.values().filter(|value| value.is_primitive());
            let text: String = values.map(|value| format!("_{}", value.to_text())).collect();
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
        })
        .collect();
    let unique: std::collections::HashSet<&String> = words.iter().collect();
    let fine = unique.len() == words.len() && words.iter().all(|word| word.len() <= 40 && !word.is_empty());
    if fine { words } else { (1..=combinations.len()).map(|number| format!("_{number}")).collect() }
}

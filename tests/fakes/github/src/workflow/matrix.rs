//! A job's matrix: which combinations it makes.

use crate::{Object, Value};

use super::coercion;

/// One combination.
#[derive(Clone, Debug, PartialEq)]
pub struct Combination {
    /// The `matrix` context.
    pub values: Object,
    /// The values for display, in order.
    pub labels: Vec<String>,
}

/// The combinations of an evaluated `matrix`, in GitHub's order: the first axis turns slowest.
pub fn combinations(matrix: &Value) -> Vec<Combination> {
    let Value::Object(members) = matrix else { return Vec::new() };
    let list = |name: &str| match members.get(name) {
        Some(Value::Array(items)) => items.clone(),
        _ => Vec::new(),
    };
    let axes: Vec<(&String, &Vec<Value>)> = members
        .iter()
        .filter(|(name, _)| *name != "include" && *name != "exclude")
        .filter_map(|(name, value)| match value {
            Value::Array(items) => Some((name, items)),
            _ => None,
        })
        .collect();
    let mut product: Vec<Object> = if axes.is_empty() { Vec::new() } else { vec![Object::new()] };
    for (name, items) in &axes {
        product = product
            .into_iter()
            .flat_map(|base| {
                items.iter().map(move |item| {
                    let mut next = base.clone();
                    next.insert((*name).clone(), item.clone());
                    next
                })
            })
            .collect();
    }
    let excluded = list("exclude");
    product.retain(|combination| !excluded.iter().any(|exclude| covers(exclude, combination)));

    // An include widens the combinations whose axes it agrees with; one that widens none stands alone.
    let originals = product.clone();
    let mut alone = Vec::new();
    for include in list("include") {
        let Value::Object(include) = include else { continue };
        let mut widened = false;
        for (combination, original) in product.iter_mut().zip(&originals) {
            if include.iter().all(|(key, value)| original.get(key).is_none_or(|own| same(own, value))) {
                combination.extend(include.clone());
                widened = true;
            }
        }
        if !widened {
            alone.push(include);
        }
    }
    product.extend(alone);
    product
        .into_iter()
        .map(|values| Combination { labels: values.values().flat_map(leaves).collect(), values })
        .collect()
}

fn covers(pattern: &Value, combination: &Object) -> bool {
    match pattern {
        Value::Object(pattern) => {
            pattern.iter().all(|(key, value)| combination.get(key).is_some_and(|own| contains(own, value)))
        }
        _ => false,
    }
}

/// An excluded object may name a part of the members only.
fn contains(own: &Value, pattern: &Value) -> bool {
    match (own, pattern) {
        (Value::Object(own), Value::Object(pattern)) => {
            pattern.iter().all(|(key, value)| own.get(key).is_some_and(|own| contains(own, value)))
        }
        _ => same(own, pattern),
    }
}

fn same(left: &Value, right: &Value) -> bool {
    left == right || coercion::equal(left, right)
}

fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(members) => members.values().flat_map(leaves).collect(),
        simple => vec![coercion::text(simple)],
    }
}

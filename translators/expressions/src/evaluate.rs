//! A tree to a value.

use super::{Array, Comparison, Error, ErrorKind, Expr, Function, Kind, Value, functions};

/// Bytes of values that may exist at one time in an evaluation.
pub const MAX_MEMORY: usize = 1 << 20;

/// What an expression can ask of the place where it is evaluated.
pub trait Contexts {
    /// The value of a context, its name in any case; null when there is none.
    fn context(&self, name: &str) -> Value;

    /// `success`, `failure`, `always` or `cancelled`.
    ///
    /// # Errors
    /// When how the job goes is not known here.
    fn status(&self, function: Function) -> Result<bool, String> {
        Err(format!("{}() cannot be told here", function.name()))
    }

    /// `hashFiles`.
    ///
    /// # Errors
    /// Why the files cannot be hashed.
    fn hash_files(&self, _patterns: &[String]) -> Result<String, String> {
        Err("hashFiles() cannot be told here".into())
    }
}

/// Evaluates an expression.
///
/// # Errors
/// What GitHub's runner would fail the step with.
pub fn evaluate(expr: &Expr, contexts: &dyn Contexts) -> Result<Value, Error> {
    evaluate_within(expr, contexts, MAX_MEMORY)
}

/// Evaluates an expression with a limit of its own to the bytes of values.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_within(expr: &Expr, contexts: &dyn Contexts, memory: usize) -> Result<Value, Error> {
    Evaluation { contexts, used: 0, memory }.value(expr)
}

pub(super) struct Evaluation<'a> {
    pub(super) contexts: &'a dyn Contexts,
    used: usize,
    memory: usize,
}

impl Evaluation<'_> {
    /// The value of a part; when it is there, only its own size is still counted.
    pub(super) fn value(&mut self, expr: &Expr) -> Result<Value, Error> {
        let before = self.used;
        let value = self.compute(expr)?;
        self.used = before + size(&value);
        if self.used > self.memory {
            return Err(fault(expr, ErrorKind::OutOfMemory));
        }
        Ok(value)
    }

    /// Whether a text of so many bytes may be made.
    pub(super) const fn has_room(&self, bytes: usize) -> bool {
        self.used + 2 * bytes <= self.memory
    }

    fn compute(&mut self, expr: &Expr) -> Result<Value, Error> {
        match &expr.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Context(name) => Ok(self.contexts.context(name)),
            Kind::Not(inner) => Ok((!self.value(inner)?.is_truthy()).into()),
            Kind::And(parts) => self.first(parts, |value| !value.is_truthy()),
            Kind::Or(parts) => self.first(parts, Value::is_truthy),
            Kind::Compare(comparison, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                Ok(compare(*comparison, &left, &right).into())
            }
            Kind::Star(inner) => Ok(star(&self.value(inner)?)),
            Kind::Index(inner, index) => {
                let (inner, index) = (self.value(inner)?, self.value(index)?);
                Ok(at(&inner, &index))
            }
            Kind::Call(function, values) => {
                functions::call(*function, values, self).map_err(|error| match error {
                    functions::Failure::Of(kind) => fault(expr, kind),
                    functions::Failure::Inside(error) => error,
                })
            }
        }
    }

    /// The first value that decides, else the last.
    fn first(&mut self, parts: &[Expr], decides: impl Fn(&Value) -> bool) -> Result<Value, Error> {
        let mut value = Value::Null;
        for part in parts {
            value = self.value(part)?;
            if decides(&value) {
                break;
            }
        }
        Ok(value)
    }
}

fn fault(expr: &Expr, kind: ErrorKind) -> Error {
    Error { kind, span: expr.span.clone() }
}

/// Characters have two bytes in the reference engine; lists and maps are shared.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => 2 * text.len(),
        _ => size_of::<Value>(),
    }
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> bool {
    let order = || left.loosely_compare(right);
    match comparison {
        Comparison::Equal => left.loosely_equals(right),
        Comparison::NotEqual => !left.loosely_equals(right),
        Comparison::Less => order().is_some_and(std::cmp::Ordering::is_lt),
        Comparison::Greater => order().is_some_and(std::cmp::Ordering::is_gt),
        Comparison::LessOrEqual => {
            left.loosely_equals(right) || order().is_some_and(std::cmp::Ordering::is_lt)
        }
        Comparison::GreaterOrEqual => {
            left.loosely_equals(right) || order().is_some_and(std::cmp::Ordering::is_gt)
        }
    }
}

/// `a.*`.
fn star(value: &Value) -> Value {
    let mut items = Vec::new();
    match value {
        Value::Array(array) if array.filtered => array.items.iter().for_each(|item| spread(item, &mut items)),
        other => spread(other, &mut items),
    }
    Value::filtered(items)
}

fn spread(value: &Value, into: &mut Vec<Value>) {
    match value {
        Value::Array(array) => into.extend(array.items.iter().cloned()),
        Value::Object(object) => into.extend(object.iter().map(|(_, value)| value.clone())),
        _ => {}
    }
}

/// `a[b]`.
fn at(value: &Value, index: &Value) -> Value {
    match value {
        Value::Array(array) if array.filtered => {
            Value::filtered(array.items.iter().filter_map(|item| found(item, index)).collect())
        }
        other => found(other, index).unwrap_or_default(),
    }
}

fn found(value: &Value, index: &Value) -> Option<Value> {
    match value {
        Value::Object(object) if index.is_primitive() => object.get(&index.to_text()).cloned(),
        Value::Array(array) => item(array, index.to_number()).cloned(),
        _ => None,
    }
}

fn item(array: &Array, index: f64) -> Option<&Value> {
    // The cast is exact: a whole number within the list.
    (index >= 0.0 && index.floor() < array.items.len() as f64).then(|| &array.items[index.floor() as usize])
}

//! How one kind of value becomes another, and what equals what.

use std::cmp::Ordering;

use crate::{Value, value::whole};

/// Whether a value counts as true.
pub(crate) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => *number != 0.0 && !number.is_nan(),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// A value as a number.
pub(super) fn number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Number(number) => *number,
        Value::String(text) => parse_number(text.trim()),
        Value::Array(_) | Value::Object(_) => f64::NAN,
    }
}

fn parse_number(text: &str) -> f64 {
    let based = |digits: &str, radix| u32::from_str_radix(digits, radix).map(|n| f64::from(n.cast_signed()));
    if text.is_empty() {
        return 0.0;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16).unwrap_or(f64::NAN);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8).unwrap_or(f64::NAN);
    }
    match text {
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        // Rust's parser also takes words such as "inf" and "nan".
        _ if text.contains(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E')) => f64::NAN,
        _ => text.parse().unwrap_or(f64::NAN),
    }
}

/// A value as text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number_text(*number),
        Value::String(text) => text.clone(),
        Value::Array(_) => "Array".to_owned(),
        Value::Object(_) => "Object".to_owned(),
    }
}

/// A number with fifteen significant digits.
pub(super) fn number_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if number.abs() < 1e15
        && let Some(whole) = whole(number)
    {
        return whole.to_string();
    }
    let scientific = format!("{number:.14e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-5..15).contains(&exponent) {
        let decimals = usize::try_from(14 - exponent).unwrap_or_default();
        return format!("{number:.decimals$}").trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}E{sign}{:02}", exponent.abs())
}

/// Text for comparisons without case. The dotless i stays apart from the other one.
pub(super) fn upper(text: &str) -> String {
    text.split('ı').map(str::to_uppercase).collect::<Vec<_>>().join("ı")
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// Loose equality.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(left), Value::String(right)) => upper(left) == upper(right),
        (Value::Null, Value::Null) => true,
        // Lists and maps are equal only to themselves, and here every value is a copy.
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => false,
        _ => number(left) == number(right),
    }
}

/// Loose order; none when one side is not a number or has no order.
pub(super) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(upper(left).cmp(&upper(right))),
        _ if kind(left) > 3 || kind(right) > 3 => None,
        _ => number(left).partial_cmp(&number(right)),
    }
}

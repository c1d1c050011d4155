//! Reading and evaluating an expression never panics, and stays within its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runspan_expressions::{Contexts, Function, Scope, Template, Value, evaluate, parse};

struct Known;

impl Contexts for Known {
    fn context(&self, name: &str) -> Value {
        Value::object([
            ("name", Value::from(name)),
            ("list", Value::array(vec![1.0.into(), true.into(), "text".into(), Value::Null])),
        ])
    }

    fn status(&self, function: Function) -> Result<bool, String> {
        Ok(function == Function::Always)
    }

    fn hash_files(&self, patterns: &[String]) -> Result<String, String> {
        patterns.first().cloned().ok_or_else(|| "none".into())
    }
}

fuzz_target!(|text: &str| {
    if let Ok(expr) = parse(text, Scope::STEP) {
        drop(evaluate(&expr, &Known));
    }
    if let Ok(template) = Template::parse(text, Scope::STEP) {
        drop(template.evaluate(&Known));
    }
});

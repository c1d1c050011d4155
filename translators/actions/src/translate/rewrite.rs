//! Expressions that stay expressions, where steps stay steps: what GitHub knew is in the environment here.

use super::{
    lower::Lowerer,
    shell::{Lowered, variable_name},
};
use runspan_expressions::{Expr, Kind, Segment, Template, Value};

/// The text with its expressions in terms of the environment.
pub(crate) fn rewrite(template: &Template, lowerer: &Lowerer<'_>) -> String {
    let mut out = String::new();
    for segment in &template.segments {
        match segment {
            Segment::Text(text) => out.push_str(text),
            Segment::Expression { expr, text, .. } => {
                if let Lowered::Known(value) = lowerer.expr(expr)
                    && value.is_primitive()
                    && !expr.asks_status()
                {
                    out.push_str(&value.to_text());
                    continue;
                }
                out.push_str(&format!("${{{{ {} }}}}", expression(expr, text, lowerer)));
            }
        }
    }
    out
}

/// An expression in terms of the environment.
pub(crate) fn expression(expr: &Expr, text: &str, lowerer: &Lowerer<'_>) -> String {
    let mut places = Vec::new();
    paths(expr, &mut places);
    let mut out = String::new();
    let mut at = 0;
    for part in places {
        let Some(path) = part.path() else { continue };
        let Some(before) = text.get(at..part.span.start) else { continue };
        out.push_str(before);
        out.push_str(&replaced(part, &path, lowerer));
        at = part.span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The largest parts that are nothing but names.
fn paths<'a>(expr: &'a Expr, into: &mut Vec<&'a Expr>) {
    if expr.path().is_some() {
        into.push(expr);
        return;
    }
    match &expr.kind {
        Kind::Literal(_) | Kind::Context(_) => {}
        Kind::Star(inner) | Kind::Not(inner) => paths(inner, into),
        Kind::Index(left, right) | Kind::Compare(_, left, right) => {
            paths(left, into);
            paths(right, into);
        }
        Kind::And(parts) | Kind::Or(parts) | Kind::Call(_, parts) => {
            parts.iter().for_each(|part| paths(part, into))
        }
    }
}

fn replaced(part: &Expr, path: &[&str], lowerer: &Lowerer<'_>) -> String {
    if path.first().is_some_and(|context| {
        ["steps", "job", "runner", "env"].iter().any(|own| own.eq_ignore_ascii_case(context))
    }) {
        return path.join(".");
    }
    match lowerer.expr(part) {
        Lowered::Known(Value::String(text)) => format!("'{}'", text.replace('\'', "''")),
        Lowered::Known(value) if value.is_primitive() => value.to_text().to_string(),
        Lowered::Text(text) => {
            let simple = text.inside.strip_prefix('$').filter(|name| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            });
            let name = simple.map_or_else(|| variable_name(&path.join("_")), str::to_owned);
            if simple.is_none() {
                lowerer.needed.borrow_mut().defined.insert(name.clone(), text.inside);
            }
            format!("env.{name}")
        }
        Lowered::Test(_) | Lowered::Known(_) => path.join("."),
    }
}

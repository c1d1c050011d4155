//! The operations, by what they are about.

pub(crate) mod absent;
mod batches;
mod builds;
mod credentials;
mod images;
mod logs;
mod policies;
mod projects;
mod report_groups;
mod reports;
mod webhooks;

use serde_json::{Map, Value};

/// What a request gives, after its shape was checked.
pub(crate) struct Input(pub(crate) Map<String, Value>);

impl Input {
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.as_u64()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.value(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A member that must be there; its shape has seen to it.
    pub(crate) fn required(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.value(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

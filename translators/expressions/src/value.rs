//! Values, and what they are as others.

use std::{cmp::Ordering, fmt, sync::Arc};

use indexmap::IndexMap;

use super::number;

/// A value of the language.
#[derive(Clone, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// Text.
    String(Arc<str>),
    /// A list; equal only to itself.
    Array(Arc<Array>),
    /// A map; equal only to itself.
    Object(Arc<Object>),
}

/// A list.
#[derive(Debug, Default)]
pub struct Array {
    pub(super) items: Vec<Value>,
    /// Made by `*`: what is asked of it is asked of each item.
    pub(super) filtered: bool,
}

/// A map in order.
#[derive(Debug, Default)]
pub struct Object {
    /// By the key as it is compared.
    entries: IndexMap<String, (String, Value)>,
    case_sensitive: bool,
}

impl Array {
    /// Its items.
    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Object {
    /// One whose keys differ by case, as the environment's on Linux do.
    pub fn case_sensitive(entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut object = Self { case_sensitive: true, ..Self::default() };
        object.extend(entries);
        object
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(&self.compared(key)).map(|(_, value)| value)
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: String, value: Value) {
        self.entries.insert(self.compared(&key), (key, value));
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.values().map(|(key, value)| (key.as_str(), value))
    }

    fn compared(&self, key: &str) -> String {
        if self.case_sensitive { key.to_owned() } else { key.chars().map(upper).collect() }
    }
}

impl Extend<(String, Value)> for Object {
    fn extend<T: IntoIterator<Item = (String, Value)>>(&mut self, entries: T) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl FromIterator<(String, Value)> for Object {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(entries: T) -> Self {
        let mut object = Self::default();
        object.extend(entries);
        object
    }
}

impl Value {
    /// A list.
    pub fn array(items: Vec<Self>) -> Self {
        Self::Array(Arc::new(Array { items, filtered: false }))
    }

    pub(super) fn filtered(items: Vec<Self>) -> Self {
        Self::Array(Arc::new(Array { items, filtered: true }))
    }

    /// A map whose keys do not differ by case.
    pub fn object<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(Arc::new(entries.into_iter().map(|(key, value)| (key.into(), value)).collect()))
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// As JSON on several lines, like `toJSON`.
    pub fn to_json(&self) -> String {
        super::json::write(self)
    }

    /// Whether `if` takes it for true.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Boolean(flag) => *flag,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::String(text) => !text.is_empty(),
            Self::Array(_) | Self::Object(_) => true,
        }
    }

    /// As a number; NaN when it is none.
    pub fn to_number(&self) -> f64 {
        match self {
            Self::Null => 0.0,
            Self::Boolean(flag) => f64::from(u8::from(*flag)),
            Self::Number(number) => *number,
            Self::String(text) => number::parse(text),
            Self::Array(_) | Self::Object(_) => f64::NAN,
        }
    }

    /// As text.
    pub fn to_text(&self) -> Arc<str> {
        match self {
            Self::Null => "".into(),
            Self::Boolean(true) => "true".into(),
            Self::Boolean(false) => "false".into(),
            Self::Number(number) => number::format(*number).into(),
            Self::String(text) => text.clone(),
            Self::Array(_) => "Array".into(),
            Self::Object(_) => "Object".into(),
        }
    }

    /// Whether it has no parts.
    pub const fn is_primitive(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Object(_))
    }

    /// `==`.
    pub fn loosely_equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::String(a), Self::String(b)) => compare_text(a, b).is_eq(),
            (Self::Array(a), Self::Array(b)) => Arc::ptr_eq(a, b),
            (Self::Object(a), Self::Object(b)) => Arc::ptr_eq(a, b),
            // NaN, which every other pair of kinds comes to, equals nothing.
            _ => self.is_primitive() && other.is_primitive() && self.to_number() == other.to_number(),
        }
    }

    /// `<` and `>`; nothing where neither holds nor equality.
    pub fn loosely_compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::String(a), Self::String(b)) => Some(compare_text(a, b)),
            _ if !self.is_primitive() || !other.is_primitive() => None,
            _ => self.to_number().partial_cmp(&other.to_number()),
        }
    }
}

/// Ordinal, upper and lower case being the same.
pub(super) fn compare_text(a: &str, b: &str) -> Ordering {
    units(a).cmp(units(b))
}

fn units(text: &str) -> impl Iterator<Item = u16> {
    text.chars().map(upper).flat_map(|c| {
        let mut buffer = [0; 2];
        let length = c.encode_utf16(&mut buffer).len();
        buffer.into_iter().take(length)
    })
}

/// Folds case as the runtime's ordinal comparison does.
pub(super) fn upper(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    if matches!(c, '\u{131}' | '\u{17f}') {
        return c;
    }
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// By what they hold, for tests and tables; the language's own `==` is [`Value::loosely_equals`].
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a.items == b.items,
            (Self::Object(a), Self::Object(b)) => a.iter().eq(b.iter()),
            _ => false,
        }
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Boolean(flag)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

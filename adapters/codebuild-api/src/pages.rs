//! Lists one page at a time. A token is where the next page begins; to clients it is any text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runspan_engine::journal::{Order, Span};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::operations::Input;

/// As many as CodeBuild gives at once.
const PAGE: u64 = 100;

/// The page that a request asks for.
pub(crate) fn span(input: &Input) -> Result<Span, ApiError> {
    let from = match input.text("nextToken") {
        None => 0,
        Some(token) => read(token).and_then(|text| text.parse().ok()).ok_or_else(invalid)?,
    };
    let count = input.number("maxResults").unwrap_or(PAGE);
    Ok(Span { order: order(input, Order::Descending), from, count })
}

/// `sortOrder`.
pub(crate) fn order(input: &Input, default: Order) -> Order {
    match input.text("sortOrder") {
        Some("ASCENDING") => Order::Ascending,
        Some("DESCENDING") => Order::Descending,
        _ => default,
    }
}

/// One more than a page holds, so that it is known whether there is another.
pub(crate) fn and_one(span: Span) -> Span {
    Span { count: span.count + 1, ..span }
}

/// The answer with a page of a list under this name, of which one more than fits was read.
pub(crate) fn answer<T: Into<Value>>(name: &str, mut list: Vec<T>, span: Span) -> Value {
    let count = usize::try_from(span.count).unwrap_or(usize::MAX);
    let mut answer = Map::new();
    if list.len() > count {
        list.truncate(count);
        answer.insert("nextToken".into(), token(&(span.from + span.count).to_string()).into());
    }
    answer.insert(name.into(), list.into_iter().map(Into::into).collect());
    answer.into()
}

/// The answer with a page of a list that is here as a whole.
pub(crate) fn part<T: Into<Value>>(name: &str, list: Vec<T>, span: Span) -> Value {
    let from = usize::try_from(span.from).unwrap_or(usize::MAX);
    let count = usize::try_from(span.count).unwrap_or(usize::MAX);
    answer(name, list.into_iter().skip(from).take(count.saturating_add(1)).collect(), span)
}

/// A token that says this.
pub(crate) fn token(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// What a token says.
pub(crate) fn read(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

fn invalid() -> ApiError {
    ApiError::invalid("Invalid next token")
}

//! `container` and `services` of a job.

use super::MessageError;
use super::context::Known;
use super::job::Hidden;
use super::token::Token;
use runspan_expressions::Value;

/// A container that a job asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// Its image; a service without one is not started.
    pub image: String,
    /// Its variables.
    pub env: Vec<(String, String)>,
    /// `--flag value` for the engine, as one text.
    pub options: String,
    /// `HOST:CONTAINER` or `CONTAINER`.
    pub ports: Vec<String>,
    /// `SOURCE:TARGET`.
    pub volumes: Vec<String>,
    /// Of a service: what it runs in the place of the image's program, as one text.
    pub entrypoint: Option<String>,
    /// Of a service: arguments of that, as one text.
    pub command: Option<String>,
    /// Login for the image's registry.
    pub credentials: Option<Credentials>,
}

/// A registry's login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub username: String,
    /// Password.
    pub password: Hidden,
}

/// Reads a container: an image's name, or a mapping.
pub(super) fn read(token: &Token, known: &Known, place: &str) -> Result<Option<Container>, MessageError> {
    let (value, plain) = both(token, known, place)?;
    Ok(of(&value, &plain))
}

/// The value, and what it is without secrets.
fn both(token: &Token, known: &Known, place: &str) -> Result<(Value, Value), MessageError> {
    let evaluate = |known: &Known| {
        token
            .evaluate(known)
            .map_err(|error| MessageError::Expression { place: place.to_owned(), reason: error.to_string() })
    };
    let mut public = known.clone();
    public.insert("secrets", Value::default());
    Ok((evaluate(known)?, evaluate(&public)?))
}

/// Only variables and logins may hold secrets, as at GitHub: the rest is written down.
fn of(value: &Value, plain: &Value) -> Option<Container> {
    let text = |value: &Value| value.to_text().to_string();
    let (Value::Object(secret), Value::Object(object)) = (value, plain) else {
        let value = plain;
        let image = text(value);
        return (!image.is_empty()).then(|| Container { image, ..Container::default() });
    };
    let list = |name: &str| match object.get(name) {
        Some(Value::Array(items)) => items.items().iter().map(text).collect(),
        _ => Vec::new(),
    };
    let member = |name: &str| object.get(name).map(text).unwrap_or_default();
    let credentials = match secret.get("credentials") {
        Some(Value::Object(login)) => Some(Credentials {
            username: login.get("username").map(text).unwrap_or_default(),
            password: Hidden::new(login.get("password").map(text).unwrap_or_default()),
        }),
        _ => None,
    };
    Some(Container {
        image: member("image"),
        env: match secret.get("env") {
            Some(Value::Object(env)) => {
                env.iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
            }
            _ => Vec::new(),
        },
        options: member("options"),
        ports: list("ports"),
        volumes: list("volumes"),
        entrypoint: Some(member("entrypoint")).filter(|text| !text.is_empty()),
        command: Some(member("command")).filter(|text| !text.is_empty()),
        credentials,
    })
}

/// Reads the services: alias to container.
pub(super) fn services(token: &Token, known: &Known) -> Result<Vec<(String, Container)>, MessageError> {
    let (value, plain) = both(token, known, "services")?;
    let (Value::Object(object), Value::Object(plain)) = (&value, &plain) else { return Ok(Vec::new()) };
    Ok(object
        .iter()
        .filter_map(|(alias, value)| Some((alias.to_owned(), of(value, plain.get(alias)?)?)))
        .filter(|(_, container)| !container.image.is_empty())
        .collect())
}

//! `jobs`.

use runspan_buildspec::{
    Code, Diagnostic, Span, quoted,
    yaml::{Node, Value},
};

use super::{Defaults, Field, Reader, Step, Text, Variable, reader::Keys, step};

/// One job of a workflow.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// Its key.
    pub id: String,
    /// The whole.
    pub field: Field<'a>,
    /// `name`.
    pub name: Option<Text<'a>>,
    /// `needs`: id and place.
    pub needs: Vec<(String, Span)>,
    /// `if`.
    pub condition: Option<Text<'a>>,
    /// `runs-on`.
    pub runs_on: Option<Field<'a>>,
    /// `env`.
    pub env: Vec<Variable<'a>>,
    /// `defaults.run`.
    pub defaults: Defaults<'a>,
    /// `outputs`.
    pub outputs: Vec<Variable<'a>>,
    /// `strategy`.
    pub strategy: Option<Strategy<'a>>,
    /// `continue-on-error`.
    pub continue_on_error: Option<Text<'a>>,
    /// `container`.
    pub container: Option<Container<'a>>,
    /// `services`: name and container.
    pub services: Vec<(String, Container<'a>)>,
    /// `uses`: the job is a call of another workflow.
    pub call: Option<Call<'a>>,
    /// `steps`.
    pub steps: Vec<Step<'a>>,
    /// Keys that say how the host treats the job: `permissions`, `environment`, `concurrency`, `timeout-minutes`.
    pub hosting: Vec<Field<'a>>,
    /// `needs`, `defaults` and `env` as they stand.
    pub plain: Vec<Field<'a>>,
}

/// A call of a reusable workflow.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// `uses`.
    pub uses: Text<'a>,
    /// `with`.
    pub with: Vec<Variable<'a>>,
    /// `secrets`.
    pub secrets: Option<Field<'a>>,
}

/// `strategy`.
#[derive(Clone, Debug)]
pub struct Strategy<'a> {
    /// `matrix`.
    pub matrix: Option<Matrix<'a>>,
    /// `fail-fast`.
    pub fail_fast: Option<Text<'a>>,
    /// `max-parallel`.
    pub max_parallel: Option<Text<'a>>,
}

/// `strategy.matrix`.
#[derive(Clone, Debug)]
pub struct Matrix<'a> {
    /// The whole.
    pub field: Field<'a>,
    /// Lists by name.
    pub axes: Vec<(String, Field<'a>)>,
    /// `include`.
    pub include: Option<Field<'a>>,
    /// `exclude`.
    pub exclude: Option<Field<'a>>,
}

/// `container`, or one of `services`.
#[derive(Clone, Debug)]
pub struct Container<'a> {
    /// The whole.
    pub field: Field<'a>,
    /// `image`, or the whole when it is text.
    pub image: Option<Text<'a>>,
    /// `env`.
    pub env: Vec<Variable<'a>>,
    /// `ports`, `volumes`.
    pub ports: Vec<Text<'a>>,
    /// `volumes`.
    pub volumes: Vec<Text<'a>>,
    /// `options`.
    pub options: Option<Text<'a>>,
    /// `credentials`.
    pub credentials: Option<Field<'a>>,
    /// `command` and `entrypoint`.
    pub command: Option<Text<'a>>,
}

fn text<'a>(keys: &mut Keys<'a>, key: &'static str, reader: &mut Reader<'_>) -> Option<Text<'a>> {
    keys.take(key).and_then(|field| reader.text(field))
}

pub(super) fn read<'a>(id: &str, field: Field<'a>, reader: &mut Reader<'_>) -> Option<Job<'a>> {
    if !matches!(field.node.value, Value::Map(_)) {
        reader.wrong_type(&field, "a map with `runs-on` and `steps`, or with `uses`");
        return None;
    }
    let valid = id.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !valid {
        let message = format!("{} cannot be the name of a job", quoted(id));
        let help = "names begin with a letter or `_` and have letters, digits, `-` and `_`";
        reader.say(Diagnostic::new(Code::InvalidValue, message).at(field.place).help(help));
    }
    let mut keys = reader.keys(&field, "a map");
    let name = text(&mut keys, "name", reader);
    let needs_field = keys.take("needs");
    let needs = needs_field.as_ref().map(|field| needs(field, reader)).unwrap_or_default();
    let condition = keys.take("if").and_then(|field| reader.condition(field));
    let runs_on = keys.take("runs-on");
    let env_field = keys.take("env");
    let env = env_field.as_ref().map(|field| reader.variables(field)).unwrap_or_default();
    let defaults_field = keys.take("defaults");
    let defaults = defaults_field.as_ref().map(|field| read_defaults(field, reader)).unwrap_or_default();
    let outputs = keys.take("outputs").map(|field| reader.variables(&field)).unwrap_or_default();
    let strategy = keys.take("strategy").map(|field| strategy(&field, reader));
    let continue_on_error = text(&mut keys, "continue-on-error", reader);
    let container = keys.take("container").map(|field| read_container(field, reader));
    let services = match keys.take("services") {
        Some(field) => {
            reader.keys(&field, "a map of services");
            field
                .entries()
                .into_iter()
                .map(|(name, field)| (name.to_owned(), read_container(field, reader)))
                .collect()
        }
        None => Vec::new(),
    };
    let hosting: Vec<_> = ["permissions", "environment", "concurrency", "timeout-minutes", "snapshot"]
        .into_iter()
        .filter_map(|key| keys.take(key))
        .collect();
    let steps_field = keys.take("steps");
    let steps = steps_field.as_ref().map(|field| step::read_all(field, reader)).unwrap_or_default();
    let call = keys.take("uses").and_then(|uses| reader.text(uses));
    let (with, secrets) = (keys.take("with"), keys.take("secrets"));
    let call = call.map(|uses| Call {
        uses,
        with: with.map(|with| reader.variables(&with)).unwrap_or_default(),
        secrets,
    });
    if call.is_none() {
        if runs_on.is_none() {
            reader.missing(field.place, &field.path, "`runs-on`");
        }
        if steps_field.is_none() {
            reader.missing(field.place, &field.path, "`steps`");
        }
    }
    reader.unknown(keys);
    let plain = [needs_field, env_field, defaults_field].into_iter().flatten().collect();
    Some(Job {
        id: id.to_owned(),
        field,
        name,
        needs,
        condition,
        runs_on,
        env,
        defaults,
        outputs,
        strategy,
        continue_on_error,
        container,
        services,
        call,
        steps,
        hosting,
        plain,
    })
}

fn needs(field: &Field<'_>, reader: &mut Reader<'_>) -> Vec<(String, Span)> {
    let items = field.items();
    let mut needs = Vec::new();
    for item in items {
        match item.node.text() {
            Some(id) => needs.push((id.to_owned(), item.node.span)),
            None => reader.wrong_type(&item, "the name of a job"),
        }
    }
    needs
}

pub(super) fn read_defaults<'a>(field: &Field<'a>, reader: &mut Reader<'_>) -> Defaults<'a> {
    let mut keys = reader.keys(field, "a map");
    let run = keys.take("run");
    reader.unknown(keys);
    let Some(run) = run else { return Defaults::default() };
    let mut keys = reader.keys(&run, "a map");
    let defaults = Defaults {
        shell: text(&mut keys, "shell", reader),
        working_directory: text(&mut keys, "working-directory", reader),
    };
    reader.unknown(keys);
    defaults
}

fn strategy<'a>(field: &Field<'a>, reader: &mut Reader<'_>) -> Strategy<'a> {
    let mut keys = reader.keys(field, "a map");
    let strategy = Strategy {
        matrix: keys.take("matrix").map(|field| matrix(field, reader)),
        fail_fast: text(&mut keys, "fail-fast", reader),
        max_parallel: text(&mut keys, "max-parallel", reader),
    };
    reader.unknown(keys);
    strategy
}

fn matrix<'a>(field: Field<'a>, reader: &mut Reader<'_>) -> Matrix<'a> {
    let (mut axes, mut include, mut exclude) = (Vec::new(), None, None);
    match &field.node.value {
        Value::Map(_) => {
            for (name, field) in field.entries() {
                match name {
                    "include" => include = Some(field),
                    "exclude" => exclude = Some(field),
                    _ => axes.push((name.to_owned(), field)),
                }
            }
        }
        // An expression, which whoever translates judges.
        Value::Scalar(_) => drop(reader.text(field.clone())),
        _ => reader.wrong_type(&field, "a map of lists"),
    }
    for list in axes.iter().map(|(_, field)| field).chain(&include).chain(&exclude) {
        match &list.node.value {
            Value::List(items) => items.iter().for_each(|item| expressions(list, item, reader)),
            Value::Scalar(_) => drop(reader.text(list.clone())),
            _ => reader.wrong_type(list, "a list"),
        }
    }
    Matrix { field, axes, include, exclude }
}

/// Looks for faults in the expressions below an item.
fn expressions(list: &Field<'_>, node: &Node, reader: &mut Reader<'_>) {
    match &node.value {
        Value::Scalar(_) => {
            drop(reader.text(Field { path: list.path.clone(), place: node.span, node }));
        }
        Value::List(items) => items.iter().for_each(|item| expressions(list, item, reader)),
        Value::Map(entries) => entries.iter().for_each(|entry| expressions(list, &entry.value, reader)),
        Value::Null => {}
    }
}

fn read_container<'a>(field: Field<'a>, reader: &mut Reader<'_>) -> Container<'a> {
    let mut container = Container {
        field: field.clone(),
        image: None,
        env: Vec::new(),
        ports: Vec::new(),
        volumes: Vec::new(),
        options: None,
        credentials: None,
        command: None,
    };
    if matches!(field.node.value, Value::Scalar(_)) {
        container.image = reader.text(field);
        return container;
    }
    let mut keys = reader.keys(&field, "an image or a map with `image`");
    container.image = text(&mut keys, "image", reader);
    container.env = keys.take("env").map(|field| reader.variables(&field)).unwrap_or_default();
    for (key, into) in [("ports", &mut container.ports), ("volumes", &mut container.volumes)] {
        if let Some(list) = keys.take(key) {
            into.extend(list.items().into_iter().filter_map(|item| reader.text(item)));
        }
    }
    container.options = text(&mut keys, "options", reader);
    container.credentials = keys.take("credentials");
    container.command = text(&mut keys, "command", reader);
    keys.take("entrypoint");
    reader.unknown(keys);
    if container.image.is_none() {
        reader.missing(field.place, &field.path, "`image`");
    }
    container
}

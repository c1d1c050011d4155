//! `action.yml`.

use runspan_buildspec::{
    Code, Diagnostic, quoted,
    yaml::{Node, Value},
};

use super::{Field, Reader, Step, Text, Variable, step};

/// An action.
#[derive(Clone, Debug)]
pub struct Action<'a> {
    /// `name`.
    pub name: Option<Text<'a>>,
    /// `inputs`: name and default.
    pub inputs: Vec<(String, Option<Text<'a>>)>,
    /// `outputs`: name and value.
    pub outputs: Vec<Variable<'a>>,
    /// `runs`.
    pub runs: Runs<'a>,
}

/// How an action runs.
#[derive(Clone, Debug)]
pub enum Runs<'a> {
    /// `using: composite`.
    Composite(Vec<Step<'a>>),
    /// `using: node24` and the like.
    Node {
        /// `using`.
        using: String,
        /// `main`.
        main: Option<String>,
        /// `pre`.
        pre: Option<String>,
        /// `pre-if`.
        pre_condition: Option<Text<'a>>,
        /// `post`.
        post: Option<String>,
        /// `post-if`.
        post_condition: Option<Text<'a>>,
    },
    /// `using: docker`.
    Docker {
        /// `image`.
        image: Option<String>,
        /// `entrypoint`.
        entrypoint: Option<String>,
        /// `pre-entrypoint`.
        pre_entrypoint: Option<String>,
        /// `post-entrypoint`.
        post_entrypoint: Option<String>,
        /// `args`.
        args: Vec<Text<'a>>,
        /// `env`.
        env: Vec<Variable<'a>>,
    },
    /// Nothing that can be run.
    Invalid,
}

pub(super) fn read<'a>(tree: &'a Node, reader: &mut Reader<'_>) -> Action<'a> {
    let root = Field { path: String::new(), place: tree.span, node: tree };
    let mut keys = reader.keys(&root, "a map");
    let name = keys.take("name").and_then(|field| reader.text(field));
    for key in ["description", "author", "branding", "deprecationMessage"] {
        keys.take(key);
    }
    let inputs = keys.take("inputs").map(|field| inputs(&field, reader)).unwrap_or_default();
    let outputs = keys.take("outputs").map(|field| outputs(&field, reader)).unwrap_or_default();
    let runs = match keys.take("runs") {
        Some(field) => runs(&field, reader),
        None => {
            reader.missing(tree.span, "the action", "`runs`");
            Runs::Invalid
        }
    };
    reader.unknown(keys);
    Action { name, inputs, outputs, runs }
}

fn inputs<'a>(field: &Field<'a>, reader: &mut Reader<'_>) -> Vec<(String, Option<Text<'a>>)> {
    reader.keys(field, "a map of inputs");
    let mut inputs = Vec::new();
    for (name, field) in field.entries() {
        let default = field.entries().into_iter().find(|(key, _)| *key == "default").map(|(_, field)| field);
        inputs.push((name.to_owned(), default.and_then(|field| reader.text(field))));
    }
    inputs
}

fn outputs<'a>(field: &Field<'a>, reader: &mut Reader<'_>) -> Vec<Variable<'a>> {
    reader.keys(field, "a map of outputs");
    let mut outputs = Vec::new();
    for (name, field) in field.entries() {
        let value = field.entries().into_iter().find(|(key, _)| *key == "value").map(|(_, field)| field);
        let value = value.and_then(|field| reader.text(field));
        outputs.extend(value.map(|value| Variable { name: name.to_owned(), value }));
    }
    outputs
}

fn runs<'a>(field: &Field<'a>, reader: &mut Reader<'_>) -> Runs<'a> {
    let mut keys = reader.keys(field, "a map");
    let Some(using) = keys.take("using") else {
        reader.missing(field.place, &field.path, "`using`");
        return Runs::Invalid;
    };
    let word = |field: Option<Field<'a>>| field.and_then(|field| field.node.text().map(str::to_owned));
    let name = word(Some(using.clone())).unwrap_or_default();
    let runs = match name.as_str() {
        "composite" => match keys.take("steps") {
            Some(steps) => Runs::Composite(step::read_all(&steps, reader)),
            None => {
                reader.missing(field.place, &field.path, "`steps`");
                Runs::Invalid
            }
        },
        "docker" => Runs::Docker {
            image: word(keys.take("image")),
            entrypoint: word(keys.take("entrypoint")),
            pre_entrypoint: word(keys.take("pre-entrypoint")),
            post_entrypoint: word(keys.take("post-entrypoint")),
            args: match keys.take("args") {
                Some(args) if matches!(args.node.value, Value::List(_)) => {
                    args.items().into_iter().filter_map(|item| reader.text(item)).collect()
                }
                _ => Vec::new(),
            },
            env: keys.take("env").map(|field| reader.variables(&field)).unwrap_or_default(),
        },
        node if node.starts_with("node") => Runs::Node {
            using: node.to_owned(),
            main: word(keys.take("main")),
            pre: word(keys.take("pre")),
            pre_condition: keys.take("pre-if").and_then(|field| reader.condition(field)),
            post: word(keys.take("post")),
            post_condition: keys.take("post-if").and_then(|field| reader.condition(field)),
        },
        other => {
            let message = format!("{} cannot be {}", quoted(&using.path), quoted(other));
            let help = "use `composite`, `docker`, `node20` or `node24`";
            reader.say(Diagnostic::new(Code::InvalidValue, message).at(using.node.span).help(help));
            Runs::Invalid
        }
    };
    reader.unknown(keys);
    runs
}

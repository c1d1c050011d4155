//! `action.yml`: what an action is given, gives, and runs.

use indexmap::IndexMap;
use runspan_buildspec::yaml::{self, Node, Value};
use runspan_buildspec::{Step, StepAction};

/// An action.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) name: Option<String>,
    pub(crate) inputs: IndexMap<String, Input>,
    /// Of a composite action: text with expressions.
    pub(crate) outputs: IndexMap<String, String>,
    pub(crate) runs: Runs,
}

/// An input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    /// Text with expressions.
    pub(crate) default: Option<String>,
    pub(crate) deprecated: Option<String>,
}

/// How an action runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Runs {
    Composite(Vec<Step>),
    Node(NodeAction),
    Docker(DockerAction),
}

impl Default for Runs {
    fn default() -> Self {
        Self::Composite(Vec::new())
    }
}

/// A JavaScript action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeAction {
    /// The major version it wants.
    pub(crate) version: u32,
    pub(crate) main: String,
    pub(crate) pre: Option<String>,
    pub(crate) pre_if: Option<String>,
    pub(crate) post: Option<String>,
    pub(crate) post_if: Option<String>,
}

/// An action that is a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DockerAction {
    /// `docker://image`, or a Dockerfile of the action.
    pub(crate) image: String,
    pub(crate) entrypoint: Option<String>,
    pub(crate) pre_entrypoint: Option<String>,
    pub(crate) post_entrypoint: Option<String>,
    pub(crate) args: Vec<String>,
    pub(crate) env: IndexMap<String, String>,
    pub(crate) pre_if: Option<String>,
    pub(crate) post_if: Option<String>,
}

/// Reads an action.
///
/// # Errors
/// What is wrong with it, with its place.
pub(crate) fn read(text: &str) -> Result<Manifest, String> {
    let tree = yaml::read(text).map_err(|diagnostics| {
        diagnostics.first().map_or_else(|| "it is not YAML".to_owned(), ToString::to_string)
    })?;
    let root = Fields::of(&tree, "the action")?;
    let inputs = match root.get("inputs") {
        None => IndexMap::new(),
        Some(node) => {
            Fields::of(node, "`inputs`")?.all().map(|(name, node)| (name.to_owned(), input(node))).collect()
        }
    };
    let outputs = match root.get("outputs") {
        None => IndexMap::new(),
        Some(node) => Fields::of(node, "`outputs`")?
            .all()
            .filter_map(|(name, node)| Some((name.to_owned(), member(node, "value")?)))
            .collect(),
    };
    let runs = root.get("runs").ok_or("`runs` is missing")?;
    Ok(Manifest { name: root.text("name"), inputs, outputs, runs: self::runs(&Fields::of(runs, "`runs`")?)? })
}

fn input(node: &Node) -> Input {
    Input { default: member(node, "default"), deprecated: member(node, "deprecationMessage") }
}

fn runs(fields: &Fields<'_>) -> Result<Runs, String> {
    let using = fields.text("using").ok_or("`runs.using` is missing")?;
    Ok(match using.to_ascii_lowercase().as_str() {
        "composite" => {
            let steps = fields.get("steps").ok_or("`runs.steps` is missing")?;
            let Value::List(items) = &steps.value else { return Err(wrong(steps, "`runs.steps`", "a list")) };
            Runs::Composite(items.iter().map(step).collect::<Result<_, _>>()?)
        }
        "docker" => Runs::Docker(DockerAction {
            image: fields.text("image").ok_or("`runs.image` is missing")?,
            entrypoint: fields.text("entrypoint"),
            pre_entrypoint: fields.text("pre-entrypoint"),
            post_entrypoint: fields.text("post-entrypoint"),
            args: match fields.get("args").map(|node| &node.value) {
                Some(Value::List(items)) => items.iter().map(text).collect(),
                _ => Vec::new(),
            },
            env: fields.get("env").map(map).transpose()?.unwrap_or_default(),
            pre_if: fields.text("pre-if"),
            post_if: fields.text("post-if"),
        }),
        name => match name.strip_prefix("node").and_then(|version| version.parse().ok()) {
            Some(version @ (12 | 16 | 20 | 24)) => Runs::Node(NodeAction {
                version,
                main: fields.text("main").ok_or("`runs.main` is missing")?,
                pre: fields.text("pre"),
                pre_if: fields.text("pre-if"),
                post: fields.text("post"),
                post_if: fields.text("post-if"),
            }),
            _ => {
                return Err(format!(
                    "'using: {using}' is not supported, use 'docker', 'node12', 'node16', 'node20' or 'node24' instead."
                ));
            }
        },
    })
}

/// A step of a composite action.
fn step(node: &Node) -> Result<Step, String> {
    let fields = Fields::of(node, "a step")?;
    let action = match (fields.text("uses"), fields.text("run")) {
        (Some(uses), None) => {
            StepAction::Uses { uses, with: fields.get("with").map(map).transpose()?.unwrap_or_default() }
        }
        (None, Some(run)) => StepAction::Run {
            run,
            shell: Some(
                fields.text("shell").ok_or_else(|| wrong(node, "a step of an action", "given a `shell`"))?,
            ),
            working_directory: fields.text("working-directory"),
        },
        _ => return Err(wrong(node, "a step of an action", "given either `run` or `uses`")),
    };
    Ok(Step {
        id: fields.text("id"),
        condition: fields.text("if"),
        name: fields.text("name"),
        action,
        env: fields.get("env").map(map).transpose()?.unwrap_or_default(),
        continue_on_error: fields.text("continue-on-error"),
        timeout_minutes: fields.text("timeout-minutes"),
    })
}

struct Fields<'a>(&'a [yaml::Entry]);

impl<'a> Fields<'a> {
    fn of(node: &'a Node, what: &str) -> Result<Self, String> {
        match &node.value {
            Value::Map(entries) => Ok(Self(entries)),
            Value::Null => Ok(Self(&[])),
            _ => Err(wrong(node, what, "a map")),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&'a str, &'a Node)> {
        self.0.iter().map(|entry| (entry.key.text.as_str(), &entry.value))
    }

    fn get(&self, name: &str) -> Option<&'a Node> {
        let given = |node: &&Node| node.value != Value::Null;
        self.all().find(|(key, _)| *key == name).map(|(_, node)| node).filter(given)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.text().map(str::to_owned)
    }
}

fn member(node: &Node, name: &str) -> Option<String> {
    Fields::of(node, "").ok()?.text(name)
}

fn text(node: &Node) -> String {
    node.text().unwrap_or_default().to_owned()
}

fn map(node: &Node) -> Result<IndexMap<String, String>, String> {
    Ok(Fields::of(node, "this")?.all().map(|(name, node)| (name.to_owned(), text(node))).collect())
}

fn wrong(node: &Node, what: &str, expected: &str) -> String {
    format!("line {}: {what} must be {expected}", node.span.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_are_read() {
        let node = read(
            "name: n\ninputs: { a: { default: true }, b: { required: true } }\nruns: { using: Node20, main: m.js, post: p.js, post-if: success() }",
        )
        .unwrap();
        assert_eq!(node.inputs["a"].default.as_deref(), Some("true"));
        assert_eq!(node.inputs["b"].default, None);
        let Runs::Node(action) = node.runs else { panic!("{:?}", node.runs) };
        assert_eq!(
            (action.version, action.main.as_str(), action.post.as_deref()),
            (20, "m.js", Some("p.js"))
        );
        let composite = read(
            "outputs: { o: { value: '${{ steps.s.outputs.o }}' } }\nruns:\n  using: composite\n  steps:\n    - { id: s, run: 'echo', shell: bash }\n    - uses: ./x\n      with: { a: 1 }",
        )
        .unwrap();
        assert_eq!(composite.outputs["o"], "${{ steps.s.outputs.o }}");
        assert!(matches!(composite.runs, Runs::Composite(steps) if steps.len() == 2));
        let docker =
            read("runs: { using: docker, image: Dockerfile, args: [a, '${{ inputs.b }}'], env: { X: 1 } }")
                .unwrap();
        assert!(
            matches!(docker.runs, Runs::Docker(action) if action.args.len() == 2 && action.env["X"] == "1")
        );
    }

    #[test]
    fn faults_are_named() {
        for (text, expected) in [
            ("[", "yaml"),
            ("- a", "line 1: the action must be a map"),
            ("name: x", "`runs` is missing"),
            ("runs: {}", "`runs.using` is missing"),
            ("runs: { using: node18, main: x }", "'using: node18' is not supported"),
            ("runs: { using: node20 }", "`runs.main` is missing"),
            ("runs: { using: composite, steps: x }", "`runs.steps` must be a list"),
            (
                "runs:\n  using: composite\n  steps:\n    - run: x",
                "line 4: a step of an action must be given a `shell`",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}

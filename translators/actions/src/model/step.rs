//! `steps`.

use runspan_buildspec::{Code, Diagnostic, quoted, yaml::Value};

use super::{Field, Reader, Text, Variable};

/// One step of a job.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The whole.
    pub field: Field<'a>,
    /// `id`.
    pub id: Option<Text<'a>>,
    /// `name`.
    pub name: Option<Text<'a>>,
    /// `if`.
    pub condition: Option<Text<'a>>,
    /// `env`, as it stands.
    pub env_field: Option<Field<'a>>,
    /// `env`.
    pub env: Vec<Variable<'a>>,
    /// `continue-on-error`.
    pub continue_on_error: Option<Text<'a>>,
    /// `timeout-minutes`.
    pub timeout_minutes: Option<Text<'a>>,
    /// `run` or `uses`.
    pub work: Work<'a>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Work<'a> {
    /// `run`.
    Run {
        /// The script.
        run: Text<'a>,
        /// `shell`.
        shell: Option<Text<'a>>,
        /// `working-directory`.
        working_directory: Option<Text<'a>>,
    },
    /// `uses`.
    Uses {
        /// Which action.
        uses: Text<'a>,
        /// `with`.
        with: Vec<Variable<'a>>,
    },
}

pub(super) fn read_all<'a>(field: &Field<'a>, reader: &mut Reader<'_>) -> Vec<Step<'a>> {
    if !matches!(field.node.value, Value::List(_)) {
        reader.wrong_type(field, "a list of steps");
        return Vec::new();
    }
    field.items().into_iter().filter_map(|item| read(item, reader)).collect()
}

fn read<'a>(field: Field<'a>, reader: &mut Reader<'_>) -> Option<Step<'a>> {
    if !matches!(field.node.value, Value::Map(_)) {
        reader.wrong_type(&field, "a map with `run` or `uses`");
        return None;
    }
    let mut keys = reader.keys(&field, "a map");
    let text = |keys: &mut super::reader::Keys<'a>, key, reader: &mut Reader<'_>| {
        keys.take(key).and_then(|field| reader.text(field))
    };
    let id = text(&mut keys, "id", reader);
    let name = text(&mut keys, "name", reader);
    let condition = keys.take("if").and_then(|field| reader.condition(field));
    let env_field = keys.take("env");
    let env = env_field.as_ref().map(|field| reader.variables(field)).unwrap_or_default();
    let continue_on_error = text(&mut keys, "continue-on-error", reader);
    let timeout_minutes = text(&mut keys, "timeout-minutes", reader);
    let shell = text(&mut keys, "shell", reader);
    let working_directory = text(&mut keys, "working-directory", reader);
    let with = keys.take("with");
    let (run, uses) = (keys.take("run"), keys.take("uses"));
    let work = match (run, uses) {
        (Some(run), None) => {
            if let Some(with) = with {
                let message = format!("{} has no effect beside `run`", quoted(&with.path));
                reader.say(Diagnostic::new(Code::IgnoredKey, message).at(with.place));
            }
            reader.text(run).map(|run| Work::Run { run, shell, working_directory })
        }
        (None, Some(uses)) => {
            let with = with.map(|with| reader.variables(&with)).unwrap_or_default();
            reader.text(uses).map(|uses| Work::Uses { uses, with })
        }
        (Some(run), Some(uses)) => {
            let message = format!("{} has both `run` and `uses`", quoted(&field.path));
            reader.say(
                Diagnostic::new(Code::ConflictingKeys, message)
                    .at(uses.place)
                    .related(run.place, "`run` is here")
                    .help("make two steps of it"),
            );
            None
        }
        (None, None) => {
            reader.missing(field.place, &field.path, "`run` or `uses`");
            None
        }
    };
    reader.unknown(keys);
    Some(Step { field, id, name, condition, env_field, env, continue_on_error, timeout_minutes, work: work? })
}

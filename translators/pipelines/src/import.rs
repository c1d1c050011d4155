//! Pipelines of other files.

use runspan_buildspec::yaml;

use crate::account::Account;
use crate::definitions::{Defaults, Definitions};
use crate::field::Field;
use crate::file::Translator;
use crate::pipeline::Line;

/// The file that a repository's pipelines stand in.
const FILE: &str = "bitbucket-pipelines.yml";

/// Where a pipeline is imported from.
struct Import {
    /// The file, below the tree or below the directory of its repository.
    path: String,
    pipeline: String,
}

impl<'a> Translator<'a> {
    /// `import` of a pipeline, with its `variables`.
    pub(crate) fn import(&mut self, pipeline: &Field<'a>, place: &str, line: &mut Line) {
        let Some(field) = pipeline.get("import") else { return };
        for (key, part) in pipeline.entries() {
            match key {
                "import" => {}
                "variables" => self.variables(&part, line),
                _ => self.unknown(&part, "an import"),
            }
        }
        let text = field.text().unwrap_or_default();
        let found =
            self.import_of(text).ok_or_else(|| format!("`{text}` names no pipeline")).and_then(|import| {
                if self.is_imported {
                    return Err("an imported pipeline imports another".to_owned());
                }
                self.read_import(&import, place, line)
            });
        match found {
            Ok(true) => self.account.exact(&field, "the jobs of that pipeline"),
            Ok(false) => {
                let difference =
                    "the other file has constructs that are left to a person: translate it to see them";
                self.account.approximate(&field, "the jobs of that pipeline", difference);
            }
            Err(reason) => {
                let suggestion = "copy the pipeline into this file";
                self.account.manual(&field, reason, Some(suggestion.into()));
            }
        }
    }

    /// `{repository}:{version}:{pipeline}` or `{pipeline}@{source}`.
    fn import_of(&self, text: &str) -> Option<Import> {
        if let Some((pipeline, source)) = text.split_once('@') {
            let source = self.definitions.imports.get(source)?;
            let location = source.text().or_else(|| source.get("import")?.text())?;
            let parts: Vec<&str> = location.split(':').collect();
            let path = match parts.as_slice() {
                [file] => (*file).to_owned(),
                [repository, _] => format!("../{repository}/{FILE}"),
                [repository, _, file] => format!("../{repository}/{file}"),
                _ => return None,
            };
            return Some(Import { path, pipeline: pipeline.to_owned() });
        }
        let parts: Vec<&str> = text.split(':').collect();
        let [repository, _, pipeline] = parts.as_slice() else { return None };
        Some(Import { path: format!("../{repository}/{FILE}"), pipeline: (*pipeline).to_owned() })
    }

    /// Reads the jobs; whether nothing of them is left to a person.
    fn read_import(&self, import: &Import, place: &str, line: &mut Line) -> Result<bool, String> {
        let Import { path, pipeline } = import;
        let text = (self.context.read)(path).ok_or_else(|| format!("{path} cannot be read here"))?;
        let node = yaml::read(&text).map_err(|faults| {
            format!("{path}: {}", faults.first().map(ToString::to_string).unwrap_or_default())
        })?;
        let file = Field::file(&node);
        let mut other = Translator {
            account: Account::default(),
            context: self.context,
            defaults: Defaults::of(&file),
            definitions: Definitions::of(&file),
            anchors: Vec::new(),
            is_imported: true,
        };
        let found = other.definitions.pipelines.get(pipeline.as_str()).cloned();
        let found = found.ok_or_else(|| format!("{path} has no `definitions.pipelines.{pipeline}`"))?;
        other.extend(&found, place, line);
        let (notes, _) = other.account.close();
        Ok(notes.iter().all(|note| note.fidelity.name() != "manual"))
    }
}

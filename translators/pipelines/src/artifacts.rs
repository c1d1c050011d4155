//! Artifacts: what steps hand on.

use runspan_buildspec::{Artifact, Artifacts, Report};

use crate::draft::{Command, Download, Draft};
use crate::field::Field;
use crate::file::Translator;

/// An earlier step with artifacts.
#[derive(Clone, Debug)]
pub(crate) struct Producer {
    /// Its identifier in the batch.
    pub(crate) identifier: String,
    /// What its artifacts are called, where they have names.
    pub(crate) names: Vec<String>,
}

const HANDED_ON: &str = "runspan gives them to later builds of the batch as secondary sources, AWS needs S3 for it; \
    the build fails where nothing matches";

impl<'a> Translator<'a> {
    /// `artifacts` of a step.
    pub(crate) fn artifacts(&mut self, field: &Field<'a>, draft: &mut Draft) {
        if !field.is_map() {
            add(draft, field.texts());
            self.account.approximate(field, "`artifacts.files`", HANDED_ON);
            return;
        }
        self.account.exact(field, "`artifacts`");
        for (key, part) in field.entries() {
            match key {
                "paths" => {
                    add(draft, part.texts());
                    self.account.approximate(&part, "`artifacts.files`", HANDED_ON);
                }
                "download" => {
                    draft.download = match part.text() {
                        Some("false") => Download::None,
                        Some(_) => Download::All,
                        None => Download::Named(part.texts()),
                    };
                    self.account.exact(&part, "which artifacts are copied before the script");
                }
                "upload" => {
                    self.account.exact(&part, "`artifacts` and `reports`");
                    for upload in part.items() {
                        self.upload(&upload, draft);
                    }
                }
                _ => self.unknown(&part, "artifacts"),
            }
        }
    }

    fn upload(&mut self, upload: &Field<'a>, draft: &mut Draft) {
        let text = |key: &str| upload.get(key).and_then(|field| field.text()).unwrap_or_default().to_owned();
        let texts = |key: &str| upload.get(key).map(|field| field.texts()).unwrap_or_default();
        let (name, kind) = (text("name"), text("type"));
        let files: Vec<String> = texts("paths").iter().map(|path| everything_below(path)).collect();
        let exclude = texts("ignore-paths");
        match kind.as_str() {
            "test-reports" => {
                draft.reports.insert(identifier(&name), Report { files, ..Report::default() });
            }
            "scoped" => {
                let artifact = Artifact { files, exclude_paths: exclude, ..Artifact::default() };
                let artifacts = draft.artifacts.get_or_insert_default();
                artifacts.secondary.insert(identifier(&name), artifact);
            }
            _ => {
                add(draft, files);
                draft.shared.push(name);
                if let Some(artifacts) = &mut draft.artifacts {
                    artifacts.primary.exclude_paths.extend(exclude);
                }
            }
        }
        for (key, field) in upload.entries() {
            match (key, kind.as_str()) {
                ("name", "test-reports") => self.account.exact(&field, "the report group"),
                ("name", "scoped") => self.account.exact(&field, "the secondary artifact"),
                ("name", _) => {
                    let difference = "the artifacts of a step are one; the name chooses the step";
                    self.account.approximate(&field, "`artifacts`", difference);
                }
                ("type", _) => self.account.exact(&field, "where its files go"),
                ("paths", "test-reports") => self.account.exact(&field, "`reports`"),
                ("paths", _) => self.account.approximate(&field, "`artifacts.files`", HANDED_ON),
                ("ignore-paths", "test-reports") => {
                    self.account.approximate(&field, "nothing", "reports have no exclusions");
                }
                ("ignore-paths", _) => self.account.exact(&field, "`exclude-paths`"),
                ("depth", _) => {
                    self.account.approximate(&field, "nothing", "a pattern's own depth counts");
                }
                ("capture-on", _) if field.text() == Some("always") => {
                    self.account.exact(&field, "nothing: artifacts are kept after a failed build too");
                }
                ("capture-on", _) => {
                    let difference = "kept after a failed build and a good one alike";
                    self.account.approximate(&field, "nothing", difference);
                }
                _ => self.unknown(&field, "an artifact"),
            }
        }
    }
}

/// The command that brings what earlier steps made.
pub(crate) fn fetch(draft: &Draft, earlier: &[Producer]) -> Option<Command> {
    let wanted = earlier.iter().filter(|producer| match &draft.download {
        Download::All => true,
        Download::None => false,
        Download::Named(names) => producer.names.iter().any(|name| names.contains(name)),
    });
    let from: Vec<String> =
        wanted.map(|producer| format!("\"$CODEBUILD_SRC_DIR_{}\"", producer.identifier)).collect();
    let text = match from.as_slice() {
        [] => return None,
        [one] => format!("[ -z {one} ] || cp -R {one}/. ."),
        all => format!("for from in {}; do [ -z \"$from\" ] || cp -R \"$from\"/. .; done", all.join(" ")),
    };
    Some(Command::because(text, "Artifacts of earlier steps; on AWS, copy them through S3 instead."))
}

fn add(draft: &mut Draft, paths: Vec<String>) {
    let artifacts = draft.artifacts.get_or_insert_with(Artifacts::default);
    artifacts.primary.files.extend(paths.iter().map(|path| everything_below(path)));
}

/// Bitbucket's `dir/**` is CodeBuild's `dir/**/*`.
fn everything_below(path: &str) -> String {
    let path = path.trim_start_matches("./").replace("$BITBUCKET_CLONE_DIR/", "");
    match path.strip_suffix("/**").or_else(|| path.strip_suffix('/')) {
        Some(directory) => format!("{directory}/**/*"),
        None if path == "**" => "**/*".to_owned(),
        None => path,
    }
}

/// A name of letters, digits and `_`.
pub(crate) fn identifier(name: &str) -> String {
    const LONGEST: usize = 60;
    let mut out = String::new();
    for c in name.chars().take(LONGEST) {
        match c {
            c if c.is_ascii_alphanumeric() => out.push(c.to_ascii_lowercase()),
            _ if out.ends_with('_') || out.is_empty() => {}
            _ => out.push('_'),
        }
    }
    out.truncate(out.trim_end_matches('_').len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_named_codebuilds_way() {
        for (path, is) in [
            ("dist/**", "dist/**/*"),
            ("a/", "a/**/*"),
            ("**", "**/*"),
            ("./x.txt", "x.txt"),
            ("*.jar", "*.jar"),
        ] {
            assert_eq!(everything_below(path), is);
        }
        assert_eq!(identifier("Build & test (node 20)"), "build_test_node_20");
        assert_eq!(identifier("…"), "");
    }
}

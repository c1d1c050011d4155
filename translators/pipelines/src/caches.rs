//! Caches.

use runspan_buildspec::Cache;

use crate::draft::Draft;
use crate::field::Field;
use crate::file::Translator;

/// Bitbucket's own caches and what they keep.
const OWN: &[(&str, &[&str])] = &[
    ("composer", &["/root/.composer/cache/**/*"]),
    ("dotnetcore", &["/root/.nuget/packages/**/*"]),
    ("gradle", &["/root/.gradle/caches/**/*"]),
    ("ivy2", &["/root/.ivy2/cache/**/*"]),
    ("maven", &["/root/.m2/repository/**/*"]),
    ("node", &["node_modules/**/*"]),
    ("pip", &["/root/.cache/pip/**/*"]),
    ("sbt", &["/root/.sbt/**/*", "/root/.ivy2/cache/**/*"]),
];

const DOCKER: &str = "docker";
/// CodeBuild takes so many characters.
const LONGEST_KEY: usize = 512;

impl<'a> Translator<'a> {
    /// `caches` of a step.
    pub(crate) fn caches(&mut self, field: &Field<'a>, draft: &mut Draft) {
        let mut keys = Vec::new();
        let mut differences =
            vec!["kept up to date by each build, where Bitbucket keeps the first for a week"];
        let mut unknown = Vec::new();
        let names = field.texts();
        for name in &names {
            if let Some(defined) = self.definitions.caches.get(name.as_str()) {
                let path = defined.get("path").unwrap_or_else(|| defined.clone());
                draft.cache.paths.push(everything_below(path.text().unwrap_or_default()));
                let files = defined.get("key").and_then(|key| key.get("files"));
                keys.extend(
                    files.map(|files| format!("{name}-$(codebuild-hash-files {})", files.texts().join(" "))),
                );
            } else if let Some((_, paths)) = OWN.iter().find(|(own, _)| own == name) {
                draft.cache.paths.extend(paths.iter().map(|&path| path.to_owned()));
            } else if name == DOCKER {
                differences.push("layers of images are kept by the project's LOCAL_DOCKER_LAYER_CACHE");
            } else {
                unknown.push(name.as_str());
            }
        }
        if !unknown.is_empty() {
            let reason = format!("no such cache in `definitions.caches`: {}", unknown.join(", "));
            let suggestion = "cache:\n  paths:\n    - the/directory/**/*";
            self.account.manual(field, reason, Some(suggestion.into()));
            return;
        }
        let key = keys.join("-");
        // All of a key's files must be the same, else the one archive is another.
        if keys.len() == names.len() && !keys.is_empty() && key.len() <= LONGEST_KEY {
            draft.cache = Cache { key: Some(key), ..std::mem::take(&mut draft.cache) };
            differences.remove(0);
        }
        if keys.len() > 1 {
            differences.push("several caches are one, which is new when one of their files changes");
        }
        if differences.is_empty() {
            self.account.exact(field, "`cache`");
        } else {
            self.account.approximate(field, "`cache`", differences.join("; "));
        }
    }

    /// `definitions.caches`.
    pub(crate) fn define_caches(&mut self, caches: &Field<'a>) {
        self.account.exact(caches, "`cache` of the steps that name them");
        for (_, cache) in caches.entries() {
            self.account.exact(&cache, "`cache.paths`");
            for (key, field) in cache.entries() {
                match key {
                    "path" => self.account.exact(&field, "`cache.paths`"),
                    "key" => {
                        self.account.exact(&field, "`cache.key`");
                        for (key, field) in field.entries() {
                            match key {
                                "files" => {
                                    self.account.exact(&field, "`codebuild-hash-files` in `cache.key`")
                                }
                                _ => self.unknown(&field, "a cache's key"),
                            }
                        }
                    }
                    _ => self.unknown(&field, "a cache"),
                }
            }
        }
    }
}

/// A directory as CodeBuild names what is in it.
fn everything_below(path: &str) -> String {
    let path = match path.strip_prefix('~') {
        Some(rest) => format!("/root{rest}"),
        None => path.replace("$HOME", "/root").replace("$BITBUCKET_CLONE_DIR/", ""),
    };
    let path = path.trim_start_matches("./").trim_end_matches('/');
    if path.contains('*') { path.to_owned() } else { format!("{path}/**/*") }
}

//! Sources and files that are kept: checkout, stash, S3.

use std::ops::Range;

use runspan_buildspec::shell::quoted;

use super::{
    Translator,
    block::Block,
    scope::{argument, named},
    word::Word,
};
use crate::groovy::{Call, Expr, ExprKind};

impl<'a> Translator<'a> {
    pub(super) fn checkout(&mut self, call: &'a Call, span: &Range<usize>, construct: &str) -> Option<Block> {
        let scm = argument(call, "scm");
        if matches!(scm.map(|scm| &scm.kind), Some(ExprKind::Var(name)) if name == "scm") {
            self.notes.exact(span, construct, "the source of the build, which is there already");
            return Some(Block::default());
        }
        // checkout([$class: 'GitSCM', branches: [[name: 'x']], userRemoteConfigs: [[url: 'y']]]), checkout(scmGit(…)).
        let inner = match scm.map(|scm| &scm.kind) {
            Some(ExprKind::Call(inner)) => &inner.args,
            _ => &call.args,
        };
        let of = |list: &str, key: &str| match &super::scope::named_in(inner, list)?.bare().kind {
            ExprKind::List(items) => match &items.first()?.kind {
                ExprKind::Map(entries) => entries
                    .iter()
                    .find(|entry| entry.key.as_ref().and_then(Expr::as_text) == Some(key))
                    .map(|entry| &entry.value),
                _ => None,
            },
            _ => None,
        };
        let url = of("userRemoteConfigs", "url").and_then(|url| self.value(url));
        let branch = of("branches", "name")
            .and_then(|branch| self.value(branch))
            .unwrap_or_else(|| Word::literal("HEAD"));
        let credentials = of("userRemoteConfigs", "credentialsId").is_some();
        if let Some(url) = url {
            return Some(self.clone(&url, &branch, credentials, span, construct));
        }
        let scm_again = super::scope::named_in(inner, "userRemoteConfigs").is_some();
        if scm_again {
            self.notes.approximate(
                span,
                construct,
                "the source of the build, which is there already",
                "branch and extensions are settings of the project (git clone depth, submodules)",
            );
            return Some(Block::default());
        }
        None
    }

    pub(super) fn clone(
        &mut self,
        url: &Word,
        branch: &Word,
        credentials: bool,
        span: &Range<usize>,
        construct: &str,
    ) -> Block {
        let branch = match branch.constant() {
            Some(text) => Word::literal(text.trim_start_matches("*/").trim_start_matches("refs/heads/")),
            None => branch.clone(),
        };
        let access =
            if credentials { "; access must be given to git, as with env.git-credential-helper" } else { "" };
        self.notes.approximate(
            span,
            construct,
            "git fetches it into the working directory",
            format!("when it is the repository of the build itself, the source is there already{access}"),
        );
        Block::of(format!(
            "git init -q . && git fetch -q --depth 1 {} {} && git checkout -qf FETCH_HEAD",
            url.argument(),
            branch.argument()
        ))
    }

    pub(super) fn stash(&mut self, call: &'a Call, span: &Range<usize>, construct: &str) -> Option<Block> {
        let name = self.constant(argument(call, "name")?)?;
        let includes = named(call, "includes").map(|includes| self.constant(includes));
        let includes = match includes {
            Some(includes) => includes?,
            None => "**".into(),
        };
        let excludes =
            named(call, "excludes").and_then(|excludes| self.constant(excludes)).unwrap_or_default();
        let file = format!("/tmp/stash/{}.tar", safe(&name));
        let found = ant_files(&includes, &excludes);
        self.stashes.insert(name);
        self.notes.exact(span, construct, format!("`tar` into {file}"));
        let pack = match found {
            Some(paths) => format!("tar -cf {file} {paths}"),
            None => format!("{} | tar -cf {file} -T -", ant_find(&includes, &excludes)),
        };
        Some(Block::of(format!("mkdir -p /tmp/stash && {pack}")))
    }

    pub(super) fn unstash(&mut self, call: &'a Call, span: &Range<usize>, construct: &str) -> Option<Block> {
        let name = self.constant(argument(call, "name")?)?;
        let file = format!("/tmp/stash/{}.tar", safe(&name));
        if self.stashes.contains(&name) {
            self.notes.exact(span, construct, format!("`tar` from {file}"));
            return Some(Block::of(format!("tar -xf {file}")));
        }
        let reason = "the files are stashed by another build of the batch";
        let safe = safe(&name);
        let suggestion = format!(
            "# where it is stashed\naws s3 cp /tmp/stash/{safe}.tar \"s3://BUCKET/$CODEBUILD_RESOLVED_SOURCE_VERSION/{safe}.tar\"\n# here\naws s3 cp \"s3://BUCKET/$CODEBUILD_RESOLVED_SOURCE_VERSION/{safe}.tar\" - | tar -xf -"
        );
        Some(self.by_hand(span, construct, reason, Some(suggestion), true))
    }

    pub(super) fn s3(
        &mut self,
        call: &'a Call,
        span: &Range<usize>,
        construct: &str,
        up: bool,
    ) -> Option<Block> {
        let bucket = self.value(named(call, "bucket")?)?;
        let path = match named(call, "path") {
            Some(path) => self.value(path)?,
            None => Word::default(),
        };
        let remote = Word::literal("s3://").then(bucket).then(Word::literal("/")).then(path);
        let (text, became) = if up {
            match (named(call, "file"), named(call, "includePathPattern")) {
                (Some(file), _) => {
                    let file = self.value(file)?;
                    let recursive =
                        if file.constant().is_some_and(|file| file.ends_with('/') || !file.contains('.')) {
                            " --recursive"
                        } else {
                            ""
                        };
                    (format!("aws s3 cp {} {}{recursive}", file.argument(), remote.argument()), "`aws s3 cp`")
                }
                (None, Some(pattern)) => {
                    let pattern = self.constant(pattern)?.replace("**/", "");
                    let directory = match named(call, "workingDir") {
                        Some(directory) => self.value(directory)?,
                        None => Word::literal("."),
                    };
                    (
                        format!(
                            "aws s3 cp {} {} --recursive --exclude '*' --include {}",
                            directory.argument(),
                            remote.argument(),
                            quoted(&pattern)
                        ),
                        "`aws s3 cp --recursive`",
                    )
                }
                _ => return None,
            }
        } else {
            let file = self.value(named(call, "file")?)?;
            (format!("aws s3 cp {} {}", remote.argument(), file.argument()), "`aws s3 cp`")
        };
        self.notes.approximate(span, construct, became, "metadata and access rights of the step are not set");
        Some(Block::of(text))
    }
}

/// A name that can be a file's.
pub(super) fn safe(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// Ant patterns as words of `tar`, when they name plain files and directories.
pub(super) fn ant_files(includes: &str, excludes: &str) -> Option<String> {
    if !excludes.is_empty() {
        return None;
    }
    if matches!(includes.trim(), "**" | "**/*" | "") {
        return Some(".".into());
    }
    let paths = includes.split([',', ' ']).filter(|path| !path.is_empty()).map(|path| {
        let path = path.strip_suffix("/**/*").or_else(|| path.strip_suffix("/**")).unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./*".contains(c);
        (!path.contains("**") && path.chars().all(plain)).then(|| path.to_owned())
    });
    Some(paths.collect::<Option<Vec<_>>>()?.join(" "))
}

/// Ant patterns as a search.
pub(super) fn ant_find(includes: &str, excludes: &str) -> String {
    let tests = |patterns: &str| -> Vec<String> {
        patterns
            .split([',', ' '])
            .filter(|pattern| !pattern.is_empty())
            .map(|pattern| match pattern.strip_prefix("**/") {
                Some(name) if !name.contains('/') => format!("-name {}", quoted(name)),
                _ => format!(
                    "-path {}",
                    quoted(&format!("./{}", pattern.replace("**/", "*").replace("**", "*")))
                ),
            })
            .collect()
    };
    let wanted = tests(includes).join(" -o ");
    let wanted = if wanted.is_empty() { String::new() } else { format!(" \\( {wanted} \\)") };
    let unwanted: String = tests(excludes).iter().map(|test| format!(" ! {test}")).collect();
    format!("find . -type f{wanted}{unwanted}")
}

//! What is kept of a build.

use runspan_buildspec::Artifact;

use super::{Handler, Inputs, Native};

pub(super) const TABLE: &[(&str, Handler)] = &[
    ("actions/upload-artifact", upload),
    ("actions/upload-pages-artifact", upload),
    ("actions/download-artifact", download),
];

fn upload(inputs: &mut Inputs<'_>) -> Option<Native> {
    let name = inputs.plain("name").unwrap_or_else(|| "artifact".into());
    let (mut files, mut exclude_paths) = (Vec::new(), Vec::new());
    let mut paths = inputs.lines("path");
    if paths.is_empty() {
        paths.push(".".into());
    }
    for path in paths {
        let path = path.strip_prefix("~/").map_or_else(|| path.clone(), |rest| format!("/root/{rest}"));
        match path.strip_prefix('!') {
            Some(excluded) => exclude_paths.push(below(excluded)),
            None => files.push(below(&path)),
        }
    }
    inputs.idle(
        &["retention-days", "compression-level", "if-no-files-found", "overwrite", "include-hidden-files"],
        "the bucket decides",
    );
    let artifact = Artifact { files, exclude_paths, ..Artifact::default() };
    let native =
        Native { became: "`artifacts`".into(), artifacts: vec![(name, artifact)], ..Native::default() };
    Some(native.differs("uploaded when the build ends, not at the step's place"))
}

/// A directory is all that is in it.
fn below(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    if path.is_empty() || path == "." {
        "**/*".into()
    } else if path.contains('*') || last.trim_start_matches('.').contains('.') {
        path.into()
    } else {
        format!("{path}/**/*")
    }
}

fn download(inputs: &mut Inputs<'_>) -> Option<Native> {
    let name = inputs.inside("name").unwrap_or_default();
    let path = inputs.inside("path").unwrap_or_else(|| ".".into());
    let pattern = inputs.inside("pattern");
    inputs.idle(&["merge-multiple", "github-token", "repository", "run-id"], "a bucket knows no runs");
    let name = if name.is_empty() { pattern.unwrap_or_default() } else { name };
    let from = format!("s3://$ARTIFACTS_BUCKET/{name}");
    let command = format!("aws s3 cp --recursive \"{}\" \"{path}\"", from.trim_end_matches('/'));
    Some(Native::commands([command])
        .differs("builds of a batch share no files: give ARTIFACTS_BUCKET, where the earlier build's artifacts are")
        .output("download-path", crate::translate::Lowered::Text(crate::translate::ShellText::new(path))))
}

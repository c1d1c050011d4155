//! `actions/cache`.

use runspan_buildspec::{Cache, CacheAction};

use super::{Handler, Inputs, Native};

pub(super) const TABLE: &[(&str, Handler)] =
    &[("actions/cache", both), ("actions/cache/restore", restore), ("actions/cache/save", save)];

fn both(inputs: &mut Inputs<'_>) -> Option<Native> {
    cache(inputs, None)
}

fn restore(inputs: &mut Inputs<'_>) -> Option<Native> {
    cache(inputs, Some(CacheAction::Restore))
}

fn save(inputs: &mut Inputs<'_>) -> Option<Native> {
    cache(inputs, Some(CacheAction::Save))
}

fn cache(inputs: &mut Inputs<'_>, action: Option<CacheAction>) -> Option<Native> {
    let mut paths = Vec::new();
    for path in inputs.lines("path") {
        let path = path.strip_prefix("~/").map_or_else(|| path.clone(), |rest| format!("/root/{rest}"));
        paths.push(if path.contains('*') { path } else { format!("{}/**/*", path.trim_end_matches('/')) });
    }
    let key = inputs.plain("key");
    let mut fallback_keys = inputs.lines("restore-keys");
    fallback_keys.truncate(5);
    inputs.idle(
        &["upload-chunk-size", "enablecrossosarchive", "fail-on-cache-miss", "lookup-only", "save-always"],
        "CodeBuild decides",
    );
    let cache = Cache { paths, key, fallback_keys, action };
    let native = Native { became: "`cache`".into(), cache: Some(cache), ..Native::default() };
    Some(
        native
            .differs("restored before the first command and saved after the last, whatever the step's place"),
    )
}

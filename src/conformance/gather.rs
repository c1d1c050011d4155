//! Reads what a run left: its events, artifacts and reports.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use indexmap::IndexMap;
use serde_json::Value;
use walkdir::WalkDir;

use super::expect::{Observed, group_of};

/// Reads the event stream: the log's text, and the record that comes last. A batch's members are told apart by
/// `build`, so that lines of concurrent members are not torn.
pub(super) fn events(stdout: &str) -> Observed {
    let mut logs: IndexMap<String, String> = IndexMap::new();
    let mut observed = Observed::default();
    for line in stdout.lines() {
        let Ok(mut event) = serde_json::from_str::<Value>(line) else {
            logs.entry(String::new()).or_default().push_str(&format!("not an event: {line}\n"));
            continue;
        };
        match event["type"].as_str() {
            Some("log") => {
                let member = event["build"].as_str().unwrap_or_default().to_owned();
                logs.entry(member).or_default().push_str(event["text"].as_str().unwrap_or_default());
            }
            Some("build") => observed.record = event["build"].take(),
            Some("batch") => observed.record = event["batch"].take(),
            _ => {}
        }
    }
    observed.log = logs.into_values().collect::<Vec<_>>().join("\n");
    observed
}

/// Every file below a directory with its content, links as `-> target`, archives opened as `archive!/path`.
pub(super) fn listing(dir: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    if !dir.exists() {
        return Ok(files);
    }
    for entry in WalkDir::new(dir) {
        let entry = entry?;
        let path = entry.path();
        let name = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned();
        if entry.path_is_symlink() {
            files.insert(name, format!("-> {}", fs::read_link(path)?.display()));
        } else if entry.file_type().is_file() {
            let bytes = fs::read(path)?;
            if bytes.starts_with(b"PK") {
                for (inner, content) in unzip(&bytes)? {
                    files.insert(format!("{name}!/{inner}"), content);
                }
            } else {
                files.insert(name, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    Ok(files)
}

fn unzip(bytes: &[u8]) -> io::Result<Vec<(String, String)>> {
    let mut archive = zip::ZipArchive::new(io::Cursor::new(bytes))?;
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        if entry.is_dir() {
            continue;
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let content = String::from_utf8_lossy(&content).into_owned();
        let content = if entry.is_symlink() { format!("-> {content}") } else { content };
        files.push((entry.name()?.into_owned(), content));
    }
    Ok(files)
}

/// Every report record in the JSON files below a directory.
pub(super) fn report_records(dir: &Path) -> io::Result<Vec<Value>> {
    fn gather(value: Value, into: &mut Vec<Value>) {
        match value {
            report if group_of(&report).is_some() => into.push(report),
            Value::Array(items) => items.into_iter().for_each(|item| gather(item, into)),
            Value::Object(members) => members.into_iter().for_each(|(_, member)| gather(member, into)),
            _ => {}
        }
    }
    let mut reports = Vec::new();
    for (name, content) in listing(dir)? {
        if name.ends_with(".json")
            && let Ok(value) = serde_json::from_str(&content)
        {
            gather(value, &mut reports);
        }
    }
    Ok(reports)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::super::runner::write_tree;
    use super::*;

    #[test]
    fn events_give_the_log_and_the_record() {
        let stdout = r#"{"type":"log","text":"a\nb"}
{"type":"phase","phase":"BUILD","status":"FAILED"}
{"type":"log","text":"c\n"}
{"type":"build","build":{"buildStatus":"FAILED"}}
"#;
        let observed = events(stdout);
        assert_eq!(observed.log, "a\nbc\n");
        assert_eq!(observed.record["buildStatus"], "FAILED");
    }

    #[test]
    fn lines_of_concurrent_members_are_not_torn() {
        let stdout = r#"{"type":"log","build":"x","text":"on"}
{"type":"log","build":"y","text":"two\n"}
{"type":"log","build":"x","text":"e\n"}
{"type":"batch","batch":{"buildBatchStatus":"SUCCEEDED"}}
"#;
        let observed = events(stdout);
        assert_eq!(observed.log.lines().collect::<Vec<_>>(), ["one", "", "two"]);
        assert_eq!(observed.record["buildBatchStatus"], "SUCCEEDED");
    }

    #[test]
    fn what_is_not_an_event_is_seen() {
        assert_eq!(events("panicked\n").log, "not an event: panicked\n");
    }

    #[test]
    fn trees_are_written_and_listed_with_links_and_archives() {
        let dir = tempfile::tempdir().unwrap();
        let files = IndexMap::from([
            ("a/b.txt".to_owned(), "1\n".to_owned()),
            ("link".to_owned(), "-> a/b.txt".to_owned()),
        ]);
        write_tree(dir.path(), &files).unwrap();
        let mut archive = zip::ZipWriter::new(File::create(dir.path().join("x.zip")).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file("d/e", options).unwrap();
        archive.write_all(b"2").unwrap();
        archive.add_symlink("l", "d/e", options).unwrap();
        archive.finish().unwrap();
        let text = |text: &str| text.to_owned();
        assert_eq!(
            listing(dir.path()).unwrap(),
            BTreeMap::from([
                (text("a/b.txt"), text("1\n")),
                (text("link"), text("-> a/b.txt")),
                (text("x.zip!/d/e"), text("2")),
                (text("x.zip!/l"), text("-> d/e")),
            ])
        );
        assert!(listing(&dir.path().join("absent")).unwrap().is_empty());
    }

    #[test]
    fn reports_are_found_wherever_a_file_holds_them() {
        let dir = tempfile::tempdir().unwrap();
        let report = r#"{"report": {"arn": "arn:aws:codebuild:r:1:report/p-u:x"}, "testCases": []}"#;
        fs::write(dir.path().join("r.json"), report).unwrap();
        fs::write(dir.path().join("raw.json"), "[1, {}]").unwrap();
        let reports = report_records(dir.path()).unwrap();
        assert_eq!(reports.iter().map(group_of).collect::<Vec<_>>(), [Some("p-u")]);
    }
}

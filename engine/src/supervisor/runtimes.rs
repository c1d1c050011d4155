//! `runtime-versions`: which commands of the image's own `runtimes.yml` select them; pure.

use indexmap::IndexMap;
use serde::Deserialize;

/// The file of an image that offers runtimes.
#[derive(Debug, Default, Deserialize)]
struct Runtimes {
    #[serde(default)]
    runtimes: IndexMap<String, Runtime>,
}

#[derive(Debug, Default, Deserialize)]
struct Runtime {
    #[serde(default)]
    versions: IndexMap<String, RuntimeVersion>,
}

#[derive(Debug, Default, Deserialize)]
struct RuntimeVersion {
    #[serde(default)]
    requires: IndexMap<String, Vec<String>>,
    #[serde(default)]
    commands: Vec<String>,
}

/// What selecting the runtimes takes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// Lines of the log.
    pub(super) lines: Vec<String>,
    /// Commands, in order; `$VERSION` is already in them.
    pub(super) commands: Vec<String>,
}

/// Chooses the commands for what a buildspec asks for.
///
/// # Errors
/// CodeBuild's own message for an unknown runtime or version, for `YAML_FILE_ERROR`.
pub(super) fn select(file: &str, wanted: &[(String, String)]) -> Result<Selection, String> {
    let image: Runtimes = serde_saphyr::from_str(file)
        .map_err(|error| format!("the image's runtimes.yml cannot be read: {error}"))?;
    let mut selection = Selection::default();
    let mut queue: Vec<(String, String)> = wanted.to_vec();
    let mut chosen: IndexMap<String, String> = IndexMap::new();
    while !queue.is_empty() {
        let (name, asked) = queue.remove(0);
        let runtime = image.runtimes.get(&name).ok_or_else(|| {
            format!(
                "Unknown runtime named '{name}'. This build image has the following runtimes: {}",
                sorted(image.runtimes.keys())
            )
        })?;
        let version = resolve(runtime, &asked).ok_or_else(|| {
            format!(
                "Unknown runtime version named '{asked}' of {name}. This build image has the following versions: {}",
                sorted(runtime.versions.keys())
            )
        })?;
        if chosen.insert(name.clone(), version.to_owned()).is_some() {
            continue;
        }
        selection.lines.push(format!(
            "Selecting '{name}' runtime version '{}' based on manual selections...",
            if version == "default" { &asked } else { version }
        ));
        let Some(found) = runtime.versions.get(version) else { continue };
        for (other, versions) in &found.requires {
            if let Some(first) = versions.first().filter(|_| !chosen.contains_key(other)) {
                queue.push((other.clone(), first.clone()));
            }
        }
        let with_version = |command: &String| {
            if version == "default" {
                format!("VERSION={}; {command}", quote(&asked))
            } else {
                command.clone()
            }
        };
        selection.commands.extend(found.commands.iter().map(with_version));
    }
    Ok(selection)
}

/// An exact version, `latest`, `N.x`, or the image's `default` for anything else.
fn resolve<'a>(runtime: &'a Runtime, asked: &str) -> Option<&'a str> {
    let versions = || runtime.versions.keys().map(String::as_str).filter(|version| *version != "default");
    if let Some(exact) = versions().find(|version| *version == asked) {
        return Some(exact);
    }
    let newest = |prefix: &str| {
        versions()
            .filter(|version| {
                version.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
            .max_by_key(|version| numbers(version))
    };
    if asked == "latest" {
        return versions().max_by_key(|version| numbers(version));
    }
    if let Some(major) = asked.strip_suffix(".x")
        && let Some(found) = newest(major)
    {
        return Some(found);
    }
    runtime.versions.keys().map(String::as_str).find(|version| *version == "default")
}

fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let mut names: Vec<&str> = names.map(String::as_str).filter(|name| *name != "default").collect();
    names.sort_unstable();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "
version: 0.1
runtimes:
  java:
    versions:
      corretto8: { commands: [ 'echo java 8' ] }
      corretto21: { commands: [ 'echo java 21' ] }
  nodejs:
    versions:
      20: { commands: [ 'n 20' ] }
      22: { commands: [ 'n 22' ] }
      default: { commands: [ 'n $VERSION' ] }
  android:
    versions:
      29: { requires: { java: [ corretto8 ] }, commands: [ 'echo android' ] }
";

    fn wanted(name: &str, version: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), version.to_owned())]
    }

    #[test]
    fn versions_are_chosen_as_asked() {
        for (name, version, command) in [
            ("nodejs", "20", "n 20"),
            ("nodejs", "22.x", "n 22"),
            ("nodejs", "latest", "n 22"),
            ("nodejs", "18.3", "VERSION='18.3'; n $VERSION"),
            ("java", "latest", "echo java 21"),
        ] {
            assert_eq!(select(IMAGE, &wanted(name, version)).unwrap().commands, [command]);
        }
    }

    #[test]
    fn a_runtime_brings_what_it_requires() {
        let selection = select(IMAGE, &wanted("android", "29")).unwrap();
        assert_eq!(selection.commands, ["echo android", "echo java 8"]);
        assert_eq!(
            selection.lines[0],
            "Selecting 'android' runtime version '29' based on manual selections..."
        );
    }

    #[test]
    fn what_the_image_lacks_is_named_in_codebuilds_words() {
        assert_eq!(
            select(IMAGE, &wanted("docker", "18")).unwrap_err(),
            "Unknown runtime named 'docker'. This build image has the following runtimes: android, java, nodejs"
        );
        assert_eq!(
            select(IMAGE, &wanted("java", "7")).unwrap_err(),
            "Unknown runtime version named '7' of java. This build image has the following versions: corretto21, corretto8"
        );
    }
}

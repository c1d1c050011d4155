//! `--env`, `--env-file` and `--secrets-file`.

use std::fs;
use std::path::Path;

use runspan_agent_protocol::Variable;
use runspan_engine::project::EnvironmentVariable;

use crate::failure::Failure;

/// Variables of the files, then those of the flags; of equal names the last wins.
pub(super) fn variables(
    files: &[impl AsRef<Path>],
    flags: &[String],
) -> Result<Vec<EnvironmentVariable>, Failure> {
    let mut all: Vec<EnvironmentVariable> = Vec::new();
    let mut add = |variable: EnvironmentVariable| {
        all.retain(|known| known.name != variable.name);
        all.push(variable);
    };
    for file in files {
        let file = file.as_ref();
        let text = fs::read_to_string(file).map_err(|error| {
            Failure::input(format!("the environment file {} cannot be read", file.display())).because(&error)
        })?;
        parse(&text)
            .map_err(|(line, why)| Failure::input(format!("{}:{line}: {why}", file.display())))?
            .into_iter()
            .for_each(&mut add);
    }
    for flag in flags {
        add(variable(flag).map_err(|why| Failure::input(format!("--env {flag}: {why}")))?);
    }
    Ok(all)
}

/// Variables of files, whose values are masked.
pub(super) fn secrets(files: &[impl AsRef<Path>]) -> Result<Vec<Variable>, Failure> {
    let all = variables(files, &[])?;
    Ok(all.into_iter().map(|variable| Variable::new(variable.name, variable.value)).collect())
}

/// `NAME=VALUE` lines as CodeBuild's local agent reads them: blank lines and `#` comments are skipped, quotes are
/// part of the value.
fn parse(text: &str) -> Result<Vec<EnvironmentVariable>, (usize, String)> {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|(index, line)| variable(line).map_err(|why| (index + 1, why)))
        .collect()
}

fn variable(text: &str) -> Result<EnvironmentVariable, String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(format!("`{name}` is no name of a variable"));
    }
    if text.contains('\0') {
        return Err(format!("{name} holds a NUL, which no variable can"));
    }
    Ok(EnvironmentVariable::plain(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(variables: &[EnvironmentVariable]) -> Vec<(&str, &str)> {
        variables.iter().map(|variable| (variable.name.as_str(), variable.value.as_str())).collect()
    }

    #[test]
    fn lines_are_read_as_the_local_agent_reads_them() {
        let text = "\u{feff}A=1\r\n\n  # no\n#B=2\nC=\"q\" # kept\nD=x=y\nE=\n F = spaced \n";
        let read = parse(text).unwrap();
        let wanted = [("A", "1"), ("C", "\"q\" # kept"), ("D", "x=y"), ("E", ""), ("F", " spaced ")];
        assert_eq!(pairs(&read), wanted);
    }

    #[test]
    fn faults_name_their_line() {
        assert_eq!(parse("A=1\n\nB\n").unwrap_err(), (3, "expected NAME=VALUE".to_owned()));
        assert_eq!(parse("=1").unwrap_err().0, 1);
        assert!(parse("A B=1").unwrap_err().1.contains("`A B`"));
        assert!(variable("A=\0").is_err());
    }

    #[test]
    fn flags_beat_files_and_the_last_beats_the_first() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "A=file\nB=file\n").unwrap();
        let flags = ["B=flag", "C=1", "C=2"].map(str::to_owned);
        let all = variables(&[file.path()], &flags).unwrap();
        assert_eq!(pairs(&all), [("A", "file"), ("B", "flag"), ("C", "2")]);
        assert!(variables(&["/nowhere/at/all"], &[]).is_err());
    }
}

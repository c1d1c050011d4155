//! The shells of `run` steps. Source: the published runner, `ScriptHandlerHelpers`.

use runspan_agent_protocol::Script;

/// A script and the programs that may run it, the first that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shelled {
    pub(crate) commands: Vec<Vec<String>>,
    pub(crate) script: Script,
    /// As the log names it.
    pub(crate) name: String,
}

/// The shell of a step; what nobody chose is `bash`, or `sh` where there is none.
///
/// # Errors
/// For a text that is neither a known shell nor has `{0}` in it.
pub(crate) fn shell(named: Option<&str>, text: &str) -> Result<Shelled, String> {
    let with = |extension: &str, text: String, commands: Vec<Vec<String>>| Shelled {
        name: commands.first().map(|command| command.join(" ")).unwrap_or_default(),
        commands,
        script: Script { text, extension: extension.to_owned() },
    };
    let text = text.replace("\r\n", "\n");
    let line = |command: &str| command.split(' ').map(str::to_owned).collect::<Vec<_>>();
    Ok(match named.map(str::trim).filter(|name| !name.is_empty()) {
        None => with(".sh", text, vec![line("bash -e {0}"), line("sh -e {0}")]),
        Some("bash") => with(".sh", text, vec![line("bash --noprofile --norc -e -o pipefail {0}")]),
        Some("sh") => with(".sh", text, vec![line("sh -e {0}")]),
        Some("python") => with(".py", text, vec![line("python {0}"), line("python3 {0}")]),
        Some(name @ ("pwsh" | "powershell")) => {
            let text = format!(
                "$ErrorActionPreference = 'stop'\n{text}\n\
                 if ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) {{ exit $LASTEXITCODE }}"
            );
            with(".ps1", text, vec![vec![name.into(), "-command".into(), ". '{0}'".into()]])
        }
        Some("cmd") => return Err("`shell: cmd` needs Windows; use `bash`, `sh`, `python` or `pwsh`".into()),
        Some(custom) if custom.contains("{0}") => {
            let words = words(custom);
            // Programs find out by the name what they are given.
            let extension = match words.first().and_then(|word| word.rsplit('/').next()) {
                Some("bash" | "sh" | "dash" | "ash") => ".sh",
                Some(name) if name.starts_with("python") => ".py",
                Some("node") => ".js",
                _ => "",
            };
            with(extension, text, vec![words])
        }
        Some(other) => {
            return Err(format!(
                "Invalid shell option. Shell must be a valid built-in (bash, sh, python, pwsh) or a format string \
                 containing '{{0}}', not '{other}'"
            ));
        }
    })
}

/// A command line as words; quotes hold words together.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(named: Option<&str>) -> String {
        shell(named, "x").unwrap().name
    }

    #[test]
    fn shells_are_githubs() {
        assert_eq!(first(None), "bash -e {0}");
        assert_eq!(shell(None, "x").unwrap().commands[1], ["sh", "-e", "{0}"]);
        assert_eq!(first(Some("bash")), "bash --noprofile --norc -e -o pipefail {0}");
        assert_eq!(first(Some("sh")), "sh -e {0}");
        assert_eq!(first(Some("perl {0}")), "perl {0}");
        assert_eq!(first(Some("bash -c \"cat {0}\"")), "bash -c cat {0}");
        assert!(shell(Some("fish"), "x").unwrap_err().contains("'fish'"));
        assert!(shell(Some("cmd"), "x").is_err());
        assert!(
            shell(Some("pwsh"), "x").unwrap().script.text.starts_with("$ErrorActionPreference = 'stop'\nx")
        );
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(words(r#"a "b c" 'd "e' f"g""#), ["a", "b c", "d \"e", "fg"]);
        assert_eq!(words(" "), [""; 0]);
        assert_eq!(words("a ''"), ["a", ""]);
    }
}

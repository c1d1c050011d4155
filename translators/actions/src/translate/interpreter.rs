//! `shell`: what runs a script.

use runspan_buildspec::shell::Interpreter;

/// The interpreter, and what differs.
pub(crate) fn interpreter(shell: &str) -> (Interpreter, Option<&'static str>) {
    let program = |template: &str, extension: &str| Interpreter::Program {
        template: template.to_owned(),
        extension: extension.to_owned(),
    };
    match shell {
        "bash" => (Interpreter::Bash("-eo pipefail".into()), None),
        "sh" => (Interpreter::Sh("-e".into()), None),
        "python" => (program("python {0}", "py"), None),
        "pwsh" | "powershell" => (
            program("pwsh -File {0}", "ps1"),
            Some("PowerShell must be in the image; it does not stop at the first error"),
        ),
        "cmd" => (program("cmd /C {0}", "cmd"), Some("there is no cmd in a Linux image")),
        custom => {
            if let Some(options) = custom.strip_prefix("bash ").and_then(|rest| rest.strip_suffix(" {0}")) {
                let plain = |word: &str| {
                    word == "pipefail"
                        || (word.starts_with('-') && word[1..].chars().all(|c| "exuo".contains(c)))
                };
                let options: Vec<_> = options
                    .split_whitespace()
                    .filter(|word| !matches!(*word, "--noprofile" | "--norc"))
                    .collect();
                if options.iter().all(|word| plain(word)) {
                    return (Interpreter::Bash(options.join(" ")), None);
                }
            }
            let extension = if custom.contains("sh ") { "sh" } else { "txt" };
            let custom = if custom.contains("{0}") { custom.to_owned() } else { format!("{custom} {{0}}") };
            (program(&custom, extension), None)
        }
    }
}

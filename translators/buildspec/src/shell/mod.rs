//! Scripts of a fresh shell as commands of a buildspec.
//!
//! GitHub's `run` and Jenkins' `sh` start a shell for each script; CodeBuild carries directory and variables from
//! one command to the next, and of a command of several lines only the last status counts. So a script becomes
//! plain commands when nothing of it would leak and nothing is lost by the cut, else one command with a subshell,
//! and where that cannot hold it, a file that its program is given.

mod quote;
mod scan;

use crate::Shell;
pub use quote::{double_quoted, quoted};
use scan::Line;

/// A script that another system gives to a shell, or another program, of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The script as written.
    pub text: String,
    /// What runs it.
    pub interpreter: Interpreter,
    /// The directory it runs in, as a word of the shell; where the build stands when absent.
    pub directory: Option<String>,
    /// Variables of this script alone: name, and value as a word of the shell.
    pub env: Vec<(String, String)>,
    /// Words in front of the program, as in `timeout 5m`.
    pub wrapper: Option<String>,
}

/// What runs a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interpreter {
    /// `sh`, with the options of `set` that it is started with, as in `-e`; may be empty.
    Sh(String),
    /// `bash`, the same.
    Bash(String),
    /// Any other program: its command line, with `{0}` for the file of the script.
    Program {
        /// As in `python {0}`.
        template: String,
        /// Of the file, as in `py`.
        extension: String,
    },
}

impl Default for Interpreter {
    fn default() -> Self {
        Self::Sh("-e".into())
    }
}

/// Where a script is written that a program is given as a file.
const FILE: &str = "/tmp/script";

impl Script {
    /// The commands that do what the script does, for a buildspec whose `env.shell` is `shell`.
    pub fn commands(&self, shell: Shell) -> Vec<String> {
        match &self.interpreter {
            Interpreter::Sh(options) | Interpreter::Bash(options) if self.fits(shell) => {
                match scan::lines(&self.text) {
                    Some(lines) => {
                        self.plain(&lines, options).unwrap_or_else(|| self.in_subshell(&lines, options))
                    }
                    None => vec![self.in_file()],
                }
            }
            _ => vec![self.in_file()],
        }
    }

    /// The script as one command, whose status is the script's.
    pub fn command(&self, shell: Shell) -> String {
        let mut commands = self.commands(shell);
        if commands.len() > 1 {
            let joined = commands.join("\n");
            return subshell(&joined, &["set -e".into()]);
        }
        commands.pop().unwrap_or_else(|| ":".into())
    }

    /// Whether the shell of the buildspec can run it: what `sh` can, `bash` can too.
    fn fits(&self, shell: Shell) -> bool {
        match self.interpreter {
            Interpreter::Sh(_) => matches!(shell, Shell::Sh | Shell::Bash),
            Interpreter::Bash(_) => shell == Shell::Bash,
            Interpreter::Program { .. } => false,
        }
    }

    /// One command a line, when that is the same.
    fn plain(&self, lines: &[Line<'_>], options: &str) -> Option<Vec<String>> {
        let stops = options.split_whitespace().any(|word| word.starts_with('-') && word.contains('e'));
        let pipefail = options.contains("pipefail");
        let (last, others) = lines.split_last()?;
        let whole = |line: &Line<'_>| !(line.leaks || line.several || pipefail && line.pipe);
        // With `set -e`, a failure before `&&` or after `!` does not end the script.
        let cut = |line: &Line<'_>| whole(line) && stops && !line.and && !line.status;
        if !whole(last) || !others.iter().all(cut) || (!others.is_empty() && last.status) {
            return None;
        }
        if self.directory.is_none() && self.env.is_empty() && self.wrapper.is_none() {
            return Some(lines.iter().map(|line| line.text.trim_end().to_owned()).collect());
        }
        // One command alone can carry directory and variables on its own line.
        if !others.is_empty() || last.and || last.or || last.text.contains('\n') {
            return None;
        }
        let simple = last.commands == 1 && !last.builtin && !last.assigns;
        let closed = simple && !last.text.contains(['$', '`']);
        if (!self.env.is_empty() && !closed) || (self.wrapper.is_some() && !simple) {
            return None;
        }
        let variables = self.env.iter().map(|(name, word)| format!("{name}={word}"));
        let words: Vec<_> =
            variables.chain(self.wrapper.clone()).chain([last.text.trim().to_owned()]).collect();
        let command = words.join(" ");
        // `cd x && # comment` would hide the end of the subshell.
        let command = match &self.directory {
            Some(_) if last.comment => return None,
            Some(directory) => format!("(cd {directory} && {command})"),
            None => command,
        };
        Some(vec![command])
    }

    /// The script in a subshell: nothing leaks.
    fn in_subshell(&self, lines: &[Line<'_>], options: &str) -> Vec<String> {
        if lines.is_empty() {
            return Vec::new();
        }
        if self.wrapper.is_some() {
            return vec![self.in_file()];
        }
        // CodeBuild exports every variable that is set; a fresh shell does not.
        let unexported = lines.iter().any(|line| line.assigns).then_some("+a");
        let options: Vec<_> = [Some(options.trim()).filter(|options| !options.is_empty()), unexported]
            .into_iter()
            .flatten()
            .collect();
        let mut first = Vec::new();
        if let (false, Some(directory)) = (options.is_empty() || options == ["+a"], &self.directory) {
            first.push(format!("set {}", options.join(" ")));
            first.extend(self.exports());
            first.push(format!("cd {directory}"));
        } else {
            if !options.is_empty() {
                first.push(format!("set {}", options.join(" ")));
            }
            first.extend(self.exports());
            first.extend(self.directory.iter().map(|directory| format!("cd {directory} || exit")));
        }
        vec![subshell(self.text.trim_end(), &first)]
    }

    fn exports(&self) -> impl Iterator<Item = String> {
        self.env.iter().map(|(name, word)| format!("export {name}={word}"))
    }

    /// The script written to a file, and its program started on it.
    fn in_file(&self) -> String {
        let (template, extension) = match &self.interpreter {
            Interpreter::Sh(options) => (format!("sh {options} {{0}}").replace("  ", " "), "sh"),
            Interpreter::Bash(options) => (format!("bash {options} {{0}}").replace("  ", " "), "sh"),
            Interpreter::Program { template, extension } => (template.clone(), extension.as_str()),
        };
        let file = format!("{FILE}.{extension}");
        let mut end = String::from("SCRIPT");
        while self.text.lines().any(|line| line == end) {
            end.push('_');
        }
        let text = self.text.trim_end_matches('\n');
        let start = match &self.wrapper {
            Some(wrapper) => format!("{wrapper} {}", template.replace("{0}", &file)),
            None => template.replace("{0}", &file),
        };
        let written = format!("cat > {file} <<'{end}'\n{text}\n{end}\n");
        let mut around: Vec<_> = self.exports().collect();
        around.extend(self.directory.iter().map(|directory| format!("cd {directory} || exit")));
        if around.is_empty() { written + &start } else { written + &subshell(&start, &around) }
    }
}

/// Lines in a subshell, not indented: a here-document has its own idea of the beginning of a line.
fn subshell(text: &str, first: &[String]) -> String {
    let mut out = String::from("(\n");
    for line in first {
        out.push_str(line);
        out.push('\n');
    }
    out.push_str(text);
    out.push_str("\n)");
    out
}

#[cfg(test)]
mod tests;

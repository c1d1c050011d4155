//! `script` and `after-script`.

use runspan_buildspec::yaml::Value;

use crate::draft::{Command, Draft};
use crate::field::Field;
use crate::file::Translator;
use crate::shell_text::{ends_with_test, has_and, is_several, leaks, needs_bash};

impl<'a> Translator<'a> {
    /// The commands of a script, which share one shell that ends at the first failure.
    pub(crate) fn script(&mut self, script: &Field<'a>, draft: &mut Draft) {
        let commands = self.commands(script, draft);
        let mut differences = Vec::new();
        let one = joined(&commands);
        if one.is_none() && commands.iter().any(|text| has_and(text) && !ends_with_test(text)) {
            differences
                .push("where the left of an `&&` fails the build ends, and Bitbucket goes on".to_owned());
        }
        draft.script = match one {
            Some(text) => vec![Command::because(
                text,
                "One command: a later line needs what an earlier one leaves in the shell.",
            )],
            None => {
                let last = commands.len().saturating_sub(1);
                let alone = |(index, text): (usize, String)| Command::plain(alone(text, index == last));
                commands.into_iter().enumerate().map(alone).collect()
            }
        };
        let unknown = self.unknown_variables(&draft.used);
        if !unknown.is_empty() {
            differences.push(format!("to be given with --env: {}", unknown.join(", ")));
        }
        let became = match draft.script.len() {
            1 => "the command of `phases.build`".to_owned(),
            number => format!("{number} commands of `phases.build`"),
        };
        if differences.is_empty() {
            self.account.exact(script, became);
        } else {
            self.account.approximate(script, became, differences.join("; "));
        }
    }

    /// A new shell at the root of the source, whose end changes nothing.
    pub(crate) fn after_script(&mut self, script: &Field<'a>, draft: &mut Draft) {
        let commands = self.commands(script, draft);
        if commands.is_empty() {
            self.account.exact(script, "nothing: it is empty");
            return;
        }
        let mut text = String::from("(\n  set -e\n  cd \"$CODEBUILD_SRC_DIR\"\n");
        let differs = commands.iter().any(|command| command.contains("BITBUCKET_EXIT_CODE"));
        if differs {
            text.push_str("  export BITBUCKET_EXIT_CODE=$((1 - CODEBUILD_BUILD_SUCCEEDING))\n");
        }
        for command in &commands {
            // A block that spans lines may hold a text that must not be indented.
            if command.contains('\n') {
                text.push_str(command.trim_end());
            } else {
                text.push_str("  ");
                text.push_str(command);
            }
            text.push('\n');
        }
        text.push_str(")\n:");
        draft.after_script.push(Command::because(
            text,
            "after-script: runs after a failure too, and cannot change how the build ends.",
        ));
        let became = "`phases.post_build`, which runs after a failed build too";
        if differs {
            let difference = "BITBUCKET_EXIT_CODE is 0 or 1";
            self.account.approximate(script, became, difference);
        } else {
            self.account.exact(script, became);
        }
    }

    /// The texts of a script, pipes being calls of their containers.
    fn commands(&mut self, script: &Field<'a>, draft: &mut Draft) -> Vec<String> {
        let mut commands = Vec::new();
        for item in script.items() {
            match &item.node.value {
                Value::Null => {}
                Value::Scalar(scalar) => {
                    let text = scalar.text.trim_end_matches('\n').to_owned();
                    draft.bash |= needs_bash(&text);
                    draft.used.push_str(&text);
                    draft.used.push('\n');
                    commands.extend(Some(text).filter(|text| !text.trim().is_empty()));
                }
                // An anchor of several lines among others.
                Value::List(_) => commands.extend(self.commands(&item, draft)),
                Value::Map(_) if item.get("pipe").is_some() => commands.push(self.pipe(&item, draft)),
                Value::Map(_) => self.odd_command(&item, draft),
            }
        }
        commands
    }

    /// A map that is no pipe: an agent's task, or a command whose colon YAML took for a key's.
    fn odd_command(&mut self, item: &Field<'a>, draft: &mut Draft) {
        for (key, field) in item.entries() {
            let (reason, suggestion) = if key == "agent" {
                ("an agent's task runs at Atlassian only".to_owned(), None)
            } else {
                let whole = format!("- '{key}: {}'", field.text().unwrap_or("…").replace('\'', "''"));
                ("YAML reads this line as a map, because of its colon".to_owned(), Some(whole))
            };
            draft.by_hand.push(format!("{reason} ({})", field.path));
            self.account.manual(&field, reason, suggestion);
        }
    }
}

/// The whole script as one command, where its commands share more than directory and variables.
fn joined(commands: &[String]) -> Option<String> {
    let (_, before_last) = commands.split_last()?;
    before_last.iter().any(|text| leaks(text)).then(|| format!("set -e\n{}", commands.join("\n")))
}

/// One command in a shell of its own, ending as it would in the shared shell with `set -e`.
fn alone(text: String, is_last: bool) -> String {
    let tests = ends_with_test(&text) && !is_last;
    match (is_several(&text) || tests, tests) {
        (true, true) => format!("set -e\n{text}\n:"),
        (true, false) => format!("set -e\n{text}"),
        (false, _) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_alone_ends_as_in_the_shared_shell() {
        assert_eq!(alone("make".into(), false), "make");
        assert_eq!(alone("a; b".into(), false), "set -e\na; b");
        assert_eq!(alone("[ -f x ] && cat x".into(), false), "set -e\n[ -f x ] && cat x\n:");
        assert_eq!(alone("[ -f x ] && cat x".into(), true), "[ -f x ] && cat x");
    }

    #[test]
    fn what_shares_more_than_variables_stays_together() {
        let texts = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(joined(&texts(&["f() { :; }", "f"])).as_deref(), Some("set -e\nf() { :; }\nf"));
        assert_eq!(joined(&texts(&["cd a", "set -x"])), None);
        assert_eq!(joined(&[]), None);
    }
}

//! Commands, and blocks of them as one command.

/// A command of the shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// What is run; nothing when there is only something to say.
    pub(super) text: String,
    /// What a reader should know.
    pub(super) comment: String,
}

/// Commands in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) commands: Vec<Command>,
    /// Whether it sets variables that what comes after it may use.
    pub(super) sets: bool,
    /// Whether a failure may be anywhere but at the end of a command, so that `set -e` must not be in force.
    pub(super) ends: bool,
}

impl Block {
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self { commands: vec![Command { text: text.into(), comment: String::new() }], ..Self::default() }
    }

    pub(super) fn setting(text: impl Into<String>) -> Self {
        Self { sets: true, ..Self::of(text) }
    }

    pub(super) fn all(texts: impl IntoIterator<Item = String>) -> Self {
        let commands = texts.into_iter().map(|text| Command { text, comment: String::new() }).collect();
        Self { commands, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.iter().all(|command| command.text.is_empty())
    }

    pub(super) fn append(&mut self, other: Self) {
        self.commands.extend(other.commands);
        self.sets |= other.sets;
        self.ends |= other.ends;
    }

    /// Says something about the first command.
    pub(super) fn comment(mut self, comment: &str) -> Self {
        match self.commands.first_mut() {
            Some(first) if first.comment.is_empty() => first.comment = comment.into(),
            Some(first) => first.comment = format!("{comment}\n{}", first.comment),
            None => self.commands.push(Command { text: String::new(), comment: comment.into() }),
        }
        self
    }

    /// The commands as lines of a script, comments included.
    pub(super) fn lines(&self) -> String {
        let mut out = String::new();
        for command in &self.commands {
            for line in command.comment.lines() {
                out.push_str("# ");
                out.push_str(line);
                out.push('\n');
            }
            if !command.text.is_empty() {
                out.push_str(command.text.trim_end_matches('\n'));
                out.push('\n');
            }
        }
        if self.is_empty() {
            out.push_str(":\n");
        }
        out
    }

    /// A script that ends at the first failure; in a shell of its own unless it sets variables.
    pub(super) fn guarded(&self, first: &str) -> String {
        if self.sets {
            format!("set -e\n{first}{}", self.lines())
        } else {
            format!("(\nset -e\n{first}{})", self.lines())
        }
    }

    /// The same, always in a shell of its own.
    pub(super) fn apart(&self, first: &str) -> String {
        format!("(\nset -e\n{first}{})", self.lines())
    }
}

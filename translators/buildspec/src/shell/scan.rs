//! As much of the shell's language as it takes to know where a command ends and whether it leaves traces.

/// A line of commands at the top of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its text, with the comments above it.
    pub(super) text: &'a str,
    /// How many commands stand in it.
    pub(super) commands: usize,
    /// It changes its shell, or may: directory, variables, options, traps.
    pub(super) leaks: bool,
    /// It sets variables.
    pub(super) assigns: bool,
    /// Its first command is not a program.
    pub(super) builtin: bool,
    /// It holds more than a list of simple commands: `;`, `&`, a compound command, a here-document.
    pub(super) several: bool,
    /// It has a pipe.
    pub(super) pipe: bool,
    /// It has `&&`.
    pub(super) and: bool,
    /// It has `||`.
    pub(super) or: bool,
    /// It negates a status or asks for the last one.
    pub(super) status: bool,
    /// It ends with a comment.
    pub(super) comment: bool,
}

/// Commands that change the shell they run in, or end it.
const LEAKING: &[&str] = &[
    ".",
    "alias",
    "bg",
    "builtin",
    "cd",
    "command",
    "coproc",
    "declare",
    "disown",
    "enable",
    "eval",
    "exec",
    "exit",
    "export",
    "fg",
    "getopts",
    "hash",
    "jobs",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "pushd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "source",
    "trap",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "wait",
];

/// Commands of the shell's own that leave no trace; no program in front of them can run them.
const BUILTIN: &[&str] =
    &[":", "[[", "time", "type", "times", "caller", "compgen", "complete", "dirs", "help", "history"];

/// Words that open a command of several.
const COMPOUND: &[&str] =
    &["case", "for", "function", "if", "select", "until", "while", "{", "}", "do", "then", "fi"];

/// Levels of expansions inside of expansions.
const DEEPEST: usize = 32;

/// The lines of a script; nothing when the text ends within a quote or goes beyond what is understood here.
pub(super) fn lines(text: &str) -> Option<Vec<Line<'_>>> {
    if text.trim_end().ends_with('\\') {
        return None;
    }
    Scanner { text, at: 0, lines: Vec::new(), line: Line::default(), start: 0, documents: Vec::new() }.scan()
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    lines: Vec<Line<'a>>,
    line: Line<'a>,
    /// Where the line begins.
    start: usize,
    /// Ends of here-documents that follow the line; whether tabs go before them.
    documents: Vec<(String, bool)>,
}

impl<'a> Scanner<'a> {
    fn scan(mut self) -> Option<Vec<Line<'a>>> {
        let mut at_command = true;
        let mut open = 0_usize;
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\r' => self.at += 1,
                '\\' if self.rest().starts_with("\\\n") => self.at += 2,
                '\n' => {
                    self.at += 1;
                    self.bodies()?;
                    // After `&&` or `|` the list goes on in the next line.
                    if open == 0 && !(at_command && self.line.commands > 0 && self.joined()) {
                        self.end_line(self.at - 1);
                    }
                    at_command = true;
                }
                '#' => {
                    self.at += self.rest().find('\n').unwrap_or(self.rest().len());
                    self.line.comment = self.line.commands > 0;
                }
                '(' | ')' => {
                    // A subshell, a function, an array or a pattern: more than simple commands in any case.
                    self.line.several = true;
                    self.line.commands += usize::from(self.line.commands == 0);
                    open = if next == '(' { open + 1 } else { open.checked_sub(1)? };
                    self.at += 1;
                    at_command = true;
                }
                ';' | '&' | '|' => at_command = self.operator(next),
                '<' | '>' => self.redirection()?,
                _ => {
                    let word = self.word(0)?;
                    if at_command {
                        at_command = self.command(word);
                    }
                }
            }
        }
        if !self.documents.is_empty() || open > 0 {
            return None;
        }
        self.end_line(self.text.len());
        Some(self.lines)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Whether the last thing before this line's end joins it to the next.
    fn joined(&self) -> bool {
        let before = self.text[self.start..self.at].trim_end();
        before.ends_with("&&") || before.ends_with('|')
    }

    fn end_line(&mut self, end: usize) {
        if self.line.commands == 0 {
            // Comments stay with the command below them.
            return;
        }
        let text = self.text[self.start..end].trim_matches(['\n', ' ', '\t', '\r']);
        self.lines.push(Line { text, ..std::mem::take(&mut self.line) });
        self.start = end;
    }

    /// Takes an operator; whether a command follows.
    fn operator(&mut self, first: char) -> bool {
        let rest = self.rest();
        if rest.starts_with("&&") {
            self.line.and = true;
            self.at += 2;
        } else if rest.starts_with("||") {
            self.line.or = true;
            self.at += 2;
        } else if rest.starts_with("&>") {
            self.at += 1;
            return false;
        } else {
            match first {
                '|' => self.line.pipe = true,
                _ => self.line.several = true,
            }
            self.at += if rest.starts_with("|&") { 2 } else { 1 };
        }
        true
    }

    fn redirection(&mut self) -> Option<()> {
        let rest = self.rest();
        if rest.starts_with("<(") || rest.starts_with(">(") {
            return self.word(0).map(drop);
        }
        let document = rest.starts_with("<<") && !rest.starts_with("<<<");
        let length = ["<<<", "<<-", "&>>", "<<", ">>", "<&", ">&", ">|", "<>"]
            .iter()
            .find(|operator| rest.starts_with(**operator))
            .map_or(1, |operator| operator.len());
        self.at += length;
        while let Some(' ' | '\t') = self.peek() {
            self.at += 1;
        }
        if self.peek().is_none_or(|c| c == '\n') {
            return None;
        }
        let target = self.word(0)?;
        if document {
            self.line.several = true;
            self.documents.push((target.replace(['\'', '"', '\\'], ""), length == 3));
        }
        Some(())
    }

    /// Skips the here-documents of the line that ended.
    fn bodies(&mut self) -> Option<()> {
        for (end, tabs) in std::mem::take(&mut self.documents) {
            loop {
                let rest = self.rest();
                let length = rest.find('\n').unwrap_or(rest.len());
                let line = &rest[..length];
                let found = (if tabs { line.trim_start_matches('\t') } else { line }) == end;
                if length == rest.len() && !found {
                    return None;
                }
                self.at += (length + 1).min(rest.len());
                if found {
                    break;
                }
            }
        }
        Some(())
    }

    /// A word where a command begins; whether the command itself is still to come.
    fn command(&mut self, word: &str) -> bool {
        self.line.commands += 1;
        let name = word.split(['=', '+', '[']).next().unwrap_or_default();
        if name.len() < word.len() && is_name(name) && word.contains('=') {
            // In front of a program it is the program's alone; the next word tells.
            self.line.assigns = true;
            self.line.leaks |= !self.program_follows();
            self.line.commands -= usize::from(self.program_follows());
            self.line.several |= word.ends_with('=') && self.rest().starts_with('(');
            return true;
        }
        if word == "!" {
            self.line.status = true;
            self.line.commands -= 1;
            return true;
        }
        if COMPOUND.contains(&word) {
            self.line.several = true;
            return true;
        }
        self.line.leaks |= LEAKING.contains(&word);
        self.line.builtin |= BUILTIN.contains(&word) || LEAKING.contains(&word);
        false
    }

    fn program_follows(&self) -> bool {
        let rest = self.rest().trim_start_matches([' ', '\t']);
        rest.chars().next().is_some_and(|c| !"\n;&|)#\r".contains(c))
    }

    /// Takes a word, quotes and expansions included.
    fn word(&mut self, depth: usize) -> Option<&'a str> {
        let start = self.at;
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => {
                    if matches!(next, '<' | '>') && self.rest()[1..].starts_with('(') && self.at == start {
                        self.at += 2;
                        self.until(')', depth)?;
                        continue;
                    }
                    break;
                }
                _ => self.piece(next, depth)?,
            }
        }
        Some(&self.text[start..self.at])
    }

    /// Takes one character, or a quote or expansion as a whole.
    fn piece(&mut self, next: char, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match next {
            '\\' => {
                self.at += 1;
                self.at += self.peek()?.len_utf8();
            }
            '\'' => self.at += self.rest()[1..].find('\'')? + 2,
            '"' => {
                self.at += 1;
                loop {
                    match self.peek()? {
                        '"' => break,
                        '\'' => self.at += 1,
                        c => self.piece(c, depth + 1)?,
                    }
                }
                self.at += 1;
            }
            '`' => {
                self.at += 1;
                while self.peek()? != '`' {
                    self.at += if self.peek()? == '\\' { 1 } else { 0 };
                    self.at += self.peek()?.len_utf8();
                }
                self.at += 1;
            }
            '$' => self.expansion(depth)?,
            c => self.at += c.len_utf8(),
        }
        Some(())
    }

    fn expansion(&mut self, depth: usize) -> Option<()> {
        let rest = self.rest();
        if rest.starts_with("$'") {
            self.at += 2;
            while self.peek()? != '\'' {
                self.at += if self.peek()? == '\\' { 1 } else { 0 };
                self.at += self.peek()?.len_utf8();
            }
            self.at += 1;
        } else if rest.starts_with("$(") {
            self.at += 2;
            self.until(')', depth + 1)?;
        } else if rest.starts_with("${") {
            let end = self.at;
            self.at += 2;
            self.until('}', depth + 1)?;
            let inside = &self.text[end..self.at];
            let name = inside[2..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
            self.line.leaks |= name.starts_with(":=") || name.starts_with('=');
        } else {
            self.line.status |= rest.starts_with("$?") || rest.starts_with("$!") || rest.starts_with("$_ ");
            self.at += 1;
        }
        Some(())
    }

    /// Takes all up to the closing bracket and the bracket itself.
    fn until(&mut self, close: char, depth: usize) -> Option<()> {
        let mut blank = true;
        loop {
            let next = self.peek()?;
            if next == close {
                self.at += 1;
                return Some(());
            }
            match next {
                '(' if close == ')' => {
                    self.at += 1;
                    self.until(')', depth.checked_add(1).filter(|depth| *depth < DEEPEST)?)?;
                }
                // A here-document or a comment inside follows rules of its own.
                '<' if close == ')' && self.rest().starts_with("<<") && !self.rest().starts_with("<<<") => {
                    return None;
                }
                '#' if close == ')' && blank => return None,
                c => self.piece(c, depth + 1)?,
            }
            blank = matches!(next, ' ' | '\t' | '\n');
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

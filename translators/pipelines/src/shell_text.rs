//! What can be told of a piece of shell by looking at it.

use std::sync::LazyLock;

use regex::Regex;

type Pattern = LazyLock<Option<Regex>>;

fn is_in(pattern: &Pattern, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// What the next command would miss, as each is a shell of its own: functions, options, arrays, jobs, an early end.
static LEAKS: Pattern = LazyLock::new(|| {
    Regex::new(
        r"(?mx) (?: ^ | [;&|{(] ) \s* (?:
            function \s+ \w | [\w-]+ \s* \(\) | alias \s | unalias \s | shopt \s | set \s | trap \s | exec \s
          | (?: source | \. ) \s | declare \s | typeset \s | \w+ =\( | umask \s | ulimit \s | exit \b | wait \b
          | nvm \s | sdk \s | rvm \s
        ) | [^&>|] & \s* $",
    )
    .ok()
});

/// What dash and busybox do not know.
static BASH: Pattern = LazyLock::new(|| {
    Regex::new(
        r"(?mx) \[\[ \s | \b source \s | <<< | \b \w+ \+? = \( | pipefail | \b function \s+ \w | &> | >& \s* \w*[a-z]
        | \$ \{ [!] | \$ \{ \w+ (?: // | / | : -? \d | : \s -\d | \^ | ,, | @ | \[ ) | \{ \d+ \.\. \d+ \}
        | \b (?: shopt | declare | pushd | popd | mapfile | readarray ) \b | \$ ' | (?: ^ | [;&|] ) \s* \(\( | < \(
        | \[ \s [^\]\n]* \s == \s | \b echo \s+ -\w*e | \|& | \b let \s | \b export \s+ -f
        | \$ \{? (?: RANDOM | BASH_\w+ | SECONDS | PIPESTATUS ) \b",
    )
    .ok()
});

/// A test that may be false without harm, with what follows where it is true.
static TEST: Pattern =
    LazyLock::new(|| Regex::new(r"^\s*(?:\[|\[\[|test|!|grep\s+-\w*q|command\s+-v|which)\s.*&&").ok());

/// Whether later commands of the same shell may need more of it than directory and variables.
pub(crate) fn leaks(text: &str) -> bool {
    is_in(&LEAKS, text)
}

/// Whether it needs bash.
pub(crate) fn needs_bash(text: &str) -> bool {
    is_in(&BASH, text)
}

/// Whether it ends with a test whose falsehood is no failure under `set -e`.
pub(crate) fn ends_with_test(text: &str) -> bool {
    let last = text.trim_end().lines().last().unwrap_or_default();
    is_in(&TEST, &unquoted(last))
}

/// Whether `set -e` matters inside of it: it holds several commands.
pub(crate) fn is_several(text: &str) -> bool {
    let bare = unquoted(text);
    bare.contains(';') || bare.trim_end().contains('\n')
}

/// Whether it holds an `&&`.
pub(crate) fn has_and(text: &str) -> bool {
    unquoted(text).contains("&&")
}

/// Names that are used as `$NAME` or `${NAME}`.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    static NAME: Pattern = LazyLock::new(|| Regex::new(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)").ok());
    let found = NAME.as_ref().map(|name| name.captures_iter(text));
    found.into_iter().flatten().filter_map(|found| found.get(1).map(|name| name.as_str()))
}

/// The text without what stands in quotes.
fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => drop(chars.next()),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, c) => out.push(c),
            (Some(_), _) => {}
        }
    }
    out
}

/// One word of a command: variables in it are replaced, nothing else is.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else if names(text).next().is_some() {
        let mut out = String::from("\"");
        for c in text.chars() {
            if matches!(c, '"' | '\\' | '`') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
        // A substitution of commands is no variable.
        out.replace("$(", "\\$(")
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaks_is_seen() {
        for text in [
            "f() { echo; }",
            "set -x",
            "source venv/bin/activate",
            ". ./env.sh",
            "sleep 9 &",
            "a; exit 0",
            "trap 'x' EXIT",
            "list=(a b)",
        ] {
            assert!(leaks(text), "{text}");
        }
        for text in ["npm set x", "cd a && make", "echo a 2>&1", "python setup.py", "export A=1", "./set.sh"]
        {
            assert!(!leaks(text), "{text}");
        }
    }

    #[test]
    fn bash_is_seen() {
        for text in [
            "[[ -f a ]]",
            "source a",
            "a=(1 2)",
            "echo ${A//x/y}",
            "x <<< y",
            "[ a == b ]",
            "echo -e 'a'",
            "echo $RANDOM",
            "echo {1..3}",
        ] {
            assert!(needs_bash(text), "{text}");
        }
        for text in ["[ -f a ]", "echo ${A:-b} ${A%x}", "echo $(date)", "a 2>&1", "echo $((1 + 2))"] {
            assert!(!needs_bash(text), "{text}");
        }
    }

    #[test]
    fn what_stands_in_quotes_is_no_command() {
        assert!(!is_several("awk '{a; b}'") && is_several("a; b") && !is_several("echo \"a;\\\" b\""));
        assert!(ends_with_test("[ \"$A\" = b ] && deploy") && !ends_with_test("cd a && deploy"));
        assert!(!has_and("echo 'a && b'"));
    }

    #[test]
    fn words_are_quoted() {
        assert_eq!(word("plain/1.0"), "plain/1.0");
        assert_eq!(word("$A b"), "\"$A b\"");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word("$A `x` $(y)"), "\"$A \\`x\\` \\$(y)\"");
        assert_eq!(word(""), "''");
    }
}

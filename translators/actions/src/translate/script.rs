//! Expressions inside of scripts: GitHub puts their values in before the shell reads the text; here the shell
//! finds them in variables, so it matters whether they stand in quotes.

use super::{
    lower::Lowerer,
    shell::{Lowered, joined},
};
use runspan_expressions::{Segment, Template};

/// Where the shell is while it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Bare,
    Single,
    Double,
    Comment,
    /// In a here-document whose end is quoted, so that nothing in it is replaced.
    Literal(String),
}

/// Bytes of the longest script: a value may stand in it very often.
const MOST: usize = 2 << 20;

/// The script with variables where the expressions stood.
pub(crate) fn script(template: &Template, lowerer: &Lowerer<'_>) -> String {
    let mut pieces: Vec<String> = Vec::new();
    let mut state = State::default();
    let mut length = 0;
    for segment in &template.segments {
        length += pieces.last().map_or(0, String::len);
        if length > MOST {
            lowerer.unknown("the script becomes too long");
            break;
        }
        match segment {
            Segment::Text(text) => {
                state = after(state, text);
                pieces.push(text.clone());
            }
            Segment::Expression { expr, text, .. } => {
                let lowered = lowerer.expr(expr);
                pieces.push(match (&lowered, &state) {
                    (Lowered::Known(value), _) => value.to_text().to_string(),
                    (_, State::Comment) => text.clone(),
                    (lowered, State::Single) => format!("'\"{}\"'", lowered.inside()),
                    (lowered, State::Literal(_)) => {
                        lowerer.unknown("an expression in a here-document with a quoted end is not replaced: take the quotes off");
                        lowered.inside()
                    }
                    (lowered, _) => lowered.inside(),
                });
            }
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    joined(&pieces)
}

fn after(mut state: State, text: &str) -> State {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        state = match (state, c) {
            (State::Bare, '\'') => State::Single,
            (State::Bare, '"') => State::Double,
            (State::Bare, '#') if text[..at].is_empty() || text[..at].ends_with([' ', '\t', '\n', ';']) => {
                State::Comment
            }
            (State::Bare, '<') if text[at..].starts_with("<<") && !text[at..].starts_with("<<<") => {
                let rest = text[at + 2..].trim_start_matches(['-', ' ']);
                let word: String = rest.chars().take_while(|c| !c.is_whitespace()).collect();
                chars.next();
                if word.starts_with(['\'', '"', '\\']) {
                    let end = word.replace(['\'', '"', '\\'], "");
                    // The rest of the line still belongs to the command.
                    for (_, c) in chars.by_ref() {
                        if c == '\n' {
                            break;
                        }
                    }
                    State::Literal(end)
                } else {
                    State::Bare
                }
            }
            (state @ (State::Bare | State::Double), '\\') => {
                chars.next();
                state
            }
            (State::Single, '\'') | (State::Double, '"') | (State::Comment, '\n') => State::Bare,
            (State::Literal(end), '\n')
                if text[at + 1..].lines().next().is_some_and(|line| line.trim() == end) =>
            {
                State::Bare
            }
            (state, _) => state,
        };
    }
    state
}

#[cfg(test)]
mod tests {
    use super::{State, after};

    #[test]
    fn quotes_are_followed() {
        for (text, state) in [
            ("echo ", State::Bare),
            ("echo 'a ", State::Single),
            ("echo \"it's ", State::Double),
            ("echo \\' ", State::Bare),
            ("echo \"a\\\" ", State::Double),
            ("# it's ", State::Comment),
            ("# it's\necho ", State::Bare),
            ("cat <<'EOF'\n", State::Literal("EOF".into())),
            ("cat <<'EOF'\na\nEOF\n", State::Bare),
            ("cat <<EOF\n", State::Bare),
        ] {
            assert_eq!(after(State::Bare, text), state, "{text}");
        }
    }
}

//! Tokens of Groovy.

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether a line break that ends statements comes before it: none inside of `(` or `[` does.
    pub(super) newline: bool,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name or keyword; its text is in the source.
    Word,
    /// A number; its text is in the source.
    Number,
    /// A string without anything to interpolate, decoded.
    Text(String),
    /// A string with parts begins; then come `Part`, `Path`, `Open` … `Close`, and at last `TextEnd`.
    TextBegin,
    /// Literal text in a string, decoded.
    Part(String),
    /// `$name.name` in a string.
    Path,
    /// `${`.
    Open,
    /// The `}` of `${`.
    Close,
    /// A string with parts ends.
    TextEnd,
    /// An operator or separator.
    Sign(&'static str),
    /// The end of the file.
    End,
}

/// Every sign, longer ones before those that they begin with.
pub(super) const SIGNS: &[&str] = &[
    ">>>=", "<=>", "==~", "**=", "...", "..<", "<<=", ">>=", ">>>", "===", "!==", "*.", "?.", ".&", ".@",
    "?:", "->", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "==", "!=", "<=", ">=", "=~",
    "&&", "||", "<<", ">>", "..", "**", "::", "@", "(", ")", "[", "]", "{", "}", ",", ";", ".", ":", "?",
    "=", "<", ">", "!", "~", "+", "-", "*", "/", "%", "&", "|", "^",
];

//! What can be wrong with an expression.

use std::ops::Range;

/// A fault of an expression and its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where in the expression's text, in bytes.
    pub span: Range<usize>,
}

/// Kinds of faults, in GitHub's own words. Positions are counted from 1 in UTF-16 units, as GitHub does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// Text that begins no token.
    #[error("Unexpected symbol: '{symbol}'. Located at position {position} within expression: {expression}")]
    UnexpectedText {
        /// The text.
        symbol: String,
        /// Its place.
        position: usize,
        /// The whole expression.
        expression: String,
    },
    /// A token where the grammar allows none such.
    #[error("Unexpected symbol: '{symbol}'. Located at position {position} within expression: {expression}")]
    UnexpectedToken {
        /// The token.
        symbol: String,
        /// Its place.
        position: usize,
        /// The whole expression.
        expression: String,
    },
    /// The expression ends too soon.
    #[error(
        "Unexpected end of expression: '{symbol}'. Located at position {position} within expression: {expression}"
    )]
    UnexpectedEnd {
        /// The last token.
        symbol: String,
        /// Its place.
        position: usize,
        /// The whole expression.
        expression: String,
    },
    /// A context that does not exist where the expression stands.
    #[error(
        "Unrecognized named-value: '{symbol}'. Located at position {position} within expression: {expression}"
    )]
    UnknownContext {
        /// Its name.
        symbol: String,
        /// Its place.
        position: usize,
        /// The whole expression.
        expression: String,
    },
    /// A function that does not exist where the expression stands.
    #[error(
        "Unrecognized function: '{symbol}'. Located at position {position} within expression: {expression}"
    )]
    UnknownFunction {
        /// Its name.
        symbol: String,
        /// Its place.
        position: usize,
        /// The whole expression.
        expression: String,
    },
    /// A function with too few values.
    #[error(
        "Too few parameters supplied: '{symbol}'. Located at position {position} within expression: {expression}"
    )]
    TooFewParameters {
        /// Its name.
        symbol: String,
        /// Its place.
        position: usize,
        /// The whole expression.
        expression: String,
    },
    /// A function with too many values.
    #[error(
        "Too many parameters supplied: '{symbol}'. Located at position {position} within expression: {expression}"
    )]
    TooManyParameters {
        /// Its name.
        symbol: String,
        /// Its place.
        position: usize,
        /// The whole expression.
        expression: String,
    },
    /// `case` without a last value.
    #[error(
        "Even number of parameters supplied, requires an odd number of parameters: '{symbol}'. Located at position {position} within expression: {expression}"
    )]
    EvenParameters {
        /// Its name.
        symbol: String,
        /// Its place.
        position: usize,
        /// The whole expression.
        expression: String,
    },
    /// Deeper than allowed.
    #[error("Exceeded max expression depth {}", super::MAX_DEPTH)]
    TooDeep,
    /// Longer than allowed.
    #[error("Exceeded max expression length {}", super::MAX_LENGTH)]
    TooLong,
    /// `${{` without its end.
    #[error(
        "The expression is not closed. An unescaped ${{{{ sequence was found, but the closing }}}} sequence was not found."
    )]
    NotClosed,
    /// `${{ }}` around nothing.
    #[error("An expression was expected")]
    Empty,
    /// `format` with braces that do not match.
    #[error("The following format string is invalid: {0}")]
    InvalidFormat(String),
    /// `format` with a number that no value has.
    #[error("The following format string references more arguments than were supplied: {0}")]
    MissingFormatArgument(String),
    /// `fromJSON` of what is none.
    #[error("Error parsing fromJson: {0}")]
    InvalidJson(String),
    /// `case` on what is not true or false.
    #[error("case predicate must evaluate to a boolean value")]
    CasePredicate,
    /// The values on the way are too large.
    #[error("The maximum allowed memory size was exceeded")]
    OutOfMemory,
    /// What only the place of evaluation knows went wrong.
    #[error("{0}")]
    Host(String),
}

impl ErrorKind {
    /// Whether the text could not be read, as opposed to evaluated.
    pub const fn is_syntax(&self) -> bool {
        !matches!(
            self,
            Self::InvalidFormat(_)
                | Self::MissingFormatArgument(_)
                | Self::InvalidJson(_)
                | Self::CasePredicate
                | Self::OutOfMemory
                | Self::Host(_)
        )
    }
}

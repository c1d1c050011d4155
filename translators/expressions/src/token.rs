//! Text to tokens, one at a time: a fault further on is not seen before the parser gets there.

use std::ops::Range;

use super::{Comparison, Error, ErrorKind, number};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    OpenIndex,
    CloseIndex,
    Comma,
    Dot,
    Star,
    Not,
    And,
    Or,
    Compare(Comparison),
    Null,
    Boolean(bool),
    Number(f64),
    String(String),
    /// After a dot.
    Property,
    /// In front of a parenthesis.
    Function,
    Context,
}

pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    at: usize,
    last: Option<Token>,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, last: None }
    }

    /// The next token and its place; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Token, Range<usize>)>, Error> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        let start = self.at;
        let Some(first) = self.text[start..].chars().next() else { return Ok(None) };
        let token = match first {
            '(' => self.single(Token::Open),
            ')' => self.single(Token::Close),
            '[' => self.single(Token::OpenIndex),
            ']' => self.single(Token::CloseIndex),
            ',' => self.single(Token::Comma),
            '*' => self.single(Token::Star),
            '\'' => self.string()?,
            '!' | '>' | '<' | '=' | '&' | '|' => self.operator()?,
            '.' if !self.begins_operand() => self.single(Token::Dot),
            '.' | '-' | '+' | '0'..='9' => self.number()?,
            _ => self.word()?,
        };
        self.last = Some(token.clone());
        Ok(Some((token, start..self.at)))
    }

    /// Whether a dot here is that of a number.
    const fn begins_operand(&self) -> bool {
        matches!(
            self.last,
            None | Some(
                Token::Comma
                    | Token::Open
                    | Token::OpenIndex
                    | Token::Not
                    | Token::And
                    | Token::Or
                    | Token::Compare(_)
            )
        )
    }

    fn single(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    /// Takes what is up to the next boundary, at least one character.
    fn take(&mut self, boundary: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let length = rest[first..].find(boundary).map_or(rest.len(), |length| length + first);
        self.at += length;
        &rest[..length]
    }

    fn unexpected<T>(&self, range: Range<usize>) -> Result<T, Error> {
        let symbol = self.text[range.clone()].to_owned();
        let position = position(self.text, range.start);
        let kind = ErrorKind::UnexpectedText { symbol, position, expression: self.text.to_owned() };
        Err(Error { kind, span: range })
    }

    fn string(&mut self) -> Result<Token, Error> {
        let start = self.at;
        let mut text = String::new();
        let mut rest = self.text[start + 1..].chars();
        while let Some(c) = rest.next() {
            if c == '\'' {
                if !rest.as_str().starts_with('\'') {
                    self.at = self.text.len() - rest.as_str().len();
                    return Ok(Token::String(text));
                }
                rest.next();
            }
            text.push(c);
        }
        self.unexpected(start..self.text.len())
    }

    fn operator(&mut self) -> Result<Token, Error> {
        let rest = &self.text[self.at..];
        let known = [
            ("!=", Token::Compare(Comparison::NotEqual)),
            (">=", Token::Compare(Comparison::GreaterOrEqual)),
            ("<=", Token::Compare(Comparison::LessOrEqual)),
            ("==", Token::Compare(Comparison::Equal)),
            ("&&", Token::And),
            ("||", Token::Or),
            ("!", Token::Not),
            (">", Token::Compare(Comparison::Greater)),
            ("<", Token::Compare(Comparison::Less)),
        ];
        for (text, token) in known {
            if rest.starts_with(text) {
                self.at += text.len();
                return Ok(token);
            }
        }
        let start = self.at;
        self.take(is_boundary);
        self.unexpected(start..self.at)
    }

    fn number(&mut self) -> Result<Token, Error> {
        let start = self.at;
        let text = self.take(|c| is_boundary(c) && c != '.');
        let number = number::parse(text);
        if number.is_nan() { self.unexpected(start..self.at) } else { Ok(Token::Number(number)) }
    }

    fn word(&mut self) -> Result<Token, Error> {
        let start = self.at;
        let word = self.take(is_boundary);
        let begins = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins || !word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return self.unexpected(start..self.at);
        }
        if self.last == Some(Token::Dot) {
            return Ok(Token::Property);
        }
        Ok(match word {
            "null" => Token::Null,
            "true" => Token::Boolean(true),
            "false" => Token::Boolean(false),
            "NaN" => Token::Number(f64::NAN),
            "Infinity" => Token::Number(f64::INFINITY),
            _ if self.text[self.at..].trim_start().starts_with('(') => Token::Function,
            _ => Token::Context,
        })
    }
}

fn is_boundary(c: char) -> bool {
    matches!(c, '(' | ')' | '[' | ']' | ',' | '.' | '!' | '>' | '<' | '=' | '&' | '|') || c.is_whitespace()
}

/// The place of a byte, from 1, in UTF-16 units.
pub(super) fn position(text: &str, at: usize) -> usize {
    text[..at].encode_utf16().count() + 1
}

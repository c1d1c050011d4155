//! Tokens to a tree, by recursive descent; after a fault it goes on at the next statement.

mod expression;
mod statement;
mod types;

use std::ops::Range;

use super::{
    Fault, HIGHEST, MOST_FAULTS, Stmt, lexer,
    token::{Kind, Token},
};

/// A script as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The statements that could be read.
    pub script: Vec<Stmt>,
    /// What could not; empty when the script is whole.
    pub faults: Vec<Fault>,
}

/// Longer scripts, in bytes, are refused: Java has no room for them in a class either, and memory is bounded.
const LONGEST: usize = 1 << 20;

/// Reads a script.
pub fn parse(source: &str) -> Parsed {
    if source.len() > LONGEST {
        let message = format!("the script has {} bytes, the limit is {LONGEST} bytes (1 MiB)", source.len());
        return Parsed { script: Vec::new(), faults: vec![Fault::new(0, 0, message)] };
    }
    let (tokens, faults) = lexer::tokens(source);
    let mut parser = Parser { source, tokens, at: 0, depth: 0, faults, class: None };
    let script = parser.script();
    let mut faults = parser.faults;
    faults.sort_by_key(|fault| fault.span.start);
    faults.dedup_by_key(|fault| fault.span.start);
    Parsed { script, faults }
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: u16,
    faults: Vec<Fault>,
    /// The class whose members are read: its name before `(` is a constructor.
    class: Option<String>,
}

/// The fault is told; whoever can goes on behind it.
struct Failed;

type Result<T> = std::result::Result<T, Failed>;

/// Nested constructs that are read; more are refused.
const DEEPEST: u16 = 120;

impl<'a> Parser<'a> {
    fn token(&self) -> &Token {
        // The last token is the end and is never passed.
        &self.tokens[self.at]
    }

    fn ahead(&self, count: usize) -> &Token {
        &self.tokens[(self.at + count).min(self.tokens.len() - 1)]
    }

    fn text_of(&self, token: &Token) -> &'a str {
        &self.source[token.start..token.end]
    }

    fn start(&self) -> usize {
        self.token().start
    }

    /// Where the token before ends.
    fn end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |before| self.tokens[before].end)
    }

    fn since(&self, start: usize) -> Range<usize> {
        start..self.end().max(start)
    }

    fn next(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    fn at_end(&self) -> bool {
        self.token().kind == Kind::End
    }

    fn is(&self, sign: &str) -> bool {
        is_sign(self.token(), sign)
    }

    /// Whether the token is this sign and stands on the line of what comes before.
    fn is_here(&self, sign: &str) -> bool {
        !self.token().newline && self.is(sign)
    }

    fn is_word(&self, word: &str) -> bool {
        self.word_of(self.token()) == Some(word)
    }

    fn word_of(&self, token: &Token) -> Option<&'a str> {
        (token.kind == Kind::Word).then(|| self.text_of(token))
    }

    /// The name that stands here; keywords are none.
    fn name_of(&self, token: &Token) -> Option<&'a str> {
        self.word_of(token).filter(|word| !is_keyword(word))
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.next();
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.take(sign) { Ok(()) } else { self.unexpected(&format!("`{sign}`")) }
    }

    fn name(&mut self) -> Result<String> {
        match self.name_of(self.token()) {
            Some(name) => {
                self.next();
                Ok(name.to_owned())
            }
            None => self.unexpected("a name"),
        }
    }

    fn unexpected<T>(&mut self, wanted: &str) -> Result<T> {
        let token = self.token().clone();
        let found = match &token.kind {
            Kind::End => "the end of the file".to_owned(),
            Kind::Text(_) | Kind::TextBegin => "a string".to_owned(),
            Kind::Part(_) | Kind::Path | Kind::Open | Kind::Close | Kind::TextEnd => {
                "the rest of a string".to_owned()
            }
            _ => format!("`{}`", self.text_of(&token)),
        };
        let end = token.end.max(token.start);
        self.fault(token.start..end, format!("expected {wanted}, found {found}"));
        Err(Failed)
    }

    fn fault(&mut self, span: Range<usize>, message: impl Into<String>) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault { span, message: message.into() });
        }
    }

    /// Reads something that may hold others of its kind.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEEPEST {
            return self.too_deep();
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn too_deep<T>(&mut self) -> Result<T> {
        let span = self.token().start..self.token().end;
        self.fault(span, format!("this is nested or chained too deeply: at most {DEEPEST} levels are read"));
        Err(Failed)
    }

    /// Refuses what became too high by chaining.
    fn checked_height<T>(&mut self, height: u16, value: T) -> Result<T> {
        if height > HIGHEST { self.too_deep() } else { Ok(value) }
    }
}

fn is_sign(token: &Token, sign: &str) -> bool {
    matches!(token.kind, Kind::Sign(found) if found == sign)
}

/// Words that are no names.
fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "as" | "assert"
            | "break"
            | "case"
            | "catch"
            | "class"
            | "const"
            | "continue"
            | "def"
            | "default"
            | "do"
            | "else"
            | "enum"
            | "extends"
            | "false"
            | "finally"
            | "for"
            | "goto"
            | "if"
            | "implements"
            | "import"
            | "in"
            | "instanceof"
            | "interface"
            | "new"
            | "null"
            | "package"
            | "return"
            | "super"
            | "switch"
            | "this"
            | "throw"
            | "throws"
            | "trait"
            | "true"
            | "try"
            | "while"
    ) || is_modifier(word) && word != "_"
}

fn is_modifier(word: &str) -> bool {
    matches!(
        word,
        "final"
            | "static"
            | "private"
            | "public"
            | "protected"
            | "abstract"
            | "synchronized"
            | "transient"
            | "volatile"
            | "native"
            | "strictfp"
    )
}

fn is_builtin(word: &str) -> bool {
    matches!(word, "void" | "boolean" | "byte" | "char" | "short" | "int" | "float" | "long" | "double")
}

//! Tokens to a tree.

use std::ops::Range;

use super::{
    Comparison, Error, ErrorKind, Expr, Function, Kind, Value,
    token::{Lexer, Token, position},
};

/// Characters of the longest expression.
pub const MAX_LENGTH: usize = 21_000;
/// Levels of the deepest expression.
pub const MAX_DEPTH: usize = 50;
/// Parentheses inside of parentheses: they are no levels of the tree, but of this parser.
const MAX_NESTING: usize = 200;

/// What an expression may name where it stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// Contexts, in any case.
    pub contexts: &'a [&'a str],
    /// Functions beyond those that exist everywhere.
    pub functions: &'a [Function],
}

impl Scope<'static> {
    /// What a step of a job may name.
    pub const STEP: Self = Self {
        contexts: &[
            "github", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy", "matrix",
            "needs", "inputs",
        ],
        functions: &[
            Function::HashFiles,
            Function::Success,
            Function::Failure,
            Function::Always,
            Function::Cancelled,
        ],
    };
}

/// Reads an expression, without `${{ }}` around it; an empty one is null.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse(text: &str, scope: Scope<'_>) -> Result<Expr, Error> {
    if text.encode_utf16().count() > MAX_LENGTH {
        return Err(Error { kind: ErrorKind::TooLong, span: 0..text.len() });
    }
    let mut parser = Parser { lexer: Lexer::new(text), scope, next: None, last: 0..0, nesting: 0 };
    parser.advance()?;
    if parser.next.is_none() {
        return Ok(Expr::new(Kind::Literal(Value::Null), 0..text.len()));
    }
    let expr = parser.expression(Level::Or)?;
    match parser.next {
        None => Ok(expr),
        Some(_) => Err(parser.unexpected()),
    }
}

/// How tightly an operator binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Equality,
    Order,
    Unary,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    scope: Scope<'a>,
    next: Option<(Token, Range<usize>)>,
    /// The token before the next.
    last: Range<usize>,
    nesting: usize,
}

impl Parser<'_> {
    /// Steps over the next token.
    fn advance(&mut self) -> Result<(), Error> {
        if let Some((_, range)) = &self.next {
            self.last = range.clone();
        }
        self.next = self.lexer.next()?;
        Ok(())
    }

    fn takes(&mut self, token: &Token) -> Result<bool, Error> {
        let found = self.next.as_ref().is_some_and(|(next, _)| next == token);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, token: &Token) -> Result<(), Error> {
        if self.takes(token)? { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The next token is none of those allowed.
    fn unexpected(&self) -> Error {
        match &self.next {
            Some((_, range)) => self.error(range, |symbol, position, expression| {
                ErrorKind::UnexpectedToken { symbol, position, expression }
            }),
            None => self.error(&self.last, |symbol, position, expression| ErrorKind::UnexpectedEnd {
                symbol,
                position,
                expression,
            }),
        }
    }

    fn error(&self, range: &Range<usize>, kind: impl FnOnce(String, usize, String) -> ErrorKind) -> Error {
        let text = self.lexer.text;
        let kind = kind(text[range.clone()].to_owned(), position(text, range.start), text.to_owned());
        Error { kind, span: range.clone() }
    }

    /// Makes a node, if the tree may be so deep.
    fn node(kind: Kind, span: Range<usize>) -> Result<Expr, Error> {
        let expr = Expr::new(kind, span);
        if expr.depth > MAX_DEPTH {
            return Err(Error { kind: ErrorKind::TooDeep, span: expr.span });
        }
        Ok(expr)
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(Error { kind: ErrorKind::TooDeep, span: self.last.clone() });
        }
        Ok(())
    }

    /// An expression of operators that bind at least so tightly.
    fn expression(&mut self, level: Level) -> Result<Expr, Error> {
        let mut left = self.unary()?;
        while let Some((token, _)) = &self.next {
            let (binds, comparison) = match token {
                Token::Or => (Level::Or, None),
                Token::And => (Level::And, None),
                Token::Compare(comparison @ (Comparison::Equal | Comparison::NotEqual)) => {
                    (Level::Equality, Some(*comparison))
                }
                Token::Compare(comparison) => (Level::Order, Some(*comparison)),
                _ => break,
            };
            if binds < level {
                break;
            }
            self.advance()?;
            let right = self.expression(match binds {
                Level::Or => Level::And,
                Level::And => Level::Equality,
                Level::Equality => Level::Order,
                Level::Order | Level::Unary => Level::Unary,
            })?;
            let span = left.span.start..right.span.end;
            let kind = match comparison {
                Some(comparison) => Kind::Compare(comparison, Box::new(left), Box::new(right)),
                None if binds == Level::And => Kind::And(chain(left, right, |kind| match kind {
                    Kind::And(parts) => Ok(parts),
                    other => Err(other),
                })),
                None => Kind::Or(chain(left, right, |kind| match kind {
                    Kind::Or(parts) => Ok(parts),
                    other => Err(other),
                })),
            };
            left = Self::node(kind, span)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        let Some((Token::Not, range)) = &self.next else { return self.postfix() };
        let start = range.start;
        self.advance()?;
        self.enter()?;
        let inner = self.unary()?;
        self.nesting -= 1;
        let span = start..inner.span.end;
        Self::node(Kind::Not(Box::new(inner)), span)
    }

    fn postfix(&mut self) -> Result<Expr, Error> {
        let (mut expr, indexable) = self.primary()?;
        if !indexable {
            return Ok(expr);
        }
        loop {
            let start = expr.span.start;
            if self.takes(&Token::Dot)? {
                let kind = match &self.next {
                    Some((Token::Star, _)) => Kind::Star(Box::new(expr)),
                    Some((Token::Property, range)) => {
                        let name = Value::from(&self.lexer.text[range.clone()]);
                        let name = Expr::new(Kind::Literal(name), range.clone());
                        Kind::Index(Box::new(expr), Box::new(name))
                    }
                    _ => return Err(self.unexpected()),
                };
                self.advance()?;
                expr = Self::node(kind, start..self.last.end)?;
            } else if self.takes(&Token::OpenIndex)? {
                let kind = if self.takes(&Token::Star)? {
                    Kind::Star(Box::new(expr))
                } else {
                    self.enter()?;
                    let index = self.expression(Level::Or)?;
                    self.nesting -= 1;
                    Kind::Index(Box::new(expr), Box::new(index))
                };
                self.expect(&Token::CloseIndex)?;
                expr = Self::node(kind, start..self.last.end)?;
            } else {
                return Ok(expr);
            }
        }
    }

    /// An operand, and whether something can be asked of it.
    fn primary(&mut self) -> Result<(Expr, bool), Error> {
        let Some((token, range)) = self.next.clone() else { return Err(self.unexpected()) };
        let literal = match token {
            Token::Null => Value::Null,
            Token::Boolean(flag) => flag.into(),
            Token::Number(number) => number.into(),
            Token::String(text) => text.into(),
            Token::Context => {
                let name = self.lexer.text[range.clone()].to_owned();
                if !self.scope.contexts.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                    return Err(self.error(&range, |symbol, position, expression| {
                        ErrorKind::UnknownContext { symbol, position, expression }
                    }));
                }
                self.advance()?;
                return Ok((Self::node(Kind::Context(name), range)?, true));
            }
            Token::Function => return Ok((self.call(range)?, true)),
            Token::Open => {
                self.advance()?;
                self.enter()?;
                let mut inner = self.expression(Level::Or)?;
                self.nesting -= 1;
                self.expect(&Token::Close)?;
                inner.span = range.start..self.last.end;
                return Ok((inner, true));
            }
            _ => return Err(self.unexpected()),
        };
        self.advance()?;
        Ok((Self::node(Kind::Literal(literal), range)?, false))
    }

    fn call(&mut self, name: Range<usize>) -> Result<Expr, Error> {
        let known = Function::named(&self.lexer.text[name.clone()])
            .filter(|function| function.is_general() || self.scope.functions.contains(function));
        let Some(function) = known else {
            return Err(self.error(&name, |symbol, position, expression| ErrorKind::UnknownFunction {
                symbol,
                position,
                expression,
            }));
        };
        self.advance()?;
        self.expect(&Token::Open)?;
        self.enter()?;
        let mut values = Vec::new();
        if !self.takes(&Token::Close)? {
            loop {
                values.push(self.expression(Level::Or)?);
                if !self.takes(&Token::Comma)? {
                    self.expect(&Token::Close)?;
                    break;
                }
            }
        }
        self.nesting -= 1;
        let (fewest, most) = function.parameters();
        let fault: Option<fn(String, usize, String) -> ErrorKind> = if values.len() < fewest {
            Some(|symbol, position, expression| ErrorKind::TooFewParameters { symbol, position, expression })
        } else if values.len() > most {
            Some(|symbol, position, expression| ErrorKind::TooManyParameters { symbol, position, expression })
        } else if function == Function::Case && values.len() % 2 == 0 {
            Some(|symbol, position, expression| ErrorKind::EvenParameters { symbol, position, expression })
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(self.error(&name, fault));
        }
        Self::node(Kind::Call(function, values), name.start..self.last.end)
    }
}

/// Chains of one operator are one node: they may be longer than the tree may be deep.
fn chain(left: Expr, right: Expr, parts_of: impl Fn(Kind) -> Result<Vec<Expr>, Kind>) -> Vec<Expr> {
    let mut parts = Vec::new();
    for Expr { kind, span, depth } in [left, right] {
        match parts_of(kind) {
            Ok(more) => parts.extend(more),
            Err(kind) => parts.push(Expr { kind, span, depth }),
        }
    }
    parts
}

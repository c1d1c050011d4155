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
    let mut parser = Parser { lexer: Lexer::new(text), scope, next: None, last: 0..0, pending: Vec::new() };
    parser.advance()?;
    if parser.next.is_none() {
        return Ok(Expr::new(Kind::Literal(Value::Null), 0..text.len()));
    }
    parser.expression()
}

/// How tightly an operator binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Equality,
    Order,
}

/// An operator between two operands.
#[derive(Clone, Copy)]
enum Infix {
    Or,
    And,
    Compare(Comparison),
}

impl Infix {
    const fn of(token: &Token) -> Option<Self> {
        Some(match token {
            Token::Or => Self::Or,
            Token::And => Self::And,
            Token::Compare(comparison) => Self::Compare(*comparison),
            _ => return None,
        })
    }

    const fn level(self) -> Level {
        match self {
            Self::Or => Level::Or,
            Self::And => Level::And,
            Self::Compare(Comparison::Equal | Comparison::NotEqual) => Level::Equality,
            Self::Compare(_) => Level::Order,
        }
    }
}

/// What waits for an operand.
enum Pending {
    /// `!`, and where it stands.
    Not(usize),
    /// What is left of an operator.
    Infix(Infix, Expr),
    /// `(`, and where it stands.
    Group(usize),
    /// `a[`.
    Index(Expr),
    /// `f(a,`: its name's place, and the values so far.
    Call(Function, Range<usize>, Vec<Expr>),
}

/// Keeps what waits on a stack of its own: an expression may have thousands of parentheses.
struct Parser<'a> {
    lexer: Lexer<'a>,
    scope: Scope<'a>,
    next: Option<(Token, Range<usize>)>,
    /// The token before the next.
    last: Range<usize>,
    pending: Vec<Pending>,
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

    /// The whole text.
    fn expression(&mut self) -> Result<Expr, Error> {
        loop {
            let (mut expr, mut indexable) = self.operand()?;
            // What follows an operand: until it asks for another one.
            loop {
                let Some((token, _)) = self.next.clone() else {
                    expr = self.reduced(expr, None)?;
                    return if self.pending.is_empty() { Ok(expr) } else { Err(self.unexpected()) };
                };
                if let Some(infix) = Infix::of(&token) {
                    let left = self.reduced(expr, Some(infix.level()))?;
                    self.advance()?;
                    self.pending.push(Pending::Infix(infix, left));
                    break;
                }
                match token {
                    Token::Dot if indexable => expr = self.property(expr)?,
                    Token::OpenIndex if indexable => {
                        self.advance()?;
                        if !self.takes(&Token::Star)? {
                            self.pending.push(Pending::Index(expr));
                            break;
                        }
                        self.expect(&Token::CloseIndex)?;
                        let start = expr.span.start;
                        expr = Self::node(Kind::Star(Box::new(expr)), start..self.last.end)?;
                    }
                    Token::Close | Token::CloseIndex | Token::Comma => {
                        let inner = self.reduced(expr, None)?;
                        match self.closed(inner, &token)? {
                            Some(closed) => (expr, indexable) = (closed, true),
                            None => break,
                        }
                    }
                    _ => return Err(self.unexpected()),
                }
            }
        }
    }

    /// Gives an operand to the operators before it that bind at least so tightly.
    fn reduced(&mut self, mut expr: Expr, level: Option<Level>) -> Result<Expr, Error> {
        while let Some(pending) = self.pending.pop() {
            let end = expr.span.end;
            expr = match pending {
                Pending::Not(start) => Self::node(Kind::Not(Box::new(expr)), start..end)?,
                Pending::Infix(infix, left) if level.is_none_or(|level| infix.level() >= level) => {
                    let span = left.span.start..end;
                    Self::node(joined(infix, left, expr), span)?
                }
                waiting => {
                    self.pending.push(waiting);
                    break;
                }
            };
        }
        Ok(expr)
    }

    /// Ends a bracket, or a value of a function; nothing when another operand must follow.
    fn closed(&mut self, expr: Expr, token: &Token) -> Result<Option<Expr>, Error> {
        match (self.pending.pop(), token) {
            (Some(Pending::Group(start)), Token::Close) => {
                self.advance()?;
                Ok(Some(Expr { span: start..self.last.end, ..expr }))
            }
            (Some(Pending::Index(inner)), Token::CloseIndex) => {
                self.advance()?;
                let span = inner.span.start..self.last.end;
                Self::node(Kind::Index(Box::new(inner), Box::new(expr)), span).map(Some)
            }
            (Some(Pending::Call(function, name, mut values)), Token::Comma | Token::Close) => {
                values.push(expr);
                if *token == Token::Close {
                    return self.call(function, name, values).map(Some);
                }
                self.advance()?;
                self.pending.push(Pending::Call(function, name, values));
                Ok(None)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `.a` or `.*`.
    fn property(&mut self, expr: Expr) -> Result<Expr, Error> {
        self.advance()?;
        let start = expr.span.start;
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
        Self::node(kind, start..self.last.end)
    }

    /// An operand, and whether something can be asked of it; what opens before it waits.
    fn operand(&mut self) -> Result<(Expr, bool), Error> {
        loop {
            let Some((token, range)) = self.next.clone() else { return Err(self.unexpected()) };
            let literal = match token {
                Token::Not => {
                    self.advance()?;
                    self.pending.push(Pending::Not(range.start));
                    continue;
                }
                Token::Open => {
                    self.advance()?;
                    self.pending.push(Pending::Group(range.start));
                    continue;
                }
                Token::Function => {
                    let function = self.function(&range)?;
                    self.advance()?;
                    self.expect(&Token::Open)?;
                    if self.next.as_ref().is_some_and(|(token, _)| *token == Token::Close) {
                        return Ok((self.call(function, range, Vec::new())?, true));
                    }
                    self.pending.push(Pending::Call(function, range, Vec::new()));
                    continue;
                }
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
                Token::Null => Value::Null,
                Token::Boolean(flag) => flag.into(),
                Token::Number(number) => number.into(),
                Token::String(text) => text.into(),
                _ => return Err(self.unexpected()),
            };
            self.advance()?;
            return Ok((Self::node(Kind::Literal(literal), range)?, false));
        }
    }

    fn function(&self, name: &Range<usize>) -> Result<Function, Error> {
        Function::named(&self.lexer.text[name.clone()])
            .filter(|function| function.is_general() || self.scope.functions.contains(function))
            .ok_or_else(|| {
                self.error(name, |symbol, position, expression| ErrorKind::UnknownFunction {
                    symbol,
                    position,
                    expression,
                })
            })
    }

    /// A function whose last parenthesis is next.
    fn call(&mut self, function: Function, name: Range<usize>, values: Vec<Expr>) -> Result<Expr, Error> {
        self.expect(&Token::Close)?;
        let (fewest, most) = function.parameters();
        let fault: Option<fn(String, usize, String) -> ErrorKind> = if values.len() < fewest {
            Some(|symbol, position, expression| ErrorKind::TooFewParameters { symbol, position, expression })
        } else if values.len() > most {
            Some(|symbol, position, expression| ErrorKind::TooManyParameters { symbol, position, expression })
        } else if function == Function::Case && values.len().is_multiple_of(2) {
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

fn joined(infix: Infix, left: Expr, right: Expr) -> Kind {
    match infix {
        Infix::Compare(comparison) => Kind::Compare(comparison, Box::new(left), Box::new(right)),
        Infix::And => Kind::And(chain(left, right, |kind| match kind {
            Kind::And(parts) => Ok(parts),
            other => Err(other),
        })),
        Infix::Or => Kind::Or(chain(left, right, |kind| match kind {
            Kind::Or(parts) => Ok(parts),
            other => Err(other),
        })),
    }
}

/// Chains of one operator are one node: they may be longer than the tree may be deep.
fn chain(left: Expr, right: Expr, parts_of: impl Fn(Kind) -> Result<Vec<Expr>, Kind>) -> Vec<Expr> {
    let of = |Expr { kind, span, depth }: Expr| {
        parts_of(kind).unwrap_or_else(|kind| vec![Expr { kind, span, depth }])
    };
    let mut parts = of(left);
    parts.extend(of(right));
    parts
}

//! The tree of a Groovy script.

use std::ops::Range;

/// What cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The bytes of the source.
    pub span: Range<usize>,
    /// What is wrong, in one line.
    pub message: String,
}

impl Fault {
    pub(crate) fn new(start: usize, end: usize, message: impl Into<String>) -> Self {
        Self { span: start..end, message: message.into() }
    }
}

/// Faults that are told of one file.
pub(super) const MOST_FAULTS: usize = 50;

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// The bytes of the source.
    pub span: Range<usize>,
    /// Levels below, so that nothing that walks the tree can run out of stack.
    pub(super) height: u16,
}

/// The kinds of statements.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are the language's")]
pub enum StmtKind {
    Expr(Expr),
    /// `def x = 1`, `String a, b`, `def (a, b) = c`, `@Library('l') _`.
    Declare {
        annotations: Vec<Annotation>,
        ty: Option<String>,
        names: Vec<(String, Option<Expr>)>,
        /// The one value of `def (a, b) = value`.
        unpacked: Option<Expr>,
    },
    Method {
        annotations: Vec<Annotation>,
        name: String,
        params: Vec<Param>,
        body: Vec<Stmt>,
    },
    /// A class, interface, enum or trait; its members as statements.
    Class {
        name: String,
        body: Vec<Stmt>,
    },
    /// `import` or `package`, with the annotations before it.
    Import {
        annotations: Vec<Annotation>,
        path: String,
    },
    If {
        condition: Expr,
        then: Vec<Stmt>,
        otherwise: Option<Vec<Stmt>>,
    },
    While {
        condition: Expr,
        body: Vec<Stmt>,
    },
    ForIn {
        name: String,
        over: Expr,
        body: Vec<Stmt>,
    },
    For {
        init: Vec<Stmt>,
        condition: Option<Expr>,
        update: Vec<Stmt>,
        body: Vec<Stmt>,
    },
    Try {
        body: Vec<Stmt>,
        catches: Vec<Catch>,
        finally: Option<Vec<Stmt>>,
    },
    Switch {
        value: Expr,
        cases: Vec<Case>,
    },
    Return(Option<Expr>),
    Throw(Expr),
    Assert(Expr, Option<Expr>),
    Break,
    Continue,
    Block(Vec<Stmt>),
    /// `label: statement`.
    Label(String, Box<Stmt>),
}

/// `@Name(arguments)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// Its name.
    pub name: String,
    /// What stands in its parentheses.
    pub args: Vec<Arg>,
    /// The bytes of the source.
    pub span: Range<usize>,
}

/// A parameter of a method or closure.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its default.
    pub default: Option<Expr>,
}

/// `catch (Type name) { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Catch {
    /// What it catches, as written; everything when empty.
    pub types: Vec<String>,
    /// The exception's name inside.
    pub name: String,
    /// What it does.
    pub body: Vec<Stmt>,
    /// The bytes of the source.
    pub span: Range<usize>,
}

/// `case value:` or `default:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Nothing for `default`.
    pub value: Option<Expr>,
    /// What it does.
    pub body: Vec<Stmt>,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// The bytes of the source.
    pub span: Range<usize>,
    /// Levels below, so that nothing that walks the tree can run out of stack.
    pub(super) height: u16,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are the language's")]
pub enum ExprKind {
    /// A string without values, decoded.
    Text(String),
    /// A string with values.
    GString(Vec<Piece>),
    Int(i64),
    /// A whole number that fits no 64 bits.
    BigInt(String),
    Decimal(f64),
    Bool(bool),
    Null,
    Var(String),
    List(Vec<Expr>),
    /// `[key: value]`.
    Map(Vec<Entry>),
    Closure(Box<Closure>),
    Property {
        object: Box<Expr>,
        name: Name,
        how: Access,
    },
    Index {
        object: Box<Expr>,
        args: Vec<Expr>,
    },
    /// A call; a method of the script itself when there is no object.
    Call(Box<Call>),
    New {
        ty: String,
        args: Vec<Arg>,
        body: Option<Vec<Stmt>>,
    },
    Unary {
        op: &'static str,
        operand: Box<Expr>,
    },
    /// `x++` and `x--`.
    Postfix {
        op: &'static str,
        operand: Box<Expr>,
    },
    Binary {
        op: &'static str,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `target op value`, op being `=`, `+=` and so on.
    Assign {
        op: &'static str,
        target: Box<Expr>,
        value: Box<Expr>,
    },
    /// `(a, b)` before `=`.
    Tuple(Vec<Expr>),
    /// `condition ? then : otherwise`.
    Ternary {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    /// `value ?: otherwise`.
    Elvis {
        value: Box<Expr>,
        otherwise: Box<Expr>,
    },
    /// `(Type) value` and `value as Type`.
    Cast {
        ty: String,
        value: Box<Expr>,
    },
    /// `value instanceof Type`.
    InstanceOf {
        value: Box<Expr>,
        ty: String,
    },
    /// `*list` in a list or among arguments.
    Spread(Box<Expr>),
    /// What stands in parentheses.
    Paren(Box<Expr>),
}

/// A piece of a string.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// `${value}` or `$value`.
    Value(Expr),
    /// `${}`, or `${a; b}`: what is no single expression.
    Code(Vec<Stmt>),
}

/// An entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its key; a bare word is a text. Nothing for `*: map`.
    pub key: Option<Expr>,
    /// Its value.
    pub value: Expr,
}

/// A closure.
#[derive(Clone, Debug, PartialEq)]
pub struct Closure {
    /// Its parameters; nothing when there is no `->`.
    pub params: Option<Vec<Param>>,
    /// Its statements.
    pub body: Vec<Stmt>,
}

/// How a member is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `.`
    Dot,
    /// `?.`
    Safe,
    /// `*.`
    Spread,
    /// `.&`
    Method,
    /// `.@`
    Field,
}

/// The name of a member.
#[derive(Clone, Debug, PartialEq)]
pub enum Name {
    /// As written, or in a plain string.
    Fixed(String),
    /// Made when it runs.
    Dynamic(Box<Expr>),
}

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Whose method; nothing for the script's own.
    pub object: Option<Expr>,
    /// The method.
    pub name: Name,
    /// The bytes of the name.
    pub name_span: Range<usize>,
    /// The dot before the name.
    pub how: Access,
    /// The arguments, closures after the parentheses included.
    pub args: Vec<Arg>,
}

/// An argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// By place.
    Value(Expr),
    /// By name.
    Named(Entry),
}

impl Call {
    /// The method of the script itself that is called.
    pub fn step(&self) -> Option<&str> {
        match (&self.object, &self.name) {
            (None, Name::Fixed(name)) => Some(name),
            _ => None,
        }
    }

    /// The closure that comes last.
    pub fn block(&self) -> Option<&Closure> {
        match self.args.last() {
            Some(Arg::Value(Expr { kind: ExprKind::Closure(closure), .. })) => Some(closure),
            _ => None,
        }
    }
}

/// The levels that a tree may have.
pub(super) const HIGHEST: u16 = 200;

impl Expr {
    pub(super) fn new(kind: ExprKind, span: Range<usize>) -> Self {
        let mut height = 0;
        each_child(&kind, &mut |child| height = height.max(child));
        Self { kind, span, height: height.saturating_add(1) }
    }

    /// What is in the parentheses around it.
    pub fn bare(&self) -> &Self {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// The text that it is, when it is one without values.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Stmt {
    pub(super) fn new(kind: StmtKind, span: Range<usize>) -> Self {
        let height = match &kind {
            StmtKind::Expr(expr) | StmtKind::Return(Some(expr)) | StmtKind::Throw(expr) => expr.height,
            StmtKind::Declare { annotations, names, unpacked, .. } => of_annotations(annotations)
                .max(
                    names.iter().filter_map(|(_, value)| value.as_ref()).map(|v| v.height).max().unwrap_or(0),
                )
                .max(unpacked.as_ref().map_or(0, |value| value.height)),
            StmtKind::Method { annotations, params, body, .. } => {
                of_annotations(annotations).max(of_params(params)).max(highest(body))
            }
            StmtKind::Class { body, .. } | StmtKind::Block(body) => highest(body),
            StmtKind::Import { annotations, .. } => of_annotations(annotations),
            StmtKind::If { condition, then, otherwise } => {
                condition.height.max(highest(then)).max(otherwise.as_deref().map_or(0, highest))
            }
            StmtKind::While { condition: expr, body } | StmtKind::ForIn { over: expr, body, .. } => {
                expr.height.max(highest(body))
            }
            StmtKind::For { init, condition, update, body } => highest(init)
                .max(condition.as_ref().map_or(0, |condition| condition.height))
                .max(highest(update))
                .max(highest(body)),
            StmtKind::Try { body, catches, finally } => highest(body)
                .max(catches.iter().map(|catch| highest(&catch.body)).max().unwrap_or(0))
                .max(finally.as_deref().map_or(0, highest)),
            StmtKind::Switch { value, cases } => cases
                .iter()
                .map(|case| highest(&case.body).max(case.value.as_ref().map_or(0, |value| value.height)))
                .max()
                .unwrap_or(0)
                .max(value.height),
            StmtKind::Assert(condition, message) => {
                condition.height.max(message.as_ref().map_or(0, |message| message.height))
            }
            StmtKind::Label(_, stmt) => stmt.height,
            StmtKind::Return(None) | StmtKind::Break | StmtKind::Continue => 0,
        };
        Self { kind, span, height: height.saturating_add(1) }
    }
}

fn highest(body: &[Stmt]) -> u16 {
    body.iter().map(|stmt| stmt.height).max().unwrap_or(0)
}

fn of_args(args: &[Arg]) -> u16 {
    let of = |arg: &Arg| match arg {
        Arg::Value(value) => value.height,
        Arg::Named(entry) => of_entry(entry),
    };
    args.iter().map(of).max().unwrap_or(0)
}

fn of_entry(entry: &Entry) -> u16 {
    entry.key.as_ref().map_or(0, |key| key.height).max(entry.value.height)
}

fn of_params(params: &[Param]) -> u16 {
    params.iter().filter_map(|param| param.default.as_ref()).map(|default| default.height).max().unwrap_or(0)
}

fn of_annotations(annotations: &[Annotation]) -> u16 {
    annotations.iter().map(|annotation| of_args(&annotation.args)).max().unwrap_or(0)
}

fn each_child(kind: &ExprKind, see: &mut impl FnMut(u16)) {
    match kind {
        ExprKind::Text(_)
        | ExprKind::Int(_)
        | ExprKind::BigInt(_)
        | ExprKind::Decimal(_)
        | ExprKind::Bool(_)
        | ExprKind::Null
        | ExprKind::Var(_) => {}
        ExprKind::GString(pieces) => {
            for piece in pieces {
                match piece {
                    Piece::Text(_) => {}
                    Piece::Value(value) => see(value.height),
                    Piece::Code(code) => see(highest(code)),
                }
            }
        }
        ExprKind::List(items) | ExprKind::Tuple(items) => items.iter().for_each(|item| see(item.height)),
        ExprKind::Map(entries) => entries.iter().for_each(|entry| see(of_entry(entry))),
        ExprKind::Closure(closure) => {
            see(highest(&closure.body));
            see(closure.params.as_deref().map_or(0, of_params));
        }
        ExprKind::Property { object, name, .. } => {
            see(object.height);
            of_name(name, see);
        }
        ExprKind::Index { object, args } => {
            see(object.height);
            args.iter().for_each(|arg| see(arg.height));
        }
        ExprKind::Call(call) => {
            call.object.iter().for_each(|object| see(object.height));
            of_name(&call.name, see);
            see(of_args(&call.args));
        }
        ExprKind::New { args, body, .. } => {
            see(of_args(args));
            see(body.as_deref().map_or(0, highest));
        }
        ExprKind::Unary { operand, .. } | ExprKind::Postfix { operand, .. } => see(operand.height),
        ExprKind::Binary { left, right, .. } => [left, right].iter().for_each(|side| see(side.height)),
        ExprKind::Assign { target, value, .. } => [target, value].iter().for_each(|side| see(side.height)),
        ExprKind::Ternary { condition, then, otherwise } => {
            [condition, then, otherwise].iter().for_each(|part| see(part.height));
        }
        ExprKind::Elvis { value, otherwise } => [value, otherwise].iter().for_each(|part| see(part.height)),
        ExprKind::Cast { value, .. }
        | ExprKind::InstanceOf { value, .. }
        | ExprKind::Spread(value)
        | ExprKind::Paren(value) => see(value.height),
    }
}

fn of_name(name: &Name, see: &mut impl FnMut(u16)) {
    if let Name::Dynamic(expr) = name {
        see(expr.height);
    }
}

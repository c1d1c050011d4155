//! An expression as a tree.

use std::ops::Range;

use super::Value;

/// An expression and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// Its bytes in the text it was read from.
    pub span: Range<usize>,
    /// Levels of the tree; never more than allowed, so that walking it needs no guard.
    pub(super) depth: usize,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A value that stands in the text.
    Literal(Value),
    /// A context, as written.
    Context(String),
    /// `a.b` or `a[b]`.
    Index(Box<Expr>, Box<Expr>),
    /// `a.*` or `a[*]`.
    Star(Box<Expr>),
    /// `!a`.
    Not(Box<Expr>),
    /// `a && b && c`.
    And(Vec<Expr>),
    /// `a || b || c`.
    Or(Vec<Expr>),
    /// `a == b` and the like.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// A function with its values.
    Call(Function, Vec<Expr>),
}

/// An operator that compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A function of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are GitHub's")]
pub enum Function {
    Contains,
    StartsWith,
    EndsWith,
    Format,
    Join,
    ToJson,
    FromJson,
    Case,
    HashFiles,
    Success,
    Failure,
    Always,
    Cancelled,
}

impl Function {
    const ALL: [Self; 13] = [
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Format,
        Self::Join,
        Self::ToJson,
        Self::FromJson,
        Self::Case,
        Self::HashFiles,
        Self::Success,
        Self::Failure,
        Self::Always,
        Self::Cancelled,
    ];

    /// As it is usually written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Format => "format",
            Self::Join => "join",
            Self::ToJson => "toJSON",
            Self::FromJson => "fromJSON",
            Self::Case => "case",
            Self::HashFiles => "hashFiles",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Always => "always",
            Self::Cancelled => "cancelled",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name().eq_ignore_ascii_case(name))
    }

    /// Fewest and most values.
    pub(super) const fn parameters(self) -> (usize, usize) {
        match self {
            Self::Contains | Self::StartsWith | Self::EndsWith => (2, 2),
            Self::Format | Self::HashFiles => (1, 255),
            Self::Join => (1, 2),
            Self::ToJson | Self::FromJson => (1, 1),
            Self::Case => (3, 255),
            Self::Success | Self::Failure => (0, 255),
            Self::Always | Self::Cancelled => (0, 0),
        }
    }

    /// Whether it exists everywhere.
    pub(super) const fn is_general(self) -> bool {
        !matches!(self, Self::HashFiles) && !self.is_status()
    }

    /// Whether it asks how the job goes.
    pub const fn is_status(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Always | Self::Cancelled)
    }
}

impl Expr {
    /// An expression of this kind at this place.
    pub fn new(kind: Kind, span: Range<usize>) -> Self {
        let mut depth = 0;
        Self::each_child(&kind, &mut |child| depth = depth.max(child.depth));
        // The parts of `a.b` that are not expressions of their own count as such in GitHub's tree.
        if matches!(kind, Kind::Star(_)) {
            depth = depth.max(1);
        }
        Self { kind, span, depth: depth + 1 }
    }

    fn each_child<'a>(kind: &'a Kind, see: &mut dyn FnMut(&'a Self)) {
        match kind {
            Kind::Literal(_) | Kind::Context(_) => {}
            Kind::Star(inner) | Kind::Not(inner) => see(inner),
            Kind::Index(left, right) | Kind::Compare(_, left, right) => {
                see(left);
                see(right);
            }
            Kind::And(parts) | Kind::Or(parts) | Kind::Call(_, parts) => parts.iter().for_each(see),
        }
    }

    /// Goes through the tree, parents first.
    pub fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Self)) {
        see(self);
        Self::each_child(&self.kind, &mut |child| child.visit(see));
    }

    /// The names of `a.b.c`, when it is nothing but these.
    pub fn path(&self) -> Option<Vec<&str>> {
        match &self.kind {
            Kind::Context(name) => Some(vec![name]),
            Kind::Index(left, right) => {
                let mut path = left.path()?;
                let Kind::Literal(Value::String(name)) = &right.kind else { return None };
                path.push(name);
                Some(path)
            }
            _ => None,
        }
    }

    /// Whether it asks how the job goes.
    pub fn asks_status(&self) -> bool {
        let mut found = false;
        self.visit(&mut |expr| found |= matches!(expr.kind, Kind::Call(function, _) if function.is_status()));
        found
    }
}

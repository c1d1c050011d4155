//! Expressions, by precedence climbing.

use super::{
    super::{Access, Arg, Call, Closure, Entry, Expr, ExprKind, Name, Piece, StmtKind, token::Kind},
    Parser, Result, is_keyword, is_sign,
};

/// How tightly an operator binds.
fn binding(sign: &str) -> Option<u8> {
    Some(match sign {
        "||" => 1,
        "&&" => 2,
        "|" => 3,
        "^" => 4,
        "&" => 5,
        "=~" | "==~" => 6,
        "==" | "!=" | "<=>" | "===" | "!==" => 7,
        "<" | "<=" | ">" | ">=" | "in" | "as" | "instanceof" => 8,
        "<<" | ">>" | ">>>" | ".." | "..<" => 9,
        "+" | "-" => 10,
        "*" | "/" | "%" => 11,
        "**" => 12,
        _ => return None,
    })
}

const ASSIGNMENTS: &[&str] =
    &["=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", ">>>=", "&=", "|=", "^="];

impl Parser<'_> {
    /// An expression, assignments included.
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.nested(Self::assignment)
    }

    fn assignment(&mut self) -> Result<Expr> {
        let start = self.start();
        let target = self.ternary()?;
        let op = match self.token().kind {
            Kind::Sign(sign) if !self.token().newline && ASSIGNMENTS.contains(&sign) => sign,
            _ => return Ok(target),
        };
        let assignable = matches!(
            target.kind,
            ExprKind::Var(_) | ExprKind::Property { .. } | ExprKind::Index { .. } | ExprKind::Tuple(_)
        );
        if !assignable {
            self.fault(target.span, "nothing can be assigned to this");
            return Err(super::Failed);
        }
        self.next();
        let value = self.command()?;
        self.expr(ExprKind::Assign { op, target: Box::new(target), value: Box::new(value) }, start)
    }

    fn ternary(&mut self) -> Result<Expr> {
        let start = self.start();
        let condition = self.binary(0)?;
        if self.is("?:") {
            self.next();
            let otherwise = self.expression()?;
            let kind = ExprKind::Elvis { value: Box::new(condition), otherwise: Box::new(otherwise) };
            return self.expr(kind, start);
        }
        if !self.is("?") {
            return Ok(condition);
        }
        self.next();
        let then = self.expression()?;
        self.expect(":")?;
        let otherwise = self.expression()?;
        let (condition, then, otherwise) = (Box::new(condition), Box::new(then), Box::new(otherwise));
        self.expr(ExprKind::Ternary { condition, then, otherwise }, start)
    }

    fn binary(&mut self, least: u8) -> Result<Expr> {
        let start = self.start();
        let mut left = self.unary()?;
        loop {
            let token = self.token();
            if token.newline {
                return Ok(left);
            }
            let op: &'static str = match token.kind {
                Kind::Sign(sign) => sign,
                Kind::Word => match self.text_of(token) {
                    "in" => "in",
                    "as" => "as",
                    "instanceof" => "instanceof",
                    _ => return Ok(left),
                },
                _ => return Ok(left),
            };
            let Some(strength) = binding(op).filter(|strength| *strength > least) else { return Ok(left) };
            self.next();
            let kind = match op {
                "as" => ExprKind::Cast { ty: self.type_name()?, value: Box::new(left) },
                "instanceof" => ExprKind::InstanceOf { ty: self.type_name()?, value: Box::new(left) },
                _ => {
                    let right = self.nested(|parser| parser.binary(strength))?;
                    ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }
                }
            };
            left = self.expr(kind, start)?;
        }
    }

    fn unary(&mut self) -> Result<Expr> {
        let start = self.start();
        let op = match self.token().kind {
            Kind::Sign(sign @ ("!" | "~" | "-" | "+" | "++" | "--")) => sign,
            Kind::Sign("(") if self.is_cast() => {
                self.next();
                let ty = self.type_name()?;
                self.expect(")")?;
                let value = Box::new(self.nested(Self::unary)?);
                return self.expr(ExprKind::Cast { ty, value }, start);
            }
            _ => return self.path(),
        };
        self.next();
        // `-2 ** 2` is `-(2 ** 2)`.
        let operand = if matches!(op, "-" | "+") {
            self.nested(|parser| parser.binary(11))?
        } else {
            self.nested(Self::unary)?
        };
        let kind = match (op, &operand.kind) {
            ("-", ExprKind::Int(value)) => ExprKind::Int(-value),
            ("-", ExprKind::Decimal(value)) => ExprKind::Decimal(-value),
            _ => ExprKind::Unary { op, operand: Box::new(operand) },
        };
        self.expr(kind, start)
    }

    fn path(&mut self) -> Result<Expr> {
        let first = self.primary()?;
        self.path_of(first)
    }

    /// Members, indexes, calls and blocks after an expression.
    pub(super) fn path_of(&mut self, first: Expr) -> Result<Expr> {
        let start = first.span.start;
        let mut expr = first;
        loop {
            let token = self.token();
            let newline = token.newline;
            let Kind::Sign(sign) = token.kind else { return Ok(expr) };
            expr = match sign {
                "." | "?." | "*." | ".&" | ".@" => self.member(expr, start)?,
                "(" if !newline => {
                    self.next();
                    let args = self.nested(|parser| parser.args(")"))?;
                    self.call(expr, args, start)?
                }
                "[" if !newline => {
                    self.next();
                    let items = self.nested(|parser| parser.args("]"))?;
                    let mut args = Vec::new();
                    for item in items {
                        match item {
                            Arg::Value(value) => args.push(value),
                            // `foo [a: 1]` would be an index by a map.
                            Arg::Named(entry) => {
                                let span = entry.value.span.clone();
                                args.push(Expr::new(ExprKind::Map(vec![entry]), span));
                            }
                        }
                    }
                    self.expr(ExprKind::Index { object: Box::new(expr), args }, start)?
                }
                "{" if !newline && takes_block(&expr) => {
                    let open = self.start();
                    self.next();
                    let closure = self.closure(open)?;
                    self.with_block(expr, closure, start)?
                }
                "++" | "--" if !newline => {
                    self.next();
                    let op = if sign == "++" { "++" } else { "--" };
                    return self.expr(ExprKind::Postfix { op, operand: Box::new(expr) }, start);
                }
                _ => return Ok(expr),
            };
        }
    }

    fn member(&mut self, object: Expr, start: usize) -> Result<Expr> {
        let how = match self.token().kind {
            Kind::Sign("?.") => Access::Safe,
            Kind::Sign("*.") => Access::Spread,
            Kind::Sign(".&") => Access::Method,
            Kind::Sign(".@") => Access::Field,
            _ => Access::Dot,
        };
        self.next();
        if self.is("<")
            && let Some(end) = (1..20).find(|&at| is_sign(self.ahead(at), ">"))
        {
            self.at += end + 1;
        }
        let token = self.token().clone();
        let name = match &token.kind {
            Kind::Word => {
                self.next();
                Name::Fixed(self.text_of(&token).to_owned())
            }
            Kind::Text(text) => {
                self.next();
                Name::Fixed(text.clone())
            }
            Kind::TextBegin | Kind::Sign("(") => Name::Dynamic(Box::new(self.nested(Self::primary)?)),
            _ => return self.unexpected("the name of a member"),
        };
        self.expr(ExprKind::Property { object: Box::new(object), name, how }, start)
    }

    /// What stands before `(…)` becomes a call.
    fn call(&mut self, callee: Expr, args: Vec<Arg>, start: usize) -> Result<Expr> {
        let call = match callee.kind {
            ExprKind::Var(name) if !matches!(name.as_str(), "this" | "super") => {
                Call { object: None, name: Name::Fixed(name), name_span: callee.span, how: Access::Dot, args }
            }
            ExprKind::Property { object, name, how } if how != Access::Method && how != Access::Field => {
                let name_span = object.span.end..callee.span.end;
                let object = Some(*object)
                    .filter(|object| !matches!(&object.kind, ExprKind::Var(name) if name == "this"));
                Call { object, name, name_span, how, args }
            }
            ExprKind::Text(name) => {
                Call { object: None, name: Name::Fixed(name), name_span: callee.span, how: Access::Dot, args }
            }
            ExprKind::GString(_) => Call {
                object: None,
                name_span: callee.span.clone(),
                name: Name::Dynamic(Box::new(callee)),
                how: Access::Dot,
                args,
            },
            _ => Call {
                name_span: callee.span.clone(),
                object: Some(callee),
                name: Name::Fixed("call".into()),
                how: Access::Dot,
                args,
            },
        };
        self.expr(ExprKind::Call(Box::new(call)), start)
    }

    /// `name {…}` or `name(…) {…}`.
    fn with_block(&mut self, expr: Expr, closure: Expr, start: usize) -> Result<Expr> {
        match expr.kind {
            ExprKind::Call(mut call) => {
                call.args.push(Arg::Value(closure));
                self.expr(ExprKind::Call(call), start)
            }
            _ => self.call(expr, vec![Arg::Value(closure)], start),
        }
    }

    /// A call without parentheses, when arguments follow on the same line: `a b, c: d e f`.
    pub(super) fn command_of(&mut self, head: Expr, start: usize) -> Result<Expr> {
        if !is_path(&head) || !self.argument_begins() {
            return Ok(head);
        }
        let mut expr = head;
        if !matches!(expr.kind, ExprKind::Call(_)) {
            let args = self.command_args()?;
            expr = self.call(expr, args, start)?;
        }
        // `a b c d` is `a(b).c(d)`.
        while !self.token().newline && matches!(self.token().kind, Kind::Word) && !self.is_operator_word() {
            let name_start = self.start();
            let name = Name::Fixed(self.text_of(self.token()).to_owned());
            self.next();
            let name_span = self.since(name_start);
            let direct = self.is_here("(") || self.is_here("{") || self.is_here(".") || self.is_here("[");
            expr = if direct || !self.argument_begins() {
                let property = ExprKind::Property { object: Box::new(expr), name, how: Access::Dot };
                let property = self.expr(property, start)?;
                self.path_of(property)?
            } else {
                let args = self.command_args()?;
                let call = Call { object: Some(expr), name, name_span, how: Access::Dot, args };
                self.expr(ExprKind::Call(Box::new(call)), start)?
            };
        }
        Ok(expr)
    }

    fn is_operator_word(&self) -> bool {
        matches!(
            self.word_of(self.token()),
            Some("in" | "as" | "instanceof" | "else" | "catch" | "finally" | "while")
        )
    }

    /// Whether the first argument of a call without parentheses stands here.
    fn argument_begins(&self) -> bool {
        let token = self.token();
        if token.newline {
            return false;
        }
        match &token.kind {
            Kind::Word => !self.is_operator_word(),
            Kind::Number | Kind::Text(_) | Kind::TextBegin => true,
            Kind::Sign(sign) => match *sign {
                "!" | "~" => true,
                "*" => is_sign(self.ahead(1), ":"),
                _ => false,
            },
            _ => false,
        }
    }

    fn command_args(&mut self) -> Result<Vec<Arg>> {
        let mut args = vec![self.arg()?];
        while self.is_here(",") {
            self.next();
            args.push(self.arg()?);
        }
        self.check_names(&args);
        Ok(args)
    }

    /// `value`, `name: value`, `*values`, `*: map`.
    pub(super) fn arg(&mut self) -> Result<Arg> {
        let start = self.start();
        if self.is("*") {
            self.next();
            if self.take(":") {
                let value = self.expression()?;
                return Ok(Arg::Named(Entry { key: None, value }));
            }
            let value = self.expression()?;
            return Ok(Arg::Value(self.expr(ExprKind::Spread(Box::new(value)), start)?));
        }
        let token = self.token().clone();
        if is_sign(self.ahead(1), ":") {
            let kind = match &token.kind {
                Kind::Word => Some(ExprKind::Text(self.text_of(&token).to_owned())),
                Kind::Text(text) => Some(ExprKind::Text(text.clone())),
                _ => None,
            };
            if let Some(kind) = kind {
                self.next();
                let key = self.expr(kind, start)?;
                self.next();
                let value = self.expression()?;
                return Ok(Arg::Named(Entry { key: Some(key), value }));
            }
        }
        let value = self.expression()?;
        if self.is_here(":") {
            self.next();
            let key = Some(value);
            let value = self.expression()?;
            return Ok(Arg::Named(Entry { key, value }));
        }
        Ok(Arg::Value(value))
    }

    fn primary(&mut self) -> Result<Expr> {
        let start = self.start();
        let token = self.token().clone();
        let kind = match &token.kind {
            Kind::Text(text) => {
                self.next();
                ExprKind::Text(text.clone())
            }
            Kind::TextBegin => self.nested(Self::gstring)?,
            Kind::Number => {
                self.next();
                number(self.text_of(&token))
            }
            Kind::Word => match self.text_of(&token) {
                "true" | "false" => {
                    self.next();
                    ExprKind::Bool(self.text_of(&token) == "true")
                }
                "null" => {
                    self.next();
                    ExprKind::Null
                }
                "new" => {
                    self.next();
                    self.creation()?
                }
                word if !is_keyword(word) || matches!(word, "this" | "super") => {
                    self.next();
                    ExprKind::Var(word.to_owned())
                }
                _ => return self.unexpected("an expression"),
            },
            Kind::Sign("(") => {
                self.next();
                let first = self.command()?;
                if self.is(",") {
                    let mut items = vec![first];
                    while self.take(",") {
                        items.push(self.expression()?);
                    }
                    self.expect(")")?;
                    if !self.is("=") {
                        return self.unexpected("`=`");
                    }
                    ExprKind::Tuple(items)
                } else {
                    self.expect(")")?;
                    ExprKind::Paren(Box::new(first))
                }
            }
            Kind::Sign("[") => {
                self.next();
                self.nested(Self::list_or_map)?
            }
            Kind::Sign("{") => {
                self.next();
                return self.closure(start);
            }
            _ => return self.unexpected("an expression"),
        };
        self.expr(kind, start)
    }

    fn list_or_map(&mut self) -> Result<ExprKind> {
        if self.is(":") && is_sign(self.ahead(1), "]") {
            self.next();
            self.next();
            return Ok(ExprKind::Map(Vec::new()));
        }
        let args = self.args("]")?;
        if !args.iter().any(|arg| matches!(arg, Arg::Named(_))) {
            let items = args.into_iter().filter_map(|arg| match arg {
                Arg::Value(value) => Some(value),
                Arg::Named(_) => None,
            });
            return Ok(ExprKind::List(items.collect()));
        }
        let mut entries = Vec::new();
        for arg in args {
            match arg {
                Arg::Named(entry) => entries.push(entry),
                Arg::Value(value) => {
                    self.fault(value.span, "a map cannot hold an item without a key");
                    return Err(super::Failed);
                }
            }
        }
        Ok(ExprKind::Map(entries))
    }

    /// The rest of a closure after `{`.
    pub(super) fn closure(&mut self, open: usize) -> Result<Expr> {
        self.nested(|parser| {
            let params = if parser.closure_has_params() { Some(parser.closure_params()?) } else { None };
            let body = parser.rest_of_block(open)?;
            parser.expr(ExprKind::Closure(Box::new(Closure { params, body })), open)
        })
    }

    fn closure_params(&mut self) -> Result<Vec<super::super::Param>> {
        let mut params = Vec::new();
        while !self.take("->") {
            params.push(self.param()?);
            if !self.take(",") && !self.is("->") {
                return self.unexpected("`,` or `->`");
            }
        }
        Ok(params)
    }

    fn creation(&mut self) -> Result<ExprKind> {
        let start = self.start();
        let Some(end) = self.type_end(0) else { return self.unexpected("a type") };
        for _ in 0..end {
            self.next();
        }
        let mut ty = self.source[start..self.end()].to_owned();
        let mut args = Vec::new();
        let mut body = None;
        if self.is("[") {
            while self.is_here("[") {
                self.next();
                args.extend(self.nested(|parser| parser.args("]"))?);
                ty.push_str("[]");
            }
        } else {
            self.expect("(")?;
            args = self.nested(|parser| parser.args(")"))?;
            if self.is_here("{") {
                body = Some(self.nested(Self::block)?);
            }
        }
        Ok(ExprKind::New { ty, args, body })
    }

    /// The rest of a string with values.
    fn gstring(&mut self) -> Result<ExprKind> {
        self.next();
        let mut pieces = Vec::new();
        loop {
            let token = self.token().clone();
            match token.kind {
                Kind::Part(text) => {
                    self.next();
                    pieces.push(Piece::Text(text));
                }
                Kind::Path => {
                    self.next();
                    pieces.push(Piece::Value(self.dollar_path(token.start + 1, token.end)?));
                }
                Kind::Open => {
                    self.next();
                    pieces.push(self.interpolated()?);
                }
                Kind::TextEnd => {
                    self.next();
                    return Ok(ExprKind::GString(pieces));
                }
                _ => return self.unexpected("the rest of a string"),
            }
        }
    }

    fn interpolated(&mut self) -> Result<Piece> {
        let mut code = Vec::new();
        while self.token().kind != Kind::Close {
            if self.take(";") {
                continue;
            }
            if self.at_end() || matches!(self.token().kind, Kind::TextEnd) {
                return self.unexpected("`}` after `${`");
            }
            let start = self.start();
            let expr = self.command()?;
            code.push(super::super::Stmt::new(StmtKind::Expr(expr), self.since(start)));
            if self.token().kind != Kind::Close && !self.is(";") {
                return self.unexpected("`}` after `${`");
            }
        }
        self.next();
        match code.pop() {
            Some(super::super::Stmt { kind: StmtKind::Expr(expr), .. }) if code.is_empty() => {
                Ok(Piece::Value(expr))
            }
            last => {
                code.extend(last);
                Ok(Piece::Code(code))
            }
        }
    }

    /// `a.b` of `$a.b`.
    fn dollar_path(&mut self, start: usize, end: usize) -> Result<Expr> {
        let mut at = start;
        let mut expr: Option<Expr> = None;
        for name in self.source[start..end].split('.') {
            let until = at + name.len();
            let kind = match expr {
                None => ExprKind::Var(name.to_owned()),
                Some(object) => ExprKind::Property {
                    object: Box::new(object),
                    name: Name::Fixed(name.to_owned()),
                    how: Access::Dot,
                },
            };
            let made = Expr::new(kind, start..until);
            expr = Some(self.checked_height(made.height, made)?);
            at = until + 1;
        }
        expr.map_or_else(|| self.unexpected("a name after `$`"), Ok)
    }

    fn expr(&mut self, kind: ExprKind, start: usize) -> Result<Expr> {
        let expr = Expr::new(kind, self.since(start));
        self.checked_height(expr.height, expr)
    }
}

fn number(text: &str) -> ExprKind {
    let text = text.replace('_', "");
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(digits.trim_end_matches(['l', 'L', 'g', 'G']), 16)
            .map_or(ExprKind::BigInt(text.clone()), ExprKind::Int);
    }
    if let Some(digits) = text.strip_prefix("0b").or_else(|| text.strip_prefix("0B")) {
        return i64::from_str_radix(digits.trim_end_matches(['l', 'L', 'g', 'G']), 2)
            .map_or(ExprKind::BigInt(text.clone()), ExprKind::Int);
    }
    let digits = text.trim_end_matches(['l', 'L', 'g', 'G', 'i', 'I', 'd', 'D', 'f', 'F']);
    let decimal = digits.contains(['.', 'e', 'E']) || text.ends_with(['d', 'D', 'f', 'F']);
    if decimal {
        return ExprKind::Decimal(digits.parse().unwrap_or(0.0));
    }
    match digits.parse() {
        Ok(value) => ExprKind::Int(value),
        Err(_) => ExprKind::BigInt(digits.to_owned()),
    }
}

/// Whether `{…}` after it is an argument.
fn takes_block(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        ExprKind::Var(_)
            | ExprKind::Property { .. }
            | ExprKind::Call(_)
            | ExprKind::Index { .. }
            | ExprKind::Text(_)
            | ExprKind::GString(_)
    )
}

/// Whether arguments may follow without parentheses.
fn is_path(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        ExprKind::Var(_)
            | ExprKind::Property { .. }
            | ExprKind::Call(_)
            | ExprKind::Index { .. }
            | ExprKind::Text(_)
            | ExprKind::GString(_)
    )
}

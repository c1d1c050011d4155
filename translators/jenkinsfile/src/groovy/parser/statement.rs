//! Statements.

use super::{
    super::{Annotation, Arg, Case, Catch, Entry, Expr, ExprKind, Stmt, StmtKind, token::Kind},
    Parser, Result, is_modifier, is_sign,
};

impl Parser<'_> {
    pub(super) fn script(&mut self) -> Vec<Stmt> {
        let mut script = Vec::new();
        loop {
            self.statements_into(&mut script);
            if self.at_end() {
                return script;
            }
            let span = self.token().start..self.token().end;
            self.fault(span, "this `}` closes nothing");
            self.next();
        }
    }

    /// Statements up to `}` or the end of the file.
    fn statements_into(&mut self, body: &mut Vec<Stmt>) {
        loop {
            while self.take(";") {}
            if self.at_end() || self.is("}") {
                return;
            }
            let from = self.at;
            let stmt = self.nested(Self::statement);
            let stmt = stmt.and_then(|stmt| self.ended(from).map(|()| stmt));
            match stmt {
                Ok(stmt) => body.push(stmt),
                Err(failed) => self.recover(failed, from),
            }
        }
    }

    /// A statement ends with its line, or at `;` or `}`.
    fn ended(&mut self, from: usize) -> Result<()> {
        let token = self.token();
        let closed = self.at > from && is_sign(&self.tokens[self.at - 1], "}");
        let ok = token.newline
            || matches!(token.kind, Kind::End | Kind::Sign(";" | "}"))
            || (closed && self.at > from && self.closed_statement(from));
        if ok { Ok(()) } else { self.unexpected("the end of the statement") }
    }

    /// Whether what was read is a statement that its own `}` ends.
    fn closed_statement(&self, from: usize) -> bool {
        matches!(
            self.word_of(&self.tokens[from]),
            Some(
                "if" | "for" | "while" | "try" | "switch" | "class" | "interface" | "enum" | "trait" | "def"
            )
        ) || is_sign(&self.tokens[from], "{")
            || self.word_of(&self.tokens[from]).is_some_and(|word| is_modifier(word) || word == "void")
    }

    /// `{ statements }`.
    pub(super) fn block(&mut self) -> Result<Vec<Stmt>> {
        let open = self.token().start;
        self.expect("{")?;
        self.rest_of_block(open)
    }

    /// Statements and `}`.
    pub(super) fn rest_of_block(&mut self, open: usize) -> Result<Vec<Stmt>> {
        let mut body = Vec::new();
        self.statements_into(&mut body);
        if !self.take("}") {
            self.fault(open..open + 1, "this `{` is never closed");
        }
        Ok(body)
    }

    /// A block, or one statement without braces.
    fn body(&mut self) -> Result<Vec<Stmt>> {
        if self.is("{") {
            return self.nested(Self::block);
        }
        if self.take(";") {
            return Ok(Vec::new());
        }
        Ok(vec![self.nested(Self::statement)?])
    }

    fn statement(&mut self) -> Result<Stmt> {
        let start = self.start();
        if is_sign(self.token(), "@") && !is_sign(self.ahead(1), "interface") {
            return self.annotated(start);
        }
        let kind = match self.word_of(self.token()) {
            Some(word) => match word {
                "import" | "package" => self.import(Vec::new())?,
                "if" => self.condition()?,
                "while" => {
                    self.next();
                    let condition = self.in_parens()?;
                    StmtKind::While { condition, body: self.body()? }
                }
                "for" => self.repetition()?,
                "try" => self.attempt()?,
                "switch" => self.choice()?,
                "return" => {
                    self.next();
                    let nothing = self.token().newline
                        || matches!(self.token().kind, Kind::End | Kind::Sign(";" | "}"));
                    StmtKind::Return(if nothing { None } else { Some(self.command()?) })
                }
                "throw" => {
                    self.next();
                    StmtKind::Throw(self.expression()?)
                }
                "assert" => {
                    self.next();
                    let condition = self.expression()?;
                    let message =
                        if self.take(":") || self.take(",") { Some(self.expression()?) } else { None };
                    StmtKind::Assert(condition, message)
                }
                "break" | "continue" => {
                    let broken = self.take_word("break");
                    if !broken {
                        self.next();
                    }
                    if !self.token().newline && self.name_of(self.token()).is_some() {
                        self.next();
                    }
                    if broken { StmtKind::Break } else { StmtKind::Continue }
                }
                "class" | "interface" | "enum" | "trait" => self.class()?,
                "synchronized" if is_sign(self.ahead(1), "(") => {
                    self.next();
                    self.in_parens()?;
                    StmtKind::Block(self.block()?)
                }
                "def" => self.declaration(Vec::new())?,
                _ if is_modifier(word) => self.declaration(Vec::new())?,
                _ if is_sign(self.ahead(1), ":") && self.name_of(self.token()).is_some() => {
                    let label = self.name()?;
                    self.next();
                    let stmt = self.nested(Self::statement)?;
                    StmtKind::Label(label, Box::new(stmt))
                }
                _ if self.declared_type(0).is_some() => self.declaration(Vec::new())?,
                _ if self.class.as_deref() == Some(word) && is_sign(self.ahead(1), "(") => {
                    self.method(Vec::new())?
                }
                _ => StmtKind::Expr(self.command()?),
            },
            None if self.is("{") => {
                let open = self.token().start;
                self.next();
                if self.closure_has_params() {
                    let expr = self.closure(open)?;
                    StmtKind::Expr(self.path_of(expr)?)
                } else {
                    StmtKind::Block(self.rest_of_block(open)?)
                }
            }
            None => StmtKind::Expr(self.command()?),
        };
        self.stmt(kind, start)
    }

    fn stmt(&mut self, kind: StmtKind, start: usize) -> Result<Stmt> {
        let stmt = Stmt::new(kind, self.since(start));
        self.checked_height(stmt.height, stmt)
    }

    fn annotated(&mut self, start: usize) -> Result<Stmt> {
        let annotations = self.annotations()?;
        let word = self.word_of(self.token());
        let kind = match word {
            Some("import" | "package") => self.import(annotations)?,
            Some("class" | "interface" | "enum" | "trait") => self.class()?,
            Some("_") => {
                self.next();
                StmtKind::Declare { annotations, ty: None, names: vec![("_".into(), None)], unpacked: None }
            }
            _ => self.declaration(annotations)?,
        };
        self.stmt(kind, start)
    }

    pub(super) fn annotations(&mut self) -> Result<Vec<Annotation>> {
        let mut annotations = Vec::new();
        while self.is("@") && self.word_of(self.ahead(1)) != Some("interface") {
            let start = self.start();
            self.next();
            let mut name = self.name()?;
            while self.is(".") {
                self.next();
                name = format!("{name}.{}", self.name()?);
            }
            let args = if self.is_here("(") {
                self.next();
                self.nested(|parser| parser.args(")"))?
            } else {
                Vec::new()
            };
            annotations.push(Annotation { name, args, span: self.since(start) });
        }
        Ok(annotations)
    }

    fn import(&mut self, annotations: Vec<Annotation>) -> Result<StmtKind> {
        let start = self.start();
        self.next();
        self.take_word("static");
        loop {
            if !self.take("*") {
                if self.word_of(self.token()).is_none() {
                    return self.unexpected("a name");
                }
                self.next();
            }
            if !self.take(".") {
                break;
            }
        }
        if self.take_word("as") {
            self.name()?;
        }
        Ok(StmtKind::Import { annotations, path: self.source[start..self.end()].to_owned() })
    }

    pub(super) fn in_parens(&mut self) -> Result<Expr> {
        self.expect("(")?;
        let expr = self.expression()?;
        self.expect(")")?;
        Ok(expr)
    }

    fn condition(&mut self) -> Result<StmtKind> {
        self.next();
        let condition = self.in_parens()?;
        let then = self.body()?;
        let mut ahead = 0;
        while is_sign(self.ahead(ahead), ";") {
            ahead += 1;
        }
        let otherwise = if self.word_of(self.ahead(ahead)) == Some("else") {
            self.at += ahead;
            self.next();
            Some(self.body()?)
        } else {
            None
        };
        Ok(StmtKind::If { condition, then, otherwise })
    }

    fn repetition(&mut self) -> Result<StmtKind> {
        self.next();
        self.expect("(")?;
        let mut at = 0;
        while self.word_of(self.ahead(at)).is_some_and(|word| word == "def" || is_modifier(word)) {
            at += 1;
        }
        if let Some(end) = self.type_end(at)
            && self.name_of(self.ahead(end)).is_some()
        {
            at = end;
        }
        let separator = self.ahead(at + 1);
        if self.name_of(self.ahead(at)).is_some()
            && (self.word_of(separator) == Some("in") || is_sign(separator, ":"))
        {
            self.at += at;
            let name = self.name()?;
            self.next();
            let over = self.expression()?;
            self.expect(")")?;
            return Ok(StmtKind::ForIn { name, over, body: self.body()? });
        }
        let init = self.parts_of_for(";")?;
        let condition = if self.is(";") { None } else { Some(self.expression()?) };
        self.expect(";")?;
        let update = self.parts_of_for(")")?;
        Ok(StmtKind::For { init, condition, update, body: self.body()? })
    }

    fn parts_of_for(&mut self, end: &str) -> Result<Vec<Stmt>> {
        let mut parts = Vec::new();
        while !self.take(end) {
            parts.push(self.nested(Self::statement)?);
            if !self.take(",") && !self.is(end) {
                return self.unexpected(&format!("`{end}`"));
            }
        }
        Ok(parts)
    }

    fn attempt(&mut self) -> Result<StmtKind> {
        self.next();
        let body = self.block()?;
        let mut catches = Vec::new();
        while self.is_word("catch") {
            let start = self.start();
            self.next();
            self.expect("(")?;
            while self.word_of(self.token()).is_some_and(|word| word == "def" || word == "final") {
                self.next();
            }
            let mut types = Vec::new();
            while self
                .type_end(0)
                .is_some_and(|end| is_sign(self.ahead(end), "|") || self.name_of(self.ahead(end)).is_some())
            {
                types.push(self.type_name()?);
                if !self.take("|") {
                    break;
                }
            }
            let name = self.name()?;
            self.expect(")")?;
            let body = self.block()?;
            catches.push(Catch { types, name, body, span: self.since(start) });
        }
        let finally = if self.take_word("finally") { Some(self.block()?) } else { None };
        if catches.is_empty() && finally.is_none() {
            return self.unexpected("`catch` or `finally` after `try { … }`");
        }
        Ok(StmtKind::Try { body, catches, finally })
    }

    fn choice(&mut self) -> Result<StmtKind> {
        self.next();
        let value = self.in_parens()?;
        let open = self.token().start;
        self.expect("{")?;
        let mut cases = Vec::new();
        while !self.take("}") {
            let value = if self.take_word("default") {
                None
            } else if self.take_word("case") {
                Some(self.expression()?)
            } else if self.at_end() {
                self.fault(open..open + 1, "this `{` is never closed");
                break;
            } else {
                return self.unexpected("`case`, `default` or `}`");
            };
            self.expect(":")?;
            let mut body = Vec::new();
            loop {
                while self.take(";") {}
                let label = self.is_word("case") || (self.is_word("default") && is_sign(self.ahead(1), ":"));
                if self.at_end() || self.is("}") || label {
                    break;
                }
                let from = self.at;
                match self.nested(Self::statement).and_then(|stmt| self.ended(from).map(|()| stmt)) {
                    Ok(stmt) => body.push(stmt),
                    Err(failed) => self.recover(failed, from),
                }
            }
            cases.push(Case { value, body });
        }
        Ok(StmtKind::Switch { value, cases })
    }

    fn class(&mut self) -> Result<StmtKind> {
        let of_values = self.is_word("enum");
        self.next();
        let name = self.name()?;
        while !self.is("{") {
            if self.at_end()
                || !(self.word_of(self.token()).is_some()
                    || self.is(",")
                    || self.is("<")
                    || self.is(".")
                    || self.is(">")
                    || self.is("?")
                    || self.is(">>"))
            {
                return self.unexpected("`{`");
            }
            self.next();
        }
        let open = self.token().start;
        self.next();
        if of_values {
            self.constants()?;
        }
        let outer = self.class.replace(name.clone());
        let body = self.rest_of_block(open);
        self.class = outer;
        Ok(StmtKind::Class { name, body: body? })
    }

    /// The values of an enum.
    fn constants(&mut self) -> Result<()> {
        while self.name_of(self.token()).is_some()
            && (matches!(self.ahead(1).kind, Kind::Sign("," | "(" | "}" | ";" | "{"))
                || self.ahead(1).newline)
        {
            self.next();
            if self.is("(") {
                self.next();
                self.nested(|parser| parser.args(")"))?;
            }
            if self.is_here("{") {
                self.nested(Self::block)?;
            }
            if !self.take(",") {
                break;
            }
        }
        Ok(())
    }

    /// `def x = 1`, a method, a constructor, `static { … }`; annotations are read already.
    fn declaration(&mut self, annotations: Vec<Annotation>) -> Result<StmtKind> {
        let mut explicit = !annotations.is_empty();
        while let Some(word) = self.word_of(self.token())
            && (word == "def" || is_modifier(word))
        {
            explicit = true;
            self.next();
            if word == "static" && self.is("{") {
                return Ok(StmtKind::Block(self.block()?));
            }
        }
        if self
            .word_of(self.token())
            .is_some_and(|word| matches!(word, "class" | "interface" | "enum" | "trait"))
        {
            return self.class();
        }
        if self.is("<") {
            let mut depth = 0_i32;
            loop {
                match self.token().kind {
                    Kind::Sign("<") => depth += 1,
                    Kind::Sign(">") => depth -= 1,
                    Kind::Sign("," | "?" | ".") | Kind::Word => {}
                    _ => return self.unexpected("`>`"),
                }
                self.next();
                if depth == 0 {
                    break;
                }
            }
        }
        if explicit && self.is("(") {
            return self.unpacking(annotations);
        }
        let mut ty = None;
        if let Some(end) = self.type_end(0) {
            let name = self.ahead(end);
            let named = self.name_of(name).is_some() || matches!(name.kind, Kind::Text(_));
            if named && !name.newline {
                ty = Some(self.type_name()?);
            }
        }
        if is_sign(self.ahead(1), "(") && !self.ahead(1).newline {
            return self.method(annotations);
        }
        let mut names = Vec::new();
        loop {
            let name = self.name()?;
            let value = if self.is_here("=") {
                self.next();
                Some(self.command()?)
            } else {
                None
            };
            names.push((name, value));
            if !self.is_here(",") {
                break;
            }
            self.next();
        }
        Ok(StmtKind::Declare { annotations, ty, names, unpacked: None })
    }

    /// `(a, b) = value` after `def`.
    fn unpacking(&mut self, annotations: Vec<Annotation>) -> Result<StmtKind> {
        self.next();
        let mut names = Vec::new();
        while !self.take(")") {
            if let Some(end) = self.type_end(0)
                && self.name_of(self.ahead(end)).is_some()
            {
                self.type_name()?;
            }
            names.push((self.name()?, None));
            if !self.take(",") && !self.is(")") {
                return self.unexpected("`,` or `)`");
            }
        }
        let unpacked = if self.take("=") { Some(self.command()?) } else { None };
        Ok(StmtKind::Declare { annotations, ty: None, names, unpacked })
    }

    fn method(&mut self, annotations: Vec<Annotation>) -> Result<StmtKind> {
        let token = self.token().clone();
        let name = match &token.kind {
            Kind::Text(text) => text.clone(),
            _ => match self.name_of(&token) {
                Some(name) => name.to_owned(),
                None => return self.unexpected("a name"),
            },
        };
        self.next();
        self.next();
        let params = self.nested(Self::params)?;
        if self.take_word("throws") {
            self.type_name()?;
            while self.take(",") {
                self.type_name()?;
            }
        }
        let body = if self.is("{") { self.nested(Self::block)? } else { Vec::new() };
        Ok(StmtKind::Method { annotations, name, params, body })
    }

    /// Arguments or list items, up to and with what ends them.
    pub(super) fn args(&mut self, end: &str) -> Result<Vec<Arg>> {
        let mut args = Vec::new();
        while !self.take(end) {
            // Groovy forgives a comma too many between arguments.
            if end == ")" && !args.is_empty() && self.take(",") {
                continue;
            }
            args.push(self.arg()?);
            if !self.take(",") && !self.is(end) {
                return self.unexpected(&format!("`,` or `{end}`"));
            }
        }
        if end == ")" {
            self.check_names(&args);
        }
        Ok(args)
    }

    /// Refuses names of arguments that stand twice.
    pub(super) fn check_names(&mut self, args: &[Arg]) {
        let mut names = std::collections::HashSet::new();
        for arg in args {
            if let Arg::Named(Entry { key: Some(key), .. }) = arg
                && let ExprKind::Text(name) = &key.kind
                && !names.insert(name.as_str())
            {
                self.fault(key.span.clone(), format!("the argument `{name}` stands twice"));
            }
        }
    }

    /// A statement's expression, which may be a call without parentheses.
    pub(super) fn command(&mut self) -> Result<Expr> {
        self.nested(|parser| {
            let start = parser.start();
            let expr = parser.expression()?;
            match &expr.kind {
                ExprKind::Assign { .. } => Ok(expr),
                _ => parser.command_of(expr, start),
            }
        })
    }
}

//! Types, and what tells a declaration from a call.

use super::{
    super::{Param, token::Kind},
    Failed, Parser, Result, is_builtin, is_keyword, is_modifier, is_sign,
};

impl Parser<'_> {
    /// Where the type that begins at a token ends: `a.b.C<D, ?>[]`.
    pub(super) fn type_end(&self, start: usize) -> Option<usize> {
        let mut at = start;
        let first = self.word_of(self.ahead(at))?;
        if is_keyword(first) && first != "def" {
            return None;
        }
        at += 1;
        while is_sign(self.ahead(at), ".") && self.word_of(self.ahead(at + 1)).is_some() {
            at += 2;
        }
        if is_sign(self.ahead(at), "<") {
            at = self.generics_end(at)?;
        }
        while is_sign(self.ahead(at), "[") && is_sign(self.ahead(at + 1), "]") {
            at += 2;
        }
        if is_sign(self.ahead(at), "...") {
            at += 1;
        }
        Some(at)
    }

    fn generics_end(&self, start: usize) -> Option<usize> {
        let mut depth = 0_i32;
        // No generics of real files come near this.
        for at in start..start + 100 {
            let token = self.ahead(at);
            match &token.kind {
                Kind::Sign("<") => depth += 1,
                Kind::Sign(">") => depth -= 1,
                Kind::Sign(">>") => depth -= 2,
                Kind::Sign(">>>") => depth -= 3,
                Kind::Sign("," | "." | "?" | "[" | "]" | "&") | Kind::Word => {}
                _ => return None,
            }
            if depth == 0 {
                return Some(at + 1);
            }
            if depth < 0 {
                return None;
            }
        }
        None
    }

    /// Whether the type that begins at a token can only be a type: its name begins with a capital letter, or it is
    /// one of the built-in ones.
    fn is_plainly_type(&self, start: usize, end: usize) -> bool {
        let mut last = self.word_of(self.ahead(start)).unwrap_or_default();
        let mut at = start + 1;
        while at + 1 < end && is_sign(self.ahead(at), ".") {
            last = self.word_of(self.ahead(at + 1)).unwrap_or_default();
            at += 2;
        }
        is_builtin(last) || last.starts_with(char::is_uppercase)
    }

    /// Where the type of a declaration ends that begins here with a type and a name.
    pub(super) fn declared_type(&self, start: usize) -> Option<usize> {
        let end = self.type_end(start)?;
        if !self.is_plainly_type(start, end) {
            return None;
        }
        let name = self.ahead(end);
        if name.newline {
            return None;
        }
        let named = self.name_of(name).is_some()
            || (matches!(name.kind, Kind::Text(_)) && is_sign(self.ahead(end + 1), "("));
        named.then_some(end)
    }

    pub(super) fn type_name(&mut self) -> Result<String> {
        let Some(count) = self.type_end(0) else { return self.unexpected("a type") };
        let start = self.start();
        for _ in 0..count {
            self.next();
        }
        Ok(self.source[start..self.end()].to_owned())
    }

    /// Whether `(Type)` stands here as a cast of what follows.
    pub(super) fn is_cast(&self) -> bool {
        let Some(end) = self.type_end(1) else { return false };
        if !is_sign(self.ahead(end), ")") || !self.is_plainly_type(1, end) {
            return false;
        }
        let next = self.ahead(end + 1);
        !next.newline
            && match &next.kind {
                Kind::Word => {
                    !matches!(self.text_of(next), "instanceof" | "in" | "as")
                        && (!is_keyword(self.text_of(next))
                            || matches!(
                                self.text_of(next),
                                "new" | "this" | "null" | "true" | "false" | "super"
                            ))
                }
                Kind::Number | Kind::Text(_) | Kind::TextBegin => true,
                Kind::Sign(sign) => matches!(*sign, "(" | "[" | "{" | "!" | "~"),
                _ => false,
            }
    }

    /// The parameters of a method, up to and with `)`.
    pub(super) fn params(&mut self) -> Result<Vec<Param>> {
        let mut params = Vec::new();
        while !self.take(")") {
            params.push(self.param()?);
            if !self.take(",") && !self.is(")") {
                return self.unexpected("`,` or `)`");
            }
        }
        Ok(params)
    }

    /// A parameter: modifiers and type, both optional, a name and a default.
    pub(super) fn param(&mut self) -> Result<Param> {
        self.annotations()?;
        while self.word_of(self.token()).is_some_and(|word| is_modifier(word) || word == "def") {
            self.next();
        }
        if let Some(end) = self.type_end(0)
            && self.name_of(self.ahead(end)).is_some()
        {
            self.type_name()?;
        }
        let name = self.name()?;
        let default = if self.take("=") { Some(self.expression()?) } else { None };
        Ok(Param { name, default })
    }

    /// Whether a closure that begins here names parameters: tokens up to `->` that can be nothing else.
    pub(super) fn closure_has_params(&self) -> bool {
        let mut depth = 0_usize;
        for at in 0..200 {
            let token = self.ahead(at);
            match &token.kind {
                Kind::Sign("->") if depth == 0 => return true,
                Kind::Sign("(" | "[") => depth += 1,
                Kind::Sign(")" | "]") => match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => return false,
                },
                Kind::Sign("{" | "}" | ";") | Kind::End => return false,
                _ => {}
            }
        }
        false
    }

    /// Goes on to the place where the next statement may begin.
    pub(super) fn recover(&mut self, _: Failed, from: usize) {
        if self.at == from {
            self.next();
        }
        let mut depth = 0_usize;
        while !self.at_end() {
            match &self.token().kind {
                Kind::Sign("{") => depth += 1,
                Kind::Sign("}") => match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => return,
                },
                Kind::Sign(";") if depth == 0 => return,
                _ if depth == 0 && self.token().newline => return,
                _ => {}
            }
            self.next();
        }
    }
}

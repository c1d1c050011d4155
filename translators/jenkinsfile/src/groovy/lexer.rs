//! Text to tokens. Strings that hold expressions become several tokens, so nothing here recurses.

use super::{
    Fault, MOST_FAULTS,
    token::{Kind, SIGNS, Token},
};

/// Every token of a source, the last one being the end, and what could not be read.
pub(super) fn tokens(source: &str) -> (Vec<Token>, Vec<Fault>) {
    let mut lexer = Lexer {
        source,
        bytes: source.as_bytes(),
        at: 0,
        tokens: Vec::with_capacity(source.len() / 4),
        faults: Vec::new(),
        open: Vec::new(),
        newline: false,
        no_slashy: false,
    };
    lexer.run();
    (lexer.tokens, lexer.faults)
}

/// What encloses the place that is read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Inside {
    Paren,
    Bracket,
    Brace,
    /// `${ … }`.
    Value,
    /// A string; the index of its first token.
    Text(Quote, usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quote {
    Double,
    TripleDouble,
    Slashy,
    DollarSlashy,
}

impl Quote {
    const fn end(self) -> &'static str {
        match self {
            Self::Double => "\"",
            Self::TripleDouble => "\"\"\"",
            Self::Slashy => "/",
            Self::DollarSlashy => "/$",
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    faults: Vec<Fault>,
    open: Vec<Inside>,
    newline: bool,
    /// Whether no string in slashes can end any more.
    no_slashy: bool,
}

impl Lexer<'_> {
    fn run(&mut self) {
        if self.rest().starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        if self.rest().starts_with("#!") {
            self.skip_line();
        }
        loop {
            if let Some(&Inside::Text(quote, first)) = self.open.last() {
                self.text(quote, first);
            } else {
                self.space();
                if self.at >= self.bytes.len() {
                    break;
                }
                self.token();
            }
        }
        // A break before the end always ends a statement.
        self.newline = true;
        self.open.clear();
        self.push(Kind::End, self.at);
    }

    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let within = matches!(self.open.last(), Some(Inside::Paren | Inside::Bracket | Inside::Value));
        let newline = self.newline && !within;
        self.newline = false;
        self.tokens.push(Token { kind, start, end: self.at, newline });
    }

    fn fault(&mut self, start: usize, end: usize, message: impl Into<String>) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault::new(start, end, message));
        }
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    /// White space and comments.
    fn space(&mut self) {
        while self.at < self.bytes.len() {
            match self.byte(0) {
                b'\n' => {
                    self.newline = true;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\r' | 0x0c => self.at += 1,
                b'\\' if self.byte(1) == b'\n' => self.at += 2,
                b'\\' if self.byte(1) == b'\r' && self.byte(2) == b'\n' => self.at += 3,
                b'/' if self.byte(1) == b'/' => self.skip_line(),
                b'/' if self.byte(1) == b'*' => self.comment(),
                _ => break,
            }
        }
    }

    fn comment(&mut self) {
        let start = self.at;
        match self.source[self.at + 2..].find("*/") {
            Some(length) => {
                self.at += length + 4;
                self.newline |= self.source[start..self.at].contains('\n');
            }
            None => {
                self.at = self.bytes.len();
                self.fault(start, start + 2, "this comment is never closed");
            }
        }
    }

    fn token(&mut self) {
        let start = self.at;
        let byte = self.byte(0);
        match byte {
            b'\'' => self.single(start),
            b'"' if self.rest().starts_with("\"\"\"") => self.begin(Quote::TripleDouble, 3),
            b'"' => self.begin(Quote::Double, 1),
            b'$' if self.byte(1) == b'/' && self.expects_value() => self.begin(Quote::DollarSlashy, 2),
            b'/' if self.expects_value() && self.slashy_ends() => self.begin(Quote::Slashy, 1),
            b'0'..=b'9' => self.number(),
            b'.' if self.byte(1).is_ascii_digit() && self.expects_value() => self.number(),
            _ if is_start(self.rest()) => {
                let rest = self.rest();
                self.at += rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
                self.push(Kind::Word, start);
            }
            _ => self.sign(start),
        }
    }

    fn sign(&mut self, start: usize) {
        let rest = self.rest();
        let Some(&sign) = SIGNS.iter().find(|&&sign| rest.starts_with(sign)) else {
            let c = rest.chars().next().unwrap_or_default();
            self.at += c.len_utf8();
            return self.fault(start, self.at, format!("the character {c:?} means nothing here"));
        };
        self.at += sign.len();
        if sign == "}" && self.open.last() == Some(&Inside::Value) {
            self.open.pop();
            return self.push(Kind::Close, start);
        }
        // What closes belongs to the outside, what opens too: breaks count as they do there.
        let closes = match sign {
            ")" => Some(Inside::Paren),
            "]" => Some(Inside::Bracket),
            "}" => Some(Inside::Brace),
            _ => None,
        };
        if let Some(closes) = closes {
            self.close(closes);
        }
        self.push(Kind::Sign(sign), start);
        let opens = match sign {
            "(" => Some(Inside::Paren),
            "[" => Some(Inside::Bracket),
            "{" => Some(Inside::Brace),
            _ => None,
        };
        self.open.extend(opens);
    }

    /// Takes what is closed off the stack. One that was forgotten inside goes with it, as far as the string around.
    fn close(&mut self, closes: Inside) {
        // Further out nobody would guess right either.
        const FARTHEST: usize = 50;
        let near = self.open.iter().rev().take(FARTHEST);
        let inside = near.take_while(|inside| !matches!(inside, Inside::Value | Inside::Text(..)));
        if let Some(forgotten) = inside.into_iter().position(|inside| *inside == closes) {
            self.open.truncate(self.open.len() - forgotten - 1);
            self.newline &= closes != Inside::Paren && closes != Inside::Bracket;
        }
    }

    /// Whether a value may begin here, so that `/` begins a string and does not divide.
    fn expects_value(&self) -> bool {
        if self.newline && !matches!(self.open.last(), Some(Inside::Paren | Inside::Bracket | Inside::Value))
        {
            return true;
        }
        let Some(last) = self.tokens.last() else { return true };
        match &last.kind {
            Kind::Sign(sign) => !matches!(*sign, ")" | "]" | "}" | "++" | "--"),
            Kind::Word => matches!(
                &self.source[last.start..last.end],
                "return" | "in" | "case" | "assert" | "throw" | "instanceof" | "as" | "else" | "do"
            ),
            Kind::Open => true,
            _ => false,
        }
    }

    /// Whether a string in slashes that begins here ends somewhere.
    fn slashy_ends(&mut self) -> bool {
        if self.no_slashy {
            return false;
        }
        let mut escaped = false;
        for &byte in &self.bytes[self.at + 1..] {
            match byte {
                b'\\' => escaped = !escaped,
                b'/' if !escaped => return true,
                _ => escaped = false,
            }
        }
        self.no_slashy = true;
        false
    }

    fn number(&mut self) {
        let start = self.at;
        let hex = self.byte(0) == b'0' && matches!(self.byte(1), b'x' | b'X' | b'b' | b'B');
        if hex {
            self.at += 2;
        }
        while self.byte(0).is_ascii_alphanumeric() || self.byte(0) == b'_' || self.byte(0) == b'.' {
            let byte = self.byte(0);
            if byte == b'.'
                && (hex || !self.byte(1).is_ascii_digit() || self.source[start..self.at].contains('.'))
            {
                break;
            }
            self.at += 1;
            if !hex && matches!(byte, b'e' | b'E') && matches!(self.byte(0), b'+' | b'-') {
                self.at += 1;
            }
        }
        let text = &self.source[start..self.at];
        let digits = text.trim_end_matches(['l', 'L', 'g', 'G', 'i', 'I', 'd', 'D', 'f', 'F']);
        let good = hex || digits.replace('_', "").parse::<f64>().is_ok();
        if !good {
            self.fault(start, self.at, "this is not a number; a name cannot begin with a digit");
        }
        self.push(Kind::Number, start);
    }

    /// A string in single quotes.
    fn single(&mut self, start: usize) {
        let end = if self.rest().starts_with("'''") { "'''" } else { "'" };
        self.at += end.len();
        let mut text = String::new();
        loop {
            if self.rest().starts_with(end) {
                self.at += end.len();
                break;
            }
            match self.rest().chars().next() {
                None => {
                    self.fault(
                        start,
                        start + end.len(),
                        format!("this string is never closed: {end} is missing"),
                    );
                    break;
                }
                Some('\n') if end == "'" => {
                    self.fault(start, self.at, "this string is not closed on its line: `'` is missing");
                    break;
                }
                Some('\\') => self.escape(&mut text),
                Some('\r') if self.byte(1) == b'\n' => self.at += 1,
                Some(c) => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        self.push(Kind::Text(text), start);
    }

    fn escape(&mut self, text: &mut String) {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.rest().chars().next() else { return };
        self.at += c.len_utf8();
        match c {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            '\\' | '\'' | '"' | '$' => text.push(c),
            '\n' => {}
            '\r' if self.byte(0) == b'\n' => self.at += 1,
            'u' => self.unicode(start, text),
            '0'..='7' => {
                let mut value = c as u32 - '0' as u32;
                while self.at < start + 4 && matches!(self.byte(0), b'0'..=b'7') {
                    let next = value * 8 + u32::from(self.byte(0) - b'0');
                    if next > 255 {
                        break;
                    }
                    value = next;
                    self.at += 1;
                }
                text.extend(char::from_u32(value));
            }
            _ => self.fault(start, self.at, format!("`\\{}` is not an escape of Groovy", c.escape_default())),
        }
    }

    fn unicode(&mut self, start: usize, text: &mut String) {
        while self.byte(0) == b'u' {
            self.at += 1;
        }
        let digits = self.source.get(self.at..self.at + 4);
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                self.at += 4;
                text.push(char::from_u32(value).unwrap_or('\u{fffd}'));
            }
            None => self.fault(start, self.at, "`\\u` needs four hexadecimal digits"),
        }
    }

    fn begin(&mut self, quote: Quote, length: usize) {
        let start = self.at;
        self.at += length;
        self.push(Kind::TextBegin, start);
        self.open.push(Inside::Text(quote, self.tokens.len() - 1));
    }

    /// Literal text up to a value or to the end of the string.
    fn text(&mut self, quote: Quote, first: usize) {
        let start = self.at;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            if self.ends(quote) {
                self.part(text, start);
                let end = self.at;
                self.at += quote.end().len();
                return self.end(first, end);
            }
            let Some(c) = rest.chars().next() else {
                let begin = self.tokens[first].start;
                self.fault(
                    begin,
                    begin + 1,
                    format!("this string is never closed: `{}` is missing", quote.end()),
                );
                self.part(text, start);
                return self.end(first, self.at);
            };
            match c {
                '\n' if quote == Quote::Double => {
                    let begin = self.tokens[first].start;
                    self.fault(begin, self.at, "this string is not closed on its line: `\"` is missing");
                    self.part(text, start);
                    return self.end(first, self.at);
                }
                '\\' if matches!(quote, Quote::Double | Quote::TripleDouble) => self.escape(&mut text),
                '\\' if quote == Quote::Slashy && self.byte(1) == b'/' => {
                    text.push('/');
                    self.at += 2;
                }
                '$' if quote == Quote::DollarSlashy && matches!(self.byte(1), b'$' | b'/') => {
                    text.push(char::from(self.byte(1)));
                    self.at += 2;
                }
                '$' if self.byte(1) == b'{' => {
                    self.part(text, start);
                    let at = self.at;
                    self.at += 2;
                    self.push(Kind::Open, at);
                    return self.open.push(Inside::Value);
                }
                '$' if rest[1..].starts_with(|c: char| c == '_' || c.is_alphabetic()) => {
                    self.part(text, start);
                    return self.path();
                }
                '$' if matches!(quote, Quote::Double | Quote::TripleDouble) => {
                    self.fault(
                        self.at,
                        self.at + 1,
                        "`$` in a string must be followed by a name or `{`; write `\\$` for the character itself",
                    );
                    text.push('$');
                    self.at += 1;
                }
                '\r' if self.byte(1) == b'\n' => self.at += 1,
                _ => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    /// Whether the string ends here; of more than three quotes the last three end it.
    fn ends(&self, quote: Quote) -> bool {
        self.rest().starts_with(quote.end())
    }

    fn part(&mut self, text: String, start: usize) {
        if !text.is_empty() {
            self.push(Kind::Part(text), start);
        }
    }

    /// `$name.name`.
    fn path(&mut self) {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = self.rest();
            self.at += rest.find(|c: char| !is_word(c) || c == '$').unwrap_or(rest.len());
            let next = &self.rest();
            if next.starts_with('.') && next[1..].starts_with(|c: char| c == '_' || c.is_alphabetic()) {
                self.at += 1;
            } else {
                break;
            }
        }
        self.push(Kind::Path, start);
    }

    /// A string without values becomes one token.
    fn end(&mut self, first: usize, start: usize) {
        self.open.pop();
        let newline = self.tokens[first].newline;
        let begin = self.tokens[first].start;
        let text = match &mut self.tokens[first + 1..] {
            [] => String::new(),
            [Token { kind: Kind::Part(text), .. }] => std::mem::take(text),
            _ => return self.push(Kind::TextEnd, start),
        };
        self.tokens.truncate(first);
        self.tokens.push(Token { kind: Kind::Text(text), start: begin, end: self.at, newline });
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphanumeric()
}

fn is_start(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c == '$' || c.is_alphabetic())
}

//! The forms in which a secret may turn up: as it is, in pieces, and encoded.

use std::collections::BTreeSet;

use serde_json::Value;

/// Shorter texts are never masked: they would blot out the log and hide nothing.
pub(crate) const SHORTEST: usize = 4;
/// A number in a JSON secret is masked from this length on; shorter ones are ports and flags.
const SHORTEST_NUMBER: usize = 6;
/// Line lengths at which encoders wrap base64.
const BASE64_WRAPS: [usize; 2] = [76, 64];

/// Every byte string to look for, for these secrets.
pub(crate) fn forms<'a>(secrets: impl IntoIterator<Item = &'a str>) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    for secret in secrets {
        for value in values(secret) {
            encodings(&value, &mut forms);
        }
    }
    forms
}

/// The secret, its lines, and the leaves of its JSON: each is a secret of its own.
fn values(secret: &str) -> BTreeSet<String> {
    let mut pieces: BTreeSet<String> = secret.lines().map(|line| line.trim().to_owned()).collect();
    if let Ok(json @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(secret) {
        leaves(&json, &mut pieces);
    }
    // A piece that is only punctuation (`----`, `},`) says nothing.
    pieces.retain(|piece| piece.contains(char::is_alphanumeric));
    let mut values = pieces;
    if secret.contains(|c: char| !c.is_whitespace()) {
        values.extend([secret, secret.trim()].map(str::to_owned));
    }
    values.retain(|value| value.chars().count() >= SHORTEST);
    values
}

fn leaves(json: &Value, values: &mut BTreeSet<String>) {
    match json {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => {
            let text = number.to_string();
            if text.len() >= SHORTEST_NUMBER {
                values.insert(text);
            }
        }
        Value::String(text) => {
            values.insert(text.clone());
            values.extend(text.lines().map(|line| line.trim().to_owned()));
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, values)),
        Value::Object(members) => members.values().for_each(|member| leaves(member, values)),
    }
}

fn encodings(value: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let bytes = value.as_bytes();
    let mut add = |form: Vec<u8>| {
        if form.len() >= SHORTEST {
            forms.insert(form);
        }
    };
    add(bytes.to_vec());
    for alphabet in [BASE64, BASE64_URL] {
        for shift in 0..3 {
            let form = base64(bytes, shift, alphabet);
            if shift == 0 {
                for wrap in BASE64_WRAPS.into_iter().filter(|wrap| form.len() > *wrap) {
                    form.chunks(wrap).for_each(|line| add(line.to_vec()));
                }
            }
            add(form);
        }
    }
    add(hex(bytes, b"0123456789abcdef"));
    add(hex(bytes, b"0123456789ABCDEF"));
    for unreserved in [&b"-_.~"[..], b"-_.!~*'()", b"-_.~/", b";,/?:@&=+$-_.!~*'()#"] {
        for digits in [b"0123456789ABCDEF", b"0123456789abcdef"] {
            let form = percent(bytes, unreserved, digits);
            add(form.replace("%20", "+").into_bytes());
            add(form.into_bytes());
        }
    }
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
    add(json.replace('/', "\\/").into_bytes());
    add(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").into_bytes());
    add(ascii(json).into_bytes());
    add(json.as_bytes().to_vec());
    for quotes in [
        ("&quot;", "&apos;"),
        ("&quot;", "&#39;"),
        ("&#34;", "&#39;"),
        ("&quot;", "&#x27;"),
        ("&quot;", "'"),
        ("\"", "'"),
    ] {
        let form = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        add(form.replace('"', quotes.0).replace('\'', quotes.1).into_bytes());
    }
    add(value.replace('\'', "'\\''").into_bytes());
    add(value.replace('\'', "'\"'\"'").into_bytes());
    add(value.replace('\'', "\\'").into_bytes());
    // Expressions, SQL, YAML and PowerShell double it.
    add(value.replace('\'', "''").into_bytes());
    add(escaped(value, |c| matches!(c, '"' | '\\' | '$' | '`')).into_bytes());
    add(escaped(value, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"%+,-./:=@_".contains(c))
        .into_bytes());
    add(escaped(value, |c| matches!(c, '\'' | '\\')).replace('\n', "\\n").replace('\t', "\\t").into_bytes());
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The characters of base64 that these bytes decide alone when `shift` other bytes stand before them in their
/// group of three.
fn base64(bytes: &[u8], shift: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let padded = [&[0; 2][..shift], bytes].concat();
    let first = [0, 2, 3][shift];
    let whole = padded.len() * 8 / 6;
    let sextet = |index: usize| {
        let bit = index * 6;
        let pair = u16::from_be_bytes([padded[bit / 8], padded.get(bit / 8 + 1).copied().unwrap_or(0)]);
        alphabet[usize::from(pair >> (10 - bit % 8) & 63)]
    };
    (first..whole).map(sextet).collect()
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]).collect()
}

fn percent(bytes: &[u8], unreserved: &[u8], digits: &[u8; 16]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || unreserved.contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.extend(hex(&[byte], digits).into_iter().map(char::from));
        }
    }
    text
}

/// JSON text with everything outside ASCII as `\uXXXX`, as Python writes it.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

fn escaped(value: &str, special: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        if special(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(secret: &str, form: &str) -> bool {
        forms([secret]).contains(form.as_bytes())
    }

    #[test]
    fn encoded_forms_are_those_that_real_tools_make() {
        // printf %s 'hunter2&"x' | base64; shifted: printf %s 'ahunter2&"x', 'abhunter2&"x'
        assert!(has("hunter2&\"x", "aHVudGVyMiYie"));
        assert!(has("hunter2&\"x", "h1bnRlcjImIn"));
        assert!(has("hunter2&\"x", "odW50ZXIyJiJ4"));
        assert!(has("hunter2&\"x", "hunter2%26%22x"));
        assert!(has("hunter2&\"x", "hunter2&amp;&quot;x"));
        assert!(has("hunter2&\"x", r#"hunter2\u0026\"x"#));
        assert!(has("hunter2&\"x", r#"hunter2\&\"x"#));
        assert!(has("hunter2&\"x", "68756e74657232262278"));
        assert!(has("it's me", r"it'\''s me"));
        assert!(has("it's me", "it''s me"));
        assert!(has("it's me", "it%27s+me"));
        assert!(has("q\"uo\"", r#"q\"uo\""#));
        assert!(has("süß!", r"s\u00fc\u00df!"));
        // CF BF 7E 7E 7E is z79+fn4= in base64, z79-fn4= in the alphabet of URLs.
        assert!(has("\u{3ff}~~~", "z79+fn") && has("\u{3ff}~~~", "z79-fn"));
    }

    #[test]
    fn pieces_are_secrets_of_their_own() {
        assert!(has("-----BEGIN KEY-----\nabc\nMIIEow\n", "MIIEow"));
        assert!(!has("-----BEGIN KEY-----\nabc\nMIIEow\n", "abc"));
        let json = r#"{"user":"admin","password":"pa\"ss","port":5432,"pin":123456,"on":true,"x":["deep"]}"#;
        for leaf in ["admin", "pa\"ss", "123456", "deep"] {
            assert!(has(json, leaf), "{leaf}");
        }
        for no_leaf in ["5432", "true", "port", "{"] {
            assert!(!has(json, no_leaf), "{no_leaf}");
        }
    }

    #[test]
    fn short_and_empty_values_are_never_masked() {
        assert!(forms(["", "a", "abc", "{ }", "      ", "\n\n\n\n"]).is_empty());
        assert!(has("!@#$", "!@#$"), "a secret of nothing but signs is one");
        assert!(!has("{\n  },\n----\n}", "----"));
    }
}

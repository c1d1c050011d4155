//! Text as a word of the shell.

/// Text as one word that the shell takes literally; bare where that is safe.
pub fn quoted(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(bare) && !text.starts_with('=') {
        return text.into();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Literal text inside double quotes: what the shell would expand there is escaped.
pub fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

//! Bitbucket's patterns of branches and tags.

use regex::Regex;

/// The regular expression of a webhook filter for the same names: `*` stays within a `/`, `**` does not.
pub(crate) fn filter(prefix: &str, pattern: &str) -> String {
    let mut out = format!("^{prefix}");
    let mut chars = pattern.chars().peekable();
    let mut braces = 0_u32;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                out.push_str(".*");
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '{' => {
                braces += 1;
                out.push('(');
            }
            '}' if braces > 0 => {
                braces -= 1;
                out.push(')');
            }
            ',' if braces > 0 => out.push('|'),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.extend(std::iter::repeat_n(')', braces as usize));
    out.push('$');
    out
}

/// Whether the pattern is of this name.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    pattern == name || Regex::new(&filter("", pattern)).is_ok_and(|filter| filter.is_match(name))
}

/// The pattern that Bitbucket takes for a name: the most specific, which is the one with most plain characters.
pub(crate) fn best<'a>(patterns: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let plain = |pattern: &str| pattern.chars().filter(|c| !"*?{},".contains(*c)).count();
    patterns.filter(|pattern| matches(pattern, name)).max_by_key(|pattern| (*pattern == name, plain(pattern)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_bitbuckets() {
        for (pattern, name, is) in [
            ("main", "main", true),
            ("feature/*", "feature/a", true),
            ("feature/*", "feature/a/b", false),
            ("**", "feature/a/b", true),
            ("{main,develop}", "develop", true),
            ("{main,develop}", "mainly", false),
            ("v1.*", "v1.2", true),
            ("v1.*", "v12", false),
            ("{open", "open", true),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
        assert_eq!(filter("refs/heads/", "release/**"), "^refs/heads/release/.*$");
        let all = ["**", "feature/*", "feature/x"];
        assert_eq!(best(all.into_iter(), "feature/x"), Some("feature/x"));
        assert_eq!(best(all.into_iter(), "feature/y"), Some("feature/*"));
        assert_eq!(best(all.into_iter(), "y"), Some("**"));
    }
}

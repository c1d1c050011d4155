//! Globs as regular expressions, which webhook filters and `grep -E` take.

/// A glob of paths: `**/` is any directories, `**` anything, `*` anything within a name. What else means something in the
/// glob's dialect is said by `special`, with the expression for it.
pub fn glob_regex(glob: &str, special: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::new();
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        let (expression, after) = if let Some(after) = rest.strip_prefix("**/") {
            (Some("(.*/)?"), after)
        } else if let Some(after) = rest.strip_prefix("**") {
            (Some(".*"), after)
        } else {
            let own = if c == '*' { Some("[^/]*") } else { special(c) };
            (own, &rest[c.len_utf8()..])
        };
        match expression {
            Some(expression) => out.push_str(expression),
            None => {
                if r".+?()[]{}^$|\".contains(c) {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::glob_regex;

    #[test]
    fn globs_are_said_in_the_other_words() {
        let plain = |glob| glob_regex(glob, |_| None);
        assert_eq!(plain("release/**"), "release/.*");
        assert_eq!(plain("v*.*"), r"v[^/]*\.[^/]*");
        assert_eq!(plain("**/*.md"), r"(.*/)?[^/]*\.md");
        assert_eq!(plain("a+[b]?\\é"), r"a\+\[b\]\?\\é");
        assert_eq!(glob_regex("a?", |c| (c == '?').then_some("[^/]")), "a[^/]");
    }
}

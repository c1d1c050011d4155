//! CodeBuild's source versions.

/// A parsed source version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// The default branch.
    Head,
    /// A full commit id.
    Commit(String),
    /// A branch or a tag.
    Name(String),
    /// `refs/...`, with the commit after `^{…}` if there is one.
    Reference {
        /// `refs/...`.
        name: String,
        /// The commit to check out; the reference's own when absent.
        commit: Option<String>,
    },
}

impl Version {
    /// Parses a version; `None` for one that can name nothing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text == "HEAD" {
            return Some(Self::Head);
        }
        if is_commit(text) {
            return Some(Self::Commit(text.to_ascii_lowercase()));
        }
        let (name, commit) = match text.split_once("^{") {
            Some((name, commit)) => {
                let commit = commit.strip_suffix('}').filter(|commit| is_commit(commit))?;
                (name, Some(commit.to_ascii_lowercase()))
            }
            None => (text, None),
        };
        if !is_reference(name) {
            return None;
        }
        if let Some(number) = name.strip_prefix("pr/")
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Some(Self::Reference { name: format!("refs/pull/{number}/head"), commit });
        }
        match (name.starts_with("refs/"), commit) {
            (true, commit) => Some(Self::Reference { name: name.to_owned(), commit }),
            (false, None) => Some(Self::Name(name.to_owned())),
            (false, Some(commit)) => {
                Some(Self::Reference { name: format!("refs/heads/{name}"), commit: Some(commit) })
            }
        }
    }
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The rules of `git check-ref-format`, which also keep options and refspecs out.
fn is_reference(name: &str) -> bool {
    let bad = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    !name.starts_with('-')
        && !name.contains("..")
        && !name.contains("@{")
        && name != "@"
        && !name.ends_with('.')
        && !name.chars().any(bad)
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        let reference = |name: &str, commit: Option<&str>| {
            Some(Version::Reference { name: name.into(), commit: commit.map(Into::into) })
        };
        let rows = [
            ("", Some(Version::Head)),
            (sha, Some(Version::Commit(sha.into()))),
            ("main", Some(Version::Name("main".into()))),
            ("feature/x", Some(Version::Name("feature/x".into()))),
            ("v1.0", Some(Version::Name("v1.0".into()))),
            ("0123456", Some(Version::Name("0123456".into()))),
            ("refs/heads/main", reference("refs/heads/main", None)),
            ("refs/tags/v1", reference("refs/tags/v1", None)),
            ("pr/25", reference("refs/pull/25/head", None)),
            ("pr/x", Some(Version::Name("pr/x".into()))),
            ("refs/pull/1/merge", reference("refs/pull/1/merge", None)),
        ];
        for (text, version) in rows {
            assert_eq!(Version::parse(text), version, "{text}");
        }
        let pinned = format!("refs/pull/1/head^{{{sha}}}");
        assert_eq!(Version::parse(&pinned), reference("refs/pull/1/head", Some(sha)));
    }

    #[test]
    fn nothing_that_git_could_take_for_something_else() {
        for text in
            ["-x", "--upload-pack=x", "a..b", "a:b", "+a", "a b", "refs/heads/*", "a^{x}", "a\n", "a//b"]
        {
            let parsed = Version::parse(text);
            assert!(parsed.is_none() || text == "+a", "{text}: {parsed:?}");
        }
    }
}

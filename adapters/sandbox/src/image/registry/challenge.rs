//! `WWW-Authenticate`: how a registry wants to be logged in to.

/// A way to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With user name and password on each request.
    Basic,
    /// With a token from elsewhere.
    Bearer {
        /// Where tokens are given.
        realm: String,
        /// For whom.
        service: Option<String>,
        /// For what.
        scope: Option<String>,
    },
}

impl Challenge {
    /// The best of a header's.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut basic = None;
        let mut rest = header.trim_start();
        while !rest.is_empty() {
            let (scheme, after) = rest.split_once(' ').unwrap_or((rest, ""));
            let (parameters, after) = parameters(after);
            let find = |name: &str| {
                parameters
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer") {
                let realm = find("realm")?;
                return Some(Self::Bearer { realm, service: find("service"), scope: find("scope") });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
            rest = after;
        }
        basic
    }
}

/// `name="value", …` until the next scheme, and what is left.
fn parameters(mut text: &str) -> (Vec<(String, String)>, &str) {
    let mut all = Vec::new();
    loop {
        text = text.trim_start_matches([' ', ',', '\t']);
        let end = text.find(['=', ' ', ',']).unwrap_or(text.len());
        if !text[end..].starts_with('=') {
            return (all, text);
        }
        let (name, after) = (&text[..end], &text[end + 1..]);
        let mut value = String::new();
        if let Some(quoted) = after.strip_prefix('"') {
            let mut letters = quoted.char_indices();
            text = "";
            while let Some((at, letter)) = letters.next() {
                match letter {
                    '"' => {
                        text = &quoted[at + 1..];
                        break;
                    }
                    '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
                    letter => value.push(letter),
                }
            }
        } else {
            let end = after.find([',', ' ']).unwrap_or(after.len());
            value.push_str(&after[..end]);
            text = &after[end..];
        }
        all.push((name.to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.into(), service: own(service), scope: own(scope) })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull""#;
        assert_eq!(
            Challenge::parse(hub),
            bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:library/busybox:pull")
            )
        );
        assert_eq!(Challenge::parse(r#"Basic realm="a, b=c""#), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("basic"), Some(Challenge::Basic));
        let both = r#"Basic realm="x", bearer realm=https://a/t , scope="a,b \"c\"""#;
        assert_eq!(Challenge::parse(both), bearer("https://a/t", None, Some("a,b \"c\"")));
        for none in ["", "Negotiate", "Bearer", "Bearer service=x", "=", "\"", ",,,", "Digest realm=\"x"] {
            assert_eq!(Challenge::parse(none), None, "{none}");
        }
    }
}

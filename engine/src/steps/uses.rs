//! What `uses` names.

use std::fmt;

/// An action, by where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Uses {
    /// A directory of the workspace.
    Local(String),
    /// An image.
    Image(String),
    /// A repository.
    Repository(ActionRef),
}

/// An action in a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ActionRef {
    /// Of the repository.
    pub owner: String,
    /// Of the repository.
    pub name: String,
    /// In the repository; empty for its top.
    pub path: String,
    /// Branch, tag or commit.
    pub version: String,
}

impl ActionRef {
    /// `owner/name@version`, which is the same for every path in it.
    pub fn repository(&self) -> String {
        format!("{}/{}@{}", self.owner, self.name, self.version)
    }
}

impl fmt::Display for ActionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, name, path, version } = self;
        let slash = if path.is_empty() { "" } else { "/" };
        write!(f, "{owner}/{name}{slash}{path}@{version}")
    }
}

impl Uses {
    /// Reads it.
    ///
    /// # Errors
    /// For what names no action.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || {
            format!(
                "`uses: {text}` names no action; write `owner/name@ref`, `./directory` or `docker://image`"
            )
        };
        if let Some(image) = text.strip_prefix("docker://") {
            return if image.is_empty() { Err(wrong()) } else { Ok(Self::Image(image.to_owned())) };
        }
        if text == "." || text.starts_with("./") || text.starts_with(".\\") {
            let path = text[1..].trim_matches('/').to_owned();
            let climbs = path.split('/').any(|part| part == "..");
            return if climbs { Err(wrong()) } else { Ok(Self::Local(path)) };
        }
        let (place, version) = text.split_once('@').ok_or_else(wrong)?;
        let mut parts = place.split('/');
        let (Some(owner), Some(name)) = (parts.next(), parts.next()) else { return Err(wrong()) };
        let path: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        let plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let is_version = |version: &str| {
            !version.is_empty() && version.split('/').all(|part| !matches!(part, "" | "." | ".."))
        };
        if !plain(owner) || !plain(name) || path.contains(&"..") || !is_version(version) {
            return Err(wrong());
        }
        Ok(Self::Repository(ActionRef {
            owner: owner.to_owned(),
            name: name.to_owned(),
            path: path.join("/"),
            version: version.to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_places_are_told_apart() {
        assert_eq!(Uses::parse("./.github/actions/x/"), Ok(Uses::Local(".github/actions/x".into())));
        assert_eq!(Uses::parse("./"), Ok(Uses::Local(String::new())));
        assert_eq!(Uses::parse("docker://alpine:3.20"), Ok(Uses::Image("alpine:3.20".into())));
        let Ok(Uses::Repository(action)) = Uses::parse("actions/cache/save@releases/v1") else { panic!() };
        assert_eq!((action.path.as_str(), action.version.as_str()), ("save", "releases/v1"));
        assert_eq!(
            (action.to_string().as_str(), action.repository().as_str()),
            ("actions/cache/save@releases/v1", "actions/cache@releases/v1")
        );
        for wrong in
            ["", "a/b", "a@b", "../x", "./a/../b", "a/..@v1", "a/b@../x", "a/b@", "docker://", "a b/c@v1"]
        {
            assert!(Uses::parse(wrong).is_err(), "{wrong}");
        }
    }
}

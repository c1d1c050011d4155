//! Where a runner is registered.

/// A repository, an organisation or an enterprise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One repository, `owner/name`.
    Repository(String),
    /// All repositories of an owner.
    Organisation(String),
    /// All repositories.
    Enterprise(String),
}

impl Scope {
    /// The scope that a page's address names.
    pub fn of_url(url: &str) -> Option<Self> {
        let path = url.split_once("://")?.1.split_once('/')?.1;
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        match segments.as_slice() {
            ["enterprises", name] if !name.is_empty() => Some(Self::Enterprise((*name).to_owned())),
            [owner, name] if !owner.is_empty() && !name.is_empty() => {
                Some(Self::Repository(format!("{owner}/{name}")))
            }
            [owner] if !owner.is_empty() => Some(Self::Organisation((*owner).to_owned())),
            _ => None,
        }
    }

    /// Whether jobs of the repository are for runners of this scope.
    pub fn covers(&self, repository: &str) -> bool {
        match self {
            Self::Repository(name) => name.eq_ignore_ascii_case(repository),
            Self::Organisation(owner) => {
                repository.split_once('/').is_some_and(|(own, _)| own.eq_ignore_ascii_case(owner))
            }
            Self::Enterprise(_) => true,
        }
    }
}

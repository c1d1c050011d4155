//! Artifacts and caches.

use uuid::Uuid;

use super::GitHub;

/// An artifact.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Number.
    pub id: u64,
    /// The run's identity.
    pub plan: Uuid,
    /// The job's identity.
    pub job: Uuid,
    /// Name, unique within the run.
    pub name: String,
    /// The file.
    pub blob: String,
    /// Bytes and digest, once it is complete.
    pub finalized: Option<(u64, Option<String>)>,
}

/// A cache.
#[derive(Clone, Debug)]
pub struct CacheEntry {
    /// Number; a higher one is newer.
    pub id: u64,
    /// Key.
    pub key: String,
    /// Version: paths and compression, hashed by the client.
    pub version: String,
    /// The branch or tag that wrote it.
    pub reference: String,
    /// `owner/name`
    pub repository: String,
    /// The file.
    pub blob: String,
    /// It is complete.
    pub finalized: bool,
}

impl GitHub {
    /// The cache for one of the keys: the exact one, else the newest that begins with a restore key, of the
    /// same branch or of the default one.
    pub fn find_cache(
        &self,
        repository: &str,
        reference: &str,
        version: &str,
        key: &str,
        restore_keys: &[String],
    ) -> Option<&CacheEntry> {
        let default = self
            .repositories
            .get(&repository.to_lowercase())
            .map(|repository| format!("refs/heads/{}", repository.default_branch));
        let scopes = [Some(reference.to_owned()), default];
        scopes.iter().flatten().find_map(|scope| {
            let mut candidates: Vec<&CacheEntry> = self
                .caches
                .values()
                .filter(|cache| {
                    cache.finalized
                        && cache.repository == repository
                        && cache.version == version
                        && cache.reference == *scope
                })
                .collect();
            candidates.sort_by_key(|cache| std::cmp::Reverse(cache.id));
            let exact = candidates.iter().find(|cache| cache.key == key);
            let prefixed = std::iter::once(key)
                .chain(restore_keys.iter().map(String::as_str))
                .find_map(|prefix| candidates.iter().find(|cache| cache.key.starts_with(prefix)));
            exact.or(prefixed).copied()
        })
    }
}

//! The cache in a bucket, which several machines share.

use std::path::Path;
use std::sync::Arc;

use runspan_agent_protocol::{Collect, Collected};
use runspan_archive::ReceiveFile;
use runspan_buildspec::Cache;

use super::caching::{Found, named};
use super::driver::Driver;
use super::session::{Interrupt, Session};
use super::upload::Again;
use crate::cache::{Hit, Store, copy_entry, open_file, versions, write_file};
use crate::ports::{Encryption, Metadata, NewObject, ObjectError, ObjectStore, Place};
use crate::project::{BucketOwnerAccess, CacheType};

/// The entry of a cache without keys.
const KEYLESS: &str = "latest";
/// What is said of a cache that is there as it is here.
const UNCHANGED: &str = "Cache is unchanged; nothing is uploaded";
/// Of the archive before it was compressed.
const SUM: &str = "runspan-content-sha256";

/// Where entries of one namespace and one list of paths are.
pub(super) struct BucketCache {
    store: Arc<dyn ObjectStore>,
    bucket: String,
    /// Where entries are looked for; the first is where one is saved. Each ends in `/`.
    prefixes: Vec<String>,
    /// This machine's copies of what is there; only of this place, so that nobody finds another's.
    copies: Option<Store>,
}

impl BucketCache {
    /// The entry of this key, or else the newest whose key begins with one of the fallback keys, tried in order.
    pub(super) async fn lookup(
        &self,
        work_dir: &Path,
        key: Option<&str>,
        fallback_keys: &[String],
    ) -> Result<Option<Found>, String> {
        for prefix in &self.prefixes {
            if let Some(found) = self.lookup_in(prefix, work_dir, key, fallback_keys).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn lookup_in(
        &self,
        prefix: &str,
        work_dir: &Path,
        key: Option<&str>,
        fallback_keys: &[String],
    ) -> Result<Option<Found>, String> {
        if let Some(found) = self.find(work_dir, &self.place(prefix, key), key).await? {
            return Ok(Some(found));
        }
        for beginning in fallback_keys.iter().filter(|beginning| key.is_some() && !beginning.is_empty()) {
            let begin = format!("{prefix}{}", escaped(beginning));
            let found = self.store.list(&self.bucket, &begin).await.map_err(said)?;
            if let Some(newest) = found.first()
                && let Some(found) = self.find(work_dir, &Place::new(&self.bucket, newest), key).await?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// An entry, from this machine's copy where there is one of what the bucket has now.
    async fn find(
        &self,
        work_dir: &Path,
        place: &Place,
        asked: Option<&str>,
    ) -> Result<Option<Found>, String> {
        match self.store.head(place).await {
            Ok(None) => return Ok(None),
            Ok(Some(there)) => {
                if let Some(sum) = there.get(SUM)
                    && let Some(hit) = self.copy(place, sum, asked)
                {
                    return Ok(Some(Found { hit, identity: Some(sum.clone()) }));
                }
            }
            // Whoever asks for the object itself is told why not.
            Err(_) => {}
        }
        let file = temporary(work_dir)?;
        let Some(there) = self.store.get(place, &file).await.map_err(said)? else { return Ok(None) };
        let hit = open_file(&file, asked).map_err(|error| error.to_string())?;
        let identity = there.get(SUM).cloned();
        if let (Some(sum), Some(copies)) = (&identity, &self.copies) {
            let (copies, prefix, sum) = (copies.clone(), from(place), sum.clone());
            let copied = tokio::task::spawn_blocking(move || keep(&copies, hit, &prefix, &sum)).await;
            // Without a copy the entry itself will do.
            if copied.is_ok_and(|kept| kept)
                && let Some(hit) = identity.as_ref().and_then(|sum| self.copy(place, sum, asked))
            {
                return Ok(Some(Found { hit, identity }));
            }
            let hit = open_file(&file, asked).map_err(|error| error.to_string())?;
            return Ok(Some(Found { hit, identity }));
        }
        Ok(Some(Found { hit, identity }))
    }

    fn copy(&self, place: &Place, sum: &str, asked: Option<&str>) -> Option<Hit> {
        self.copies.as_ref()?.copy_of(&from(place), sum, asked).ok().flatten()
    }

    fn place(&self, prefix: &str, key: Option<&str>) -> Place {
        Place::new(&self.bucket, format!("{prefix}{}", key.map_or_else(|| KEYLESS.into(), escaped)))
    }

    /// Where an entry is saved.
    fn own_place(&self, key: Option<&str>) -> Place {
        self.place(self.prefixes.first().map_or("", String::as_str), key)
    }
}

impl Driver {
    /// The cache in the project's bucket, when it has one.
    pub(super) fn bucket_cache(&self, cache: &Cache) -> Option<BucketCache> {
        let settings = &self.request.project.cache;
        let location = settings.location.as_deref().filter(|_| settings.kind == Some(CacheType::S3))?;
        let store = Arc::clone(self.supervisor.ports.objects.as_ref()?);
        let Place { bucket, key, .. } = Place::parse(location);
        let namespace = settings.cache_namespace.as_ref().unwrap_or(&self.build.project_name);
        let prefixes = versions(&self.request, &cache.paths).into_iter().map(|version| {
            let parts = [key.trim_matches('/'), &escaped(namespace), &version, ""];
            parts[usize::from(parts[0].is_empty())..].join("/")
        });
        Some(BucketCache { store, bucket, prefixes: prefixes.collect(), copies: self.store().ok() })
    }

    /// Saves into the bucket what is not there already. Returns what is to be said of it.
    pub(super) async fn save_into_bucket(
        &mut self,
        session: &mut Session,
        cache: &BucketCache,
        mut collect: Collect,
        key: Option<String>,
    ) -> Result<Option<String>, Interrupt> {
        let place = cache.own_place(key.as_deref());
        let there = match cache.store.head(&place).await {
            Ok(there) => there,
            Err(error) => return Ok(Some(format!("Unable to upload cache: {error}"))),
        };
        if key.is_some() && there.is_some() {
            return Ok(Some(format!("Cache is there already{}", named(key.as_deref()))));
        }
        let file = match temporary(&self.dir.outgoing()) {
            Ok(file) => file,
            Err(reason) => return Ok(Some(format!("Unable to upload cache: {reason}"))),
        };
        let before = there.as_ref().and_then(|there| there.get(SUM));
        // What was unpacked is what the bucket still has.
        collect.unless_unchanged = before.is_some() && before == self.restored.as_ref();
        let (to, saved_as) = (file.to_path_buf(), key.clone());
        let copies = cache.copies.clone();
        let write =
            move |from: &mut dyn ReceiveFile| write_file(&to, saved_as.as_deref(), from, copies.as_ref());
        let (files, mut written) = match self.collect(session, collect, Again::UnlessFollowed, write).await {
            Ok((Collected { unchanged: true, .. }, None)) => {
                return Ok(Some(UNCHANGED.into()));
            }
            Ok((collected, None)) if collected.files == 0 => {
                return Ok(Some("Cache not saved: nothing matches its paths".into()));
            }
            Ok((_, None)) => return Ok(None),
            Ok((collected, Some(Ok(written)))) => (collected.files, written),
            Ok((_, Some(Err(error)))) => return Ok(Some(format!("Unable to upload cache: {error}"))),
            Err(Interrupt::Failed(message)) => return Ok(Some(format!("Unable to upload cache: {message}"))),
            Err(other) => return Err(other),
        };
        if let (Some(copies), Some(copy)) = (&cache.copies, written.copy.take()) {
            // Without one it is fetched again.
            let _no_copy = copies.end_copy(copy, &from(&place), &written.sha256);
        }
        if before == Some(&written.sha256) {
            return Ok(Some(UNCHANGED.into()));
        }
        let object = NewObject {
            place,
            file: file.to_path_buf(),
            encryption: Encryption::of(None, self.request.project.encryption_key.as_deref()),
            owner_access: BucketOwnerAccess::None,
            metadata: Metadata::from([(SUM.to_owned(), written.sha256)]),
            content: None,
        };
        Ok(Some(match cache.store.put(&[object]).await {
            Ok(()) => format!(
                "Cache saved{}: {files} file(s), {} KiB",
                named(key.as_deref()),
                written.bytes.div_ceil(1024)
            ),
            Err(error) => format!("Unable to upload cache: {error}"),
        }))
    }
}

/// Where copies of an entry are from: what is beside it as well.
fn from(place: &Place) -> String {
    let beside = place.key.rsplit_once('/').map_or("", |(beside, _)| beside);
    format!("s3://{}/{beside}/", place.bucket)
}

/// Keeps a copy of an entry, if it holds what it says.
fn keep(copies: &Store, mut hit: Hit, from: &str, sum: &str) -> bool {
    let Ok(mut copy) = copies.begin_copy(hit.key.as_deref(), hit.created_ms) else { return false };
    copy_entry(&mut hit, &mut copy).is_ok_and(|found| found == sum)
        && copies.end_copy(copy, from, sum).is_ok()
}

fn temporary(dir: &Path) -> Result<tempfile::TempPath, String> {
    std::fs::create_dir_all(dir)
        .and_then(|()| tempfile::Builder::new().prefix("cache-").tempfile_in(dir))
        .map(tempfile::NamedTempFile::into_temp_path)
        .map_err(|error| format!("cannot write into {}: {error}", dir.display()))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(error: ObjectError) -> String {
    error.to_string()
}

/// A key as a part of an object's key. What begins alike still does.
fn escaped(key: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

//! The cache on this machine's disk: restored at the end of DOWNLOAD_SOURCE, saved after POST_BUILD.
//!
//! A cache never fails a build: what goes wrong is a warning.

use std::io::{self, BufReader, Seek as _};

use runspan_agent_protocol::{Collect, CollectLog, Collected, Packaging, Unpack};
use runspan_archive::{ReceiveFile, SendFile, Sent};
use runspan_buildspec::{Cache, CacheAction};

use super::EngineError;
use super::driver::Driver;
use super::session::{Interrupt, Session};
use super::upload::Again;
use crate::cache::{Directories, Hit, Put, Slot, Store, pull_request, versions};
use crate::event::Event;
use crate::executor::Mount;
use crate::lifecycle::{PhaseType, Status};
use crate::plan::Plan;
use crate::project::{CacheMode, CacheType};

/// Bytes that all caches of one directory may take together.
const MAX_BYTES: u64 = 20 << 30;
/// Bytes of an archive that go on together.
const PIECE: usize = 256 << 10;

impl Driver {
    /// Directories of `LOCAL_CUSTOM_CACHE`, which the container gets as they are and leaves as they become.
    pub(super) fn cache_mounts(&mut self, plan: &Plan) -> Result<Vec<Mount>, EngineError> {
        let settings = &self.request.project.cache;
        let is_custom =
            settings.kind == Some(CacheType::Local) && settings.modes.contains(&CacheMode::LocalCustomCache);
        let Some(cache) = plan.cache.as_ref().filter(|_| is_custom) else { return Ok(Vec::new()) };
        let mut mounts = Vec::new();
        for path in &cache.paths {
            // Only directories are cached locally, as CodeBuild has it.
            let directory = path.trim_end_matches("/**/*").trim_end_matches("/*").trim_end_matches('/');
            if directory.contains(['*', '?', '[']) || directory.is_empty() {
                self.warn(format!("only directories can be cached locally: {path}"))?;
                continue;
            }
            let container = if directory.starts_with('/') {
                directory.to_owned()
            } else {
                format!("{}/{directory}", self.dirs.primary)
            };
            let whose = pull_request(&self.request).map(|number| format!("\npr-{number}"));
            let key = format!("{}\n{directory}{}", self.build.project_name, whose.unwrap_or_default());
            let root = self.request.cache_dir.join("directories");
            match Directories::open(&root).and_then(|directories| directories.acquire(&key)) {
                Ok(lease) => {
                    if !lease.is_kept() {
                        self.warn(format!("another build has the cache of {path}; this one starts empty"))?;
                    }
                    let host = lease.path().to_owned();
                    mounts.push(Mount { host, container, writable: true });
                    self.leases.push(lease);
                }
                Err(error) => self.warn(error.to_string())?,
            }
        }
        Ok(mounts)
    }

    pub(super) async fn restore_cache(
        &mut self,
        session: &mut Session,
        plan: &Plan,
    ) -> Result<(), Interrupt> {
        let Some(cache) = self.keyed_cache(plan) else {
            let lines = match &plan.cache {
                None => [
                    "Cache is not defined in the buildspec".to_owned(),
                    "Skip cache due to: no paths specified to be cached".to_owned(),
                ],
                Some(cache) => [
                    format!("Cache paths: {}", cache.paths.join(", ")),
                    "Skip cache due to: its directories are mounted".to_owned(),
                ],
            };
            self.say(session, lines);
            return Ok(());
        };
        if cache.paths.is_empty() {
            let line = "Unable to initialize cache download: no paths specified to be cached".to_owned();
            self.say(session, [line]);
            return Ok(());
        }
        if cache.action == Some(CacheAction::Save) {
            self.say(session, ["Skip cache download due to: action is save".to_owned()]);
            return Ok(());
        }
        let mut keys = cache.fallback_keys.clone();
        keys.insert(0, cache.key.clone().unwrap_or_default());
        let mut keys = self.evaluate(session, keys).await?;
        let key = Some(keys.remove(0)).filter(|key| !key.is_empty());
        self.cache_key.clone_from(&key);
        let mut lines: Vec<String> =
            cache.paths.iter().map(|path| format!("Expanded cache path {path}")).collect();
        let found = match self.bucket_cache(&cache) {
            Some(bucket) => bucket.lookup(&self.dir.outgoing(), key.as_deref(), &keys).await,
            None => self
                .store()
                .and_then(|store| {
                    let slots = self.slots(&cache);
                    let mut found = slots.map(|slot| store.lookup(&slot, key.as_deref(), &keys));
                    found.find_map(Result::transpose).transpose()
                })
                .map(|hit| hit.map(Found::local))
                .map_err(|error| error.to_string()),
        };
        let Found { hit, identity } = match found {
            Ok(Some(found)) => found,
            Ok(None) => {
                let message = format!("Cache miss{}", named(key.as_deref()));
                lines.push(message.clone());
                self.recorder.event(&Event::Cache { message }, None)?;
                self.say(session, lines);
                return Ok(());
            }
            Err(error) => {
                lines.push(format!("Unable to download cache: {error}"));
                self.say(session, lines);
                return Ok(());
            }
        };
        self.cache_is_exact = key.is_some() && hit.is_exact();
        let message = format!(
            "Cache hit{}{}: {} KiB, saved {} s ago",
            named(hit.key.as_deref()),
            if hit.is_exact() { "" } else { " (fallback)" },
            hit.bytes.div_ceil(1024),
            hit.age.as_secs()
        );
        lines.extend(["Downloading cache...".into(), message.clone(), "Unarchiving cache...".into()]);
        self.recorder.event(&Event::Cache { message }, None)?;
        self.say(session, lines);
        let reader = hit.reader;
        let root = self.dirs.primary.clone();
        let send = move |to: &mut dyn SendFile| match reader.as_file() {
            Some(mut file) => {
                let left = file.metadata()?.len().saturating_sub(file.stream_position()?);
                match to.send_file(file, left)? {
                    Sent::Whole => Ok(()),
                    Sent::Shrunk => Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }
            None => io::copy(&mut BufReader::with_capacity(PIECE, reader), to).map(drop),
        };
        let remember = if key.is_none() { cache.paths.clone() } else { Vec::new() };
        let unpack = Unpack { directory: root, absolute_names: true, owner: None, remember };
        match self.unpack(session, unpack, Box::new(send)).await {
            Ok(_) => {
                self.restored = identity.filter(|_| key.is_none());
                Ok(())
            }
            Err(Interrupt::Failed(message)) => {
                self.warn(format!("the cache could not be restored: {message}"))?;
                self.say(session, [format!("Unable to unarchive cache: {message}")]);
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    /// Saves the cache of a build whose BUILD phase succeeded.
    pub(super) async fn save_cache(&mut self, session: &mut Session, plan: &Plan) -> Result<(), Interrupt> {
        let Some(cache) = self.keyed_cache(plan).filter(|cache| !cache.paths.is_empty()) else {
            return Ok(());
        };
        let built = self.build.phases.iter().find(|phase| phase.phase_type == PhaseType::Build);
        let is_good = built.is_some_and(|phase| phase.phase_status == Some(Status::Succeeded));
        if cache.action == Some(CacheAction::Restore) || self.cache_is_exact || !is_good {
            return Ok(());
        }
        let key = match (&cache.key, self.cache_key.clone()) {
            (Some(text), None) => self.evaluate(session, vec![text.clone()]).await?.pop(),
            (_, key) => key,
        };
        let mut collect = Collect {
            base_directory: String::new(),
            files: cache.paths.clone(),
            exclude: Vec::new(),
            discard_paths: false,
            keep_symlinks: true,
            absolute_names: true,
            packaging: Packaging::Tar,
            log: CollectLog::Quiet,
            search_seconds: 0,
            unless_unchanged: false,
        };
        if let Some(bucket) = self.bucket_cache(&cache) {
            let Some(message) = self.save_into_bucket(session, &bucket, collect, key).await? else {
                return Ok(());
            };
            self.recorder.event(&Event::Cache { message: message.clone() }, None)?;
            self.say(session, [message]);
            return Ok(());
        }
        let store = match self.store() {
            Ok(store) => store,
            Err(error) => return Ok(self.warn(error.to_string())?),
        };
        let Some(slot) = self.slots(&cache).next() else { return Ok(()) };
        let saved_as = key.clone();
        let there = store.created_ms(&slot).filter(|_| key.is_none()).map(|saved| saved.to_string());
        collect.unless_unchanged = there.is_some() && there == self.restored;
        let put = move |from: &mut dyn ReceiveFile| store.put(&slot, saved_as.as_deref(), from);
        let message = match self.collect(session, collect, Again::UnlessFollowed, put).await {
            Ok((Collected { unchanged: true, .. }, None)) => "Cache is unchanged; nothing is saved".into(),
            Ok((collected, None)) if collected.files == 0 => {
                "Cache not saved: nothing matches its paths".into()
            }
            Ok((_, None)) => return Ok(()),
            Ok((collected, Some(Ok(Put::Saved { bytes })))) => format!(
                "Cache saved{}: {} file(s), {} KiB",
                named(key.as_deref()),
                collected.files,
                bytes.div_ceil(1024)
            ),
            Ok((_, Some(Ok(Put::AlreadyThere)))) => {
                format!("Cache is there already{}", named(key.as_deref()))
            }
            Ok((_, Some(Err(error)))) => format!("Unable to upload cache: {error}"),
            Err(Interrupt::Failed(message)) => format!("Unable to upload cache: {message}"),
            Err(other) => return Err(other),
        };
        self.recorder.event(&Event::Cache { message: message.clone() }, None)?;
        self.say(session, [message]);
        Ok(())
    }

    /// The cache that is kept as archives under keys; those whose directories are mounted are not.
    fn keyed_cache(&self, plan: &Plan) -> Option<Cache> {
        plan.cache.clone().filter(|_| self.leases.is_empty())
    }

    pub(super) fn store(&self) -> Result<Store, crate::cache::CacheError> {
        Store::open(&self.request.cache_dir.join("archives"), MAX_BYTES)
    }

    /// Where entries of this cache are looked for; the first is where one is saved.
    fn slots(&self, cache: &Cache) -> impl Iterator<Item = Slot> {
        let namespace = self.request.project.cache.cache_namespace.clone();
        let namespace = namespace.unwrap_or_else(|| self.build.project_name.clone());
        let versions = versions(&self.request, &cache.paths).into_iter();
        versions.map(move |version| Slot { namespace: namespace.clone(), version })
    }
}

/// A cache that was found.
pub(super) struct Found {
    pub(super) hit: Hit,
    /// What tells it from any other that may come in its place.
    pub(super) identity: Option<String>,
}

impl Found {
    fn local(hit: Hit) -> Self {
        let identity = Some(hit.created_ms.to_string());
        Self { hit, identity }
    }
}

pub(super) fn named(key: Option<&str>) -> String {
    key.map(|key| format!(" for key {key}")).unwrap_or_default()
}

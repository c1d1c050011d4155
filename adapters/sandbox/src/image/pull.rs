//! From a registry into the store.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf as _, Bytes};
use futures_util::future::{join, try_join_all};
use runspan_engine::image::{Login, Logins};
use runspan_engine::{Progress, RegistryLogin};
use tokio::sync::{Semaphore, mpsc};

use super::digest::Digest;
use super::layer::{self, AGAIN, Claim, Expected, Kept};
use super::layout::failed;
use super::manifest::{Configuration, Descriptor, ImageManifest, Manifest, for_this_machine};
use super::names::Reference;
use super::record::{ImageRecord, NameRecord};
use super::registry::Registry;
use super::{Image, ImageError, Store};

/// Layers that are downloaded and unpacked at once.
const AT_ONCE: usize = 4;
/// Pieces of a download that wait to be unpacked.
const AHEAD: usize = 64;
/// Progress is told this often at most.
const STEP: u64 = 256 << 10;

/// One image on its way.
struct Pull<'p> {
    store: &'p Store,
    registry: &'p Registry,
    image: &'p str,
    slots: Semaphore,
    tally: Tally<'p>,
}

/// How far all layers are together.
struct Tally<'p> {
    done: AtomicU64,
    told: AtomicU64,
    total: u64,
    progress: &'p (dyn Fn(Progress) + Send + Sync),
}

impl Store {
    pub(super) async fn pull_from_registry(
        &self,
        reference: Reference,
        name: &str,
        login: Option<&RegistryLogin>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Image, ImageError> {
        let broken = |reason| ImageError::Broken { image: name.to_owned(), reason };
        let refused = |reason| ImageError::Registry { image: name.to_owned(), reason };
        let logins = self.settings.docker_config.as_deref().map(Logins::read).unwrap_or_default();
        let login = login.map(|login| Login { login: login.clone(), identity_token: None });
        let login = login.or_else(|| logins.find(&reference.registry));
        let helper = logins.helper(&reference.registry).map(str::to_owned);
        let full = reference.full();
        let registry = Registry::new(reference, login, helper, self.settings.patience).map_err(refused)?;
        let manifest = self.manifest(&registry).await.map_err(refused)?;
        let id = manifest.config.digest.clone();
        if let Some(image) = self.image(&id, name)? {
            self.layout.write_name(&NameRecord { name: full, image: id, stamp: None })?;
            return Ok(image);
        }
        let text = registry.document(&id).await.map_err(refused)?;
        let configuration = Configuration::parse(&text).map_err(broken)?;
        if configuration.diff_ids.len() != manifest.layers.len() {
            return Err(broken("its manifest and its configuration have different layers".into()));
        }
        let stack = configuration.stack();
        let blobs: Vec<(&Digest, &Descriptor)> = stack
            .iter()
            .filter_map(|diff_id| {
                configuration.diff_ids.iter().zip(&manifest.layers).find(|(known, _)| *known == diff_id)
            })
            .collect();
        let pull = Pull {
            store: self,
            registry: &registry,
            image: name,
            slots: Semaphore::new(AT_ONCE),
            tally: Tally {
                done: AtomicU64::new(0),
                told: AtomicU64::new(0),
                total: self.missing(&blobs)?,
                progress,
            },
        };
        let kept = try_join_all(blobs.iter().map(|(diff_id, blob)| pull.layer(diff_id, blob))).await?;
        let record = ImageRecord { id, layers: stack, config: configuration.config };
        let names = [NameRecord::plain(full, &record)];
        self.commit(name, &record, kept, names)
    }

    /// The manifest of this machine's image.
    async fn manifest(&self, registry: &Registry) -> Result<ImageManifest, String> {
        match registry.manifest(None).await?.1 {
            Manifest::Image(image) => Ok(image),
            Manifest::Index(entries) => {
                let chosen = for_this_machine(&entries)?;
                match registry.manifest(Some(&chosen.digest)).await?.1 {
                    Manifest::Image(image) => Ok(image),
                    Manifest::Index(_) => Err("its index names another index".into()),
                }
            }
        }
    }

    /// Bytes to download.
    fn missing(&self, blobs: &[(&Digest, &Descriptor)]) -> Result<u64, ImageError> {
        let mut total: u64 = 0;
        for (diff_id, blob) in blobs {
            if self.layout.read_layer(diff_id)?.is_none() {
                total = total.saturating_add(blob.size);
            }
        }
        Ok(total)
    }
}

impl Pull<'_> {
    /// The layer: here already, made by somebody else meanwhile, or downloaded.
    async fn layer(&self, diff_id: &Digest, blob: &Descriptor) -> Result<Kept, ImageError> {
        let layout = &self.store.layout;
        let mut waited = false;
        loop {
            match layer::claim(layout, diff_id)? {
                Claim::Here(kept) => {
                    if waited {
                        self.tally.add(blob.size);
                    }
                    return Ok(kept);
                }
                Claim::ToMake(lock) => {
                    // Otherwise it was evicted between two locks.
                    if let Some(kept) = self.download(diff_id, blob).await?.put(layout, lock)? {
                        return Ok(kept);
                    }
                }
                Claim::Busy => {
                    waited = true;
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    async fn download(&self, diff_id: &Digest, blob: &Descriptor) -> Result<layer::Unpacked, ImageError> {
        // The semaphore is never closed.
        let _slot = self.slots.acquire().await;
        let (to, from) = mpsc::channel(AHEAD);
        let unpack = {
            let (layout, image) = (self.store.layout.clone(), self.image.to_owned());
            let (blob, diff_id, most) = (blob.clone(), diff_id.clone(), self.store.settings.limit);
            move || {
                let expected = Expected { image: &image, blob: Some(&blob), diff_id: Some(&diff_id), most };
                layer::unpack(&layout, &expected, Pieces { from, now: Bytes::new() })
            }
        };
        let mut before = 0;
        let download = self.registry.blob(blob, to, |done| {
            self.tally.add(done - before);
            before = done;
        });
        let (downloaded, unpacked) = join(download, tokio::task::spawn_blocking(unpack)).await;
        downloaded.map_err(|reason| ImageError::Registry { image: self.image.to_owned(), reason })?;
        unpacked.map_err(|error| failed("unpack", self.image)(error.into()))?
    }
}

impl Tally<'_> {
    fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if done >= self.total || done >= self.told.load(Ordering::Relaxed) + STEP {
            self.told.store(done, Ordering::Relaxed);
            (self.progress)(Progress::Pulling { done: done.min(self.total), total: Some(self.total) });
        }
    }
}

/// The pieces of a download as a reader.
struct Pieces {
    from: mpsc::Receiver<Bytes>,
    now: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            match self.from.blocking_recv() {
                Some(piece) => self.now = piece,
                None => return Ok(0),
            }
        }
        let read = self.now.len().min(into.len());
        self.now.copy_to_slice(&mut into[..read]);
        Ok(read)
    }
}

//! What a store holds, and what goes when it is too much.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::digest::Digest;
use super::layout::{Layout, Work, failed};
use super::lock::{Lock, Mode};
use super::names::{Source, familiar};
use super::record::{ImageRecord, NameRecord};
use super::{ImageError, Store};

/// A process that is being started has a copy of every lock for a moment; who asks for a removal waits that long.
const PATIENT: Duration = Duration::from_millis(100);

/// One image of the store.
#[derive(Clone, Debug, Serialize)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// The names it has.
    pub names: Vec<String>,
    /// Bytes of its layers.
    pub bytes: u64,
    /// Bytes of the layers that no other image has.
    pub own_bytes: u64,
    /// How many layers.
    pub layers: usize,
    /// When it was last used.
    pub last_used: SystemTime,
    /// Whether it is used now.
    pub in_use: bool,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// Images, by name or id.
    pub images: Vec<String>,
    /// Bytes of their layers.
    pub bytes: u64,
}

impl Store {
    /// Every image, the last used first.
    ///
    /// # Errors
    /// [`ImageError::Store`].
    pub fn list(&self) -> Result<Vec<Stored>, ImageError> {
        let holdings = Holdings::read(&self.layout)?;
        let mut all: Vec<Stored> = holdings
            .images
            .iter()
            .map(|(record, last_used)| {
                let own = |layer: &&Digest| holdings.users(layer) == 1;
                Ok(Stored {
                    id: record.id.to_string(),
                    names: holdings.names_of(&record.id),
                    bytes: holdings.bytes(record.layers.iter()),
                    own_bytes: holdings.bytes(record.layers.iter().filter(own)),
                    layers: record.layers.len(),
                    last_used: *last_used,
                    in_use: lock(&self.layout, &record.id)?.is_none(),
                })
            })
            .collect::<Result<_, ImageError>>()?;
        all.sort_by_key(|one| std::cmp::Reverse(one.last_used));
        Ok(all)
    }

    /// Takes a name from its image, and removes the image with its last name; by its id, with all its names.
    ///
    /// # Errors
    /// [`ImageError::Unknown`], [`ImageError::InUse`], [`ImageError::Store`].
    pub fn remove(&self, name: &str) -> Result<Freed, ImageError> {
        self.removing(PATIENT, |removing| {
            let unknown = || ImageError::Unknown(name.to_owned());
            let full = match Source::parse(name) {
                Ok(Source::Id(id)) => {
                    let known = removing.holdings.images.iter().any(|(record, _)| record.id == id);
                    return removing.image(known.then_some(&id).ok_or_else(unknown)?, name);
                }
                Ok(Source::Registry(reference)) => reference.full(),
                Ok(Source::Archive { path, .. }) => path.display().to_string(),
                // The file may be gone.
                Ok(Source::Directory(_)) | Err(_) => name.to_owned(),
            };
            let known = removing.holdings.names.iter().find(|known| known.name == full).cloned();
            let known = known.ok_or_else(unknown)?;
            if removing.holdings.names.iter().filter(|other| other.image == known.image).count() == 1 {
                return removing.image(&known.image, name);
            }
            removing.name(&known)
        })
    }

    /// Removes images that nothing uses, the least recently used first, until at most this many bytes are left.
    ///
    /// # Errors
    /// [`ImageError::Store`].
    pub fn prune(&self, keep: u64) -> Result<Freed, ImageError> {
        self.removing(PATIENT, |removing| removing.down_to(keep))
    }

    /// Removes what has no name any more, and what is too much.
    pub(super) fn trim(&self) -> Result<(), ImageError> {
        let limit = self.settings.limit;
        self.removing(Duration::ZERO, |removing| removing.down_to(limit)).map(drop)
    }

    /// Decides what to remove while nothing can be added; the removing itself comes after.
    fn removing(
        &self,
        patience: Duration,
        decide: impl FnOnce(&mut Removing<'_>) -> Result<(), ImageError>,
    ) -> Result<Freed, ImageError> {
        // Dropped last, without the lock.
        let work = self.layout.work()?;
        let _alone = self.layout.own_lock(Mode::Exclusive)?;
        let mut removing = Removing {
            layout: &self.layout,
            holdings: Holdings::read(&self.layout)?,
            work: &work,
            patience,
            freed: Freed::default(),
        };
        decide(&mut removing)?;
        removing.orphans()?;
        Ok(removing.freed)
    }
}

/// Everything that a store has.
struct Holdings {
    names: Vec<NameRecord>,
    /// With the time of their last use.
    images: Vec<(ImageRecord, SystemTime)>,
    layers: BTreeMap<Digest, u64>,
}

impl Holdings {
    fn read(layout: &Layout) -> Result<Self, ImageError> {
        let mut images = Vec::new();
        for record in layout.all_images()? {
            let path = layout.image(&record.id);
            match fs::metadata(&path).and_then(|found| found.modified()) {
                Ok(time) => images.push((record, time)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("read", &path)(error)),
            }
        }
        let path = layout.layers();
        let mut layers = BTreeMap::new();
        for entry in fs::read_dir(&path).map_err(failed("list", &path))? {
            let name = entry.map_err(failed("list", &path))?.file_name();
            if let Ok(diff_id) = Digest::try_from(format!("sha256:{}", name.display())) {
                let bytes = layout.read_layer(&diff_id)?.map_or(0, |layer| layer.bytes);
                layers.insert(diff_id, bytes);
            }
        }
        Ok(Self { names: layout.all_names()?, images, layers })
    }

    fn users(&self, layer: &Digest) -> usize {
        self.images.iter().filter(|(record, _)| record.layers.contains(layer)).count()
    }

    fn bytes<'d>(&self, layers: impl Iterator<Item = &'d Digest>) -> u64 {
        layers.filter_map(|layer| self.layers.get(layer)).sum()
    }

    fn names_of(&self, id: &Digest) -> Vec<String> {
        let names = self.names.iter().filter(|name| name.image == *id);
        let mut names: Vec<String> = names.map(|name| familiar(&name.name).to_owned()).collect();
        names.sort();
        names
    }
}

struct Removing<'r> {
    layout: &'r Layout,
    holdings: Holdings,
    work: &'r Work,
    patience: Duration,
    freed: Freed,
}

impl Removing<'_> {
    fn lock(&self, of: &Digest) -> Result<Option<Lock>, ImageError> {
        let begun = Instant::now();
        loop {
            match lock(self.layout, of)? {
                None if begun.elapsed() < self.patience => std::thread::sleep(PATIENT / 10),
                done => return Ok(done),
            }
        }
    }

    fn down_to(&mut self, keep: u64) -> Result<(), ImageError> {
        self.orphans()?;
        let mut candidates: Vec<(bool, SystemTime, Digest)> = self
            .holdings
            .images
            .iter()
            .map(|(record, used)| {
                let named = self.holdings.names.iter().any(|name| name.image == record.id);
                (named, *used, record.id.clone())
            })
            .collect();
        candidates.sort();
        for (named, _, id) in candidates {
            // Even an empty image goes when nothing is to be kept.
            if named && keep > 0 && self.holdings.layers.values().sum::<u64>() <= keep {
                break;
            }
            match self.image(&id, "") {
                Ok(()) | Err(ImageError::InUse(_)) => {}
                Err(error) => return Err(error),
            }
            self.orphans()?;
        }
        Ok(())
    }

    /// Removes an image with its names.
    fn image(&mut self, id: &Digest, name: &str) -> Result<(), ImageError> {
        let Some(_lock) = self.lock(id)? else { return Err(ImageError::InUse(name.to_owned())) };
        let mut names = self.holdings.names_of(id);
        if names.is_empty() {
            names.push(id.to_string());
        }
        for known in self.holdings.names.clone().iter().filter(|known| known.image == *id) {
            self.name(known)?;
        }
        remove_file(&self.layout.image(id))?;
        remove_file(&self.layout.lock(id))?;
        self.holdings.images.retain(|(record, _)| record.id != *id);
        self.freed.images.append(&mut names);
        Ok(())
    }

    fn name(&mut self, name: &NameRecord) -> Result<(), ImageError> {
        remove_file(&self.layout.name(&name.name))?;
        self.holdings.names.retain(|known| known.name != name.name);
        Ok(())
    }

    /// Removes layers that no image has, unless one is being made of them.
    fn orphans(&mut self) -> Result<(), ImageError> {
        let used: BTreeSet<Digest> =
            self.holdings.images.iter().flat_map(|(record, _)| record.layers.iter().cloned()).collect();
        let orphans: Vec<Digest> =
            self.holdings.layers.keys().filter(|layer| !used.contains(*layer)).cloned().collect();
        for layer in orphans {
            let Some(_lock) = self.lock(&layer)? else { continue };
            let path = self.layout.layer(&layer);
            fs::rename(&path, self.work.path().join(layer.hex())).map_err(failed("remove", &path))?;
            remove_file(&self.layout.lock(&layer))?;
            self.freed.bytes += self.holdings.layers.remove(&layer).unwrap_or_default();
        }
        Ok(())
    }
}

/// The lock of what nobody uses.
fn lock(layout: &Layout, of: &Digest) -> Result<Option<Lock>, ImageError> {
    let path = layout.lock(of);
    Lock::try_at(&path, Mode::Exclusive).map_err(failed("lock", &path))
}

fn remove_file(path: &std::path::Path) -> Result<(), ImageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

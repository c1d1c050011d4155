//! The store: what is here, and what has to be fetched.

use std::fs::{FileTimes, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use runspan_engine::{Progress, RegistryLogin};

use super::archive::{self, Imported};
use super::digest::Digest;
use super::layer::Kept;
use super::layout::{Layout, failed};
use super::lock::{Lock, Mode};
use super::names::{Reference, Source};
use super::record::{FILES, ImageRecord, NameRecord};
use super::{ImageConfig, ImageError, Lease, Patience};

/// Images of one user on one machine; any number of processes may use it at once.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) layout: Layout,
    pub(super) settings: Settings,
}

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// More bytes than this are not kept: what was not used for longest goes first. No layer may be larger.
    pub limit: u64,
    /// Where Docker's `config.json` is, for its logins.
    pub docker_config: Option<PathBuf>,
    /// How long registries are waited for.
    pub patience: Patience,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limit: 20 << 30, docker_config: None, patience: Patience::default() }
    }
}

/// An image, ready to be used for as long as this value lives.
#[derive(Debug)]
pub struct Image {
    /// The digest of its configuration; `dir:<path>` for a plain directory.
    pub id: String,
    /// As it was asked for.
    pub name: String,
    /// Its layers, the lowest first; each can be a `lowerdir` of an overlay as it is (with `userxattr` where the
    /// store belongs to an ordinary user). They are never to be written to.
    pub layers: Vec<PathBuf>,
    /// What it says about its processes.
    pub config: ImageConfig,
    /// Keeps the layers.
    pub lease: Lease,
}

impl Store {
    /// Opens the store in this directory, made where absent, and sweeps what killed processes left in it.
    ///
    /// # Errors
    /// [`ImageError::Store`].
    pub fn open(directory: &Path, settings: Settings) -> Result<Self, ImageError> {
        let layout = Layout::open(directory)?;
        layout.sweep()?;
        Ok(Self { layout, settings })
    }

    /// The image of this name: the one that is here, without asking anybody, else pulled.
    ///
    /// A name that starts with `/`, `./` or `../` is a path: of a directory (used in place), of a tar of a root file
    /// system, of what `docker save` wrote, or of an OCI layout (an archive or a directory).
    ///
    /// # Errors
    /// [`ImageError`]; nothing is left behind.
    pub async fn resolve(
        &self,
        name: &str,
        login: Option<&RegistryLogin>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Image, ImageError> {
        match self.present(name)? {
            Some(image) => Ok(image),
            None => {
                let fetched = self.fetch(name, login, progress, false).await;
                fetched.map_err(|error| error.while_fetching(name, self.layout.root()))
            }
        }
    }

    /// The image of this name as its registry or its archive has it now. An archive's own names become names here.
    ///
    /// # Errors
    /// As for [`Self::resolve`].
    pub async fn pull(
        &self,
        name: &str,
        login: Option<&RegistryLogin>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Image, ImageError> {
        let fetched = self.fetch(name, login, progress, true).await;
        fetched.map_err(|error| error.while_fetching(name, self.layout.root()))
    }

    /// The image of this name or id when it is here.
    ///
    /// # Errors
    /// [`ImageError::Name`], [`ImageError::Store`].
    pub fn present(&self, name: &str) -> Result<Option<Image>, ImageError> {
        match Source::parse(name)? {
            Source::Id(id) => self.image(&id, name),
            Source::Directory(path) => Ok(Some(directory(name, path))),
            Source::Archive { path, stamp } => match self.layout.read_name(&file_name(&path))? {
                Some(known) if known.stamp.as_ref() == Some(&stamp) => self.image(&known.image, name),
                _ => Ok(None),
            },
            Source::Registry(reference) => match self.named(&reference, name)? {
                Some(image) => Ok(Some(image)),
                // One of CodeBuild's own, under the name it is published by.
                None => match reference.published(name) {
                    Ok(published) if published != reference => self.named(&published, name),
                    _ => Ok(None),
                },
            },
        }
    }

    fn named(&self, reference: &Reference, name: &str) -> Result<Option<Image>, ImageError> {
        match self.layout.read_name(&reference.full())? {
            Some(known) => self.image(&known.image, name),
            None => Ok(None),
        }
    }

    async fn fetch(
        &self,
        name: &str,
        login: Option<&RegistryLogin>,
        progress: &(dyn Fn(Progress) + Send + Sync),
        own_names: bool,
    ) -> Result<Image, ImageError> {
        match Source::parse(name)? {
            Source::Id(_) => self.present(name)?.ok_or_else(|| ImageError::Unknown(name.to_owned())),
            Source::Directory(path) => Ok(directory(name, path)),
            Source::Archive { path, stamp } => {
                let (store, image) = (self.clone(), name.to_owned());
                let import = move || {
                    let Imported { record, kept, tags } = archive::import(&store, &image, &path)?;
                    let file =
                        NameRecord { name: file_name(&path), image: record.id.clone(), stamp: Some(stamp) };
                    let tags = tags.into_iter().filter(|_| own_names);
                    let names = tags.map(|tag| NameRecord::plain(tag, &record)).chain([file]);
                    store.commit(&image, &record, kept, names)
                };
                let done = tokio::task::spawn_blocking(import).await;
                done.map_err(|error| failed("read", name)(error.into()))?
            }
            Source::Registry(reference) => {
                let reference = reference.published(name)?;
                self.pull_from_registry(reference, name, login, progress).await
            }
        }
    }

    /// Makes an image whose layers are all here one of the store's.
    pub(super) fn commit(
        &self,
        name: &str,
        record: &ImageRecord,
        kept: Vec<Kept>,
        names: impl IntoIterator<Item = NameRecord>,
    ) -> Result<Image, ImageError> {
        if record.layers.is_empty() {
            return Err(ImageError::Broken { image: name.to_owned(), reason: "it has no layers".into() });
        }
        self.layout.write_image(record)?;
        let image = self.image(&record.id, name)?;
        for name in names {
            self.layout.write_name(&name)?;
        }
        drop(kept);
        let image = image.ok_or_else(|| ImageError::Unknown(name.to_owned()))?;
        self.trim()?;
        Ok(image)
    }

    /// The image of this id when it and its layers are here, locked and marked as used.
    pub(super) fn image(&self, id: &Digest, name: &str) -> Result<Option<Image>, ImageError> {
        if self.layout.read_image(id)?.is_none() {
            return Ok(None);
        }
        let held = self.layout.lock(id);
        let lock = Lock::wait_at(&held, Mode::Shared).map_err(failed("lock", &held))?;
        // Only now nobody removes it any more.
        let Some(record) = self.layout.read_image(id)? else { return Ok(None) };
        let layers: Vec<PathBuf> =
            record.layers.iter().map(|layer| self.layout.layer(layer).join(FILES)).collect();
        if !layers.iter().all(|layer| layer.is_dir()) {
            return Ok(None);
        }
        let path = self.layout.image(id);
        let touch = || {
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_times(FileTimes::new().set_modified(SystemTime::now()))
        };
        touch().map_err(failed("mark as used", &path))?;
        Ok(Some(Image {
            id: id.to_string(),
            name: name.to_owned(),
            layers,
            config: record.config,
            lease: Lease::on(lock, held),
        }))
    }
}

/// A directory as it is.
fn directory(name: &str, path: PathBuf) -> Image {
    Image {
        id: format!("dir:{}", path.display()),
        name: name.to_owned(),
        layers: vec![path],
        config: ImageConfig::default(),
        lease: Lease::none(),
    }
}

/// The name of an archive's image.
fn file_name(path: &Path) -> String {
    path.display().to_string()
}

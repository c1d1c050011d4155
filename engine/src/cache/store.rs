//! Archives under keys.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use super::entry::{self, Failure, Head};
use super::{CacheError, file_name};

/// The entry of a cache without keys.
const KEYLESS: &str = "latest";

/// Whose entries: builds see each other's when both parts are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// `cacheNamespace`, or the project; what may not be shared must be part of it.
    pub namespace: String,
    /// [`super::version`] of the paths.
    pub version: String,
}

/// The store: a directory of entries, none ever seen half-written.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    pub(super) max_bytes: u64,
}

/// A found entry, to be read to its end; it stays readable when it is evicted meanwhile.
pub struct Hit {
    /// The key that was asked for.
    pub asked: Option<String>,
    /// The key it was saved under.
    pub key: Option<String>,
    /// Its size on disk, compressed.
    pub bytes: u64,
    /// Since it was saved.
    pub age: Duration,
    /// When it was saved, in milliseconds since 1970.
    pub created_ms: u64,
    /// The archive.
    pub reader: Reader,
}

impl Hit {
    /// Whether it is what was asked for, not a fallback.
    pub fn is_exact(&self) -> bool {
        self.asked == self.key
    }
}

/// Reads the archive of an entry.
pub struct Reader(Content);

enum Content {
    Compressed(zstd::Decoder<'static, BufReader<File>>),
    Plain(File),
}

impl Reader {
    pub(super) fn new(head: &Head, mut from: BufReader<File>) -> io::Result<Self> {
        Ok(Self(if head.boot.is_some() {
            let begin = from.stream_position()?;
            let mut file = from.into_inner();
            file.seek(SeekFrom::Start(begin))?;
            Content::Plain(file)
        } else {
            Content::Compressed(zstd::Decoder::with_buffer(from)?)
        }))
    }

    /// What is left to read, where it is a file as it stands.
    pub const fn as_file(&self) -> Option<&File> {
        match &self.0 {
            Content::Compressed(_) => None,
            Content::Plain(file) => Some(file),
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Content::Compressed(decoder) => decoder.read(buffer),
            Content::Plain(file) => file.read(buffer),
        }
    }
}

/// What came of saving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was saved with this size, compressed.
    Saved {
        /// Bytes on disk.
        bytes: u64,
    },
    /// There is an entry under this key, and entries never change.
    AlreadyThere,
}

impl Store {
    /// Opens a store, made where absent, that takes at most so many bytes; clears what a crash left.
    ///
    /// # Errors
    /// [`CacheError::Disk`].
    pub fn open(root: &Path, max_bytes: u64) -> Result<Self, CacheError> {
        let store = Self { root: root.to_owned(), max_bytes };
        for path in [store.entries(), store.temporary()] {
            fs::create_dir_all(&path).map_err(|error| CacheError::disk(&path, error))?;
        }
        store.sweep();
        Ok(store)
    }

    /// Finds the entry of this key, or else the newest whose key begins with one of the fallback keys, tried in
    /// order. Without a key there is one entry at most.
    ///
    /// # Errors
    /// [`CacheError::Disk`].
    pub fn lookup(
        &self,
        slot: &Slot,
        key: Option<&str>,
        fallback_keys: &[String],
    ) -> Result<Option<Hit>, CacheError> {
        if let Some(hit) = Self::hit(&self.path(slot, key), key)? {
            return Ok(Some(hit));
        }
        if key.is_none() || fallback_keys.is_empty() {
            return Ok(None);
        }
        let mut heads: Vec<_> = files(&self.directory(slot))
            .filter_map(|path| Some((entry::open(&path).ok()?.0, path)))
            .collect();
        heads.sort_by_key(|(head, _)| std::cmp::Reverse(head.created_ms));
        for prefix in fallback_keys.iter().filter(|prefix| !prefix.is_empty()) {
            for (head, path) in &heads {
                if head.key.as_ref().is_some_and(|key| key.starts_with(prefix))
                    && let Some(hit) = Self::hit(path, key)?
                {
                    return Ok(Some(hit));
                }
            }
        }
        Ok(None)
    }

    /// Whether there is an entry of exactly this key.
    pub fn contains(&self, slot: &Slot, key: &str) -> bool {
        self.path(slot, Some(key)).exists()
    }

    /// When the entry without a key was saved, in milliseconds since 1970.
    pub fn created_ms(&self, slot: &Slot) -> Option<u64> {
        entry::open(&self.path(slot, None)).ok().map(|(head, _)| head.created_ms)
    }

    /// Saves a stream, compressed, then evicts what was not used for longest until all fits. With a key, an entry
    /// that is there stays; without one it is replaced.
    ///
    /// # Errors
    /// [`CacheError`]; the store is as it was.
    pub fn put(&self, slot: &Slot, key: Option<&str>, stream: &mut dyn Read) -> Result<Put, CacheError> {
        let path = self.path(slot, key);
        if key.is_some() && path.exists() {
            // Whoever sends must be able to finish.
            io::copy(stream, &mut io::sink()).map_err(CacheError::Stream)?;
            return Ok(Put::AlreadyThere);
        }
        let temporary = self.temporary();
        let fail = |error| CacheError::disk(&path, error);
        let file = NamedTempFile::new_in(&temporary).map_err(fail)?;
        // Held until the file has its name or is gone; what is there unlocked is nobody's.
        file.as_file().lock().map_err(fail)?;
        let mut limited = Limited { to: file.as_file(), left: self.max_bytes, over: false };
        match entry::write(&Head::new(key), stream, &mut limited) {
            Ok(()) => {}
            Err(_) if limited.over => return Err(CacheError::TooLarge { limit: self.max_bytes }),
            Err(Failure::Stream(error)) => return Err(CacheError::Stream(error)),
            Err(Failure::Disk(error)) => return Err(CacheError::disk(&path, error)),
        }
        // An entry with a key is there for good, so it must be whole even when the power fails.
        file.as_file().sync_data().map_err(fail)?;
        let bytes = file.as_file().metadata().map_err(fail)?.len();
        fs::create_dir_all(self.directory(slot)).map_err(fail)?;
        let persisted = match key {
            Some(_) => file.persist_noclobber(&path),
            None => file.persist(&path),
        };
        match persisted {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(Put::AlreadyThere),
            Err(error) => return Err(fail(error.error)),
        }
        self.evict()?;
        Ok(Put::Saved { bytes })
    }

    /// Forgets every entry of a namespace (`InvalidateProjectCache`).
    ///
    /// # Errors
    /// [`CacheError::Disk`].
    pub fn invalidate(&self, namespace: &str) -> Result<(), CacheError> {
        let path = self.entries().join(file_name(namespace));
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CacheError::disk(&path, error)),
            _ => Ok(()),
        }
    }

    /// Opens an entry, if it is there and whole, and marks it as used.
    pub(super) fn hit(path: &Path, asked: Option<&str>) -> Result<Option<Hit>, CacheError> {
        let fail = |error| CacheError::disk(path, error);
        let (head, reader) = match entry::open(path) {
            Ok((head, _)) if !head.is_whole() => {
                let _ = fs::remove_file(path);
                return Ok(None);
            }
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                // Nobody can use it, and with a key nobody could replace it.
                let _ = fs::remove_file(path);
                return Ok(None);
            }
            Err(error) => return Err(fail(error)),
        };
        let file = reader.get_ref();
        let bytes = file.metadata().map_err(fail)?.len();
        // The time of change is the time of last use.
        let _ = file.set_modified(SystemTime::now());
        let (age, created_ms) = (head.age(), head.created_ms);
        let reader = Reader::new(&head, reader).map_err(fail)?;
        Ok(Some(Hit { asked: asked.map(str::to_owned), key: head.key, bytes, age, created_ms, reader }))
    }

    pub(super) fn evict(&self) -> Result<(), CacheError> {
        let path = self.root.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|error| CacheError::disk(&path, error))?;
        lock.lock().map_err(|error| CacheError::disk(&path, error))?;
        let mut entries: Vec<_> = files(&self.entries())
            .flat_map(|namespace| files(&namespace).collect::<Vec<_>>())
            .flat_map(|version| files(&version).collect::<Vec<_>>())
            .filter_map(|entry| {
                let metadata = fs::metadata(&entry).ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry))
            })
            .collect();
        entries.sort_unstable();
        let mut bytes: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, entry) in entries {
            if bytes <= self.max_bytes {
                break;
            }
            match fs::remove_file(&entry) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(CacheError::disk(&entry, error));
                }
                _ => bytes -= size,
            }
        }
        Ok(())
    }

    /// Removes files that nobody is writing any more.
    fn sweep(&self) {
        for path in files(&self.temporary()) {
            if let Ok(file) = File::open(&path)
                && file.try_lock().is_ok()
                && age(&file).is_some_and(|age| age > Duration::from_secs(60))
            {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn entries(&self) -> PathBuf {
        self.root.join("entries")
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("temporary")
    }

    pub(super) fn directory(&self, slot: &Slot) -> PathBuf {
        self.entries().join(file_name(&slot.namespace)).join(file_name(&slot.version))
    }

    pub(super) fn path(&self, slot: &Slot, key: Option<&str>) -> PathBuf {
        self.directory(slot).join(key.map_or_else(|| KEYLESS.to_owned(), file_name))
    }
}

/// Since it was last written; a file is made just before it is locked.
fn age(file: &File) -> Option<Duration> {
    SystemTime::now().duration_since(file.metadata().ok()?.modified().ok()?).ok()
}

fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Refuses to write more than so many bytes.
struct Limited<'a> {
    to: &'a File,
    left: u64,
    over: bool,
}

impl Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            self.over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.to.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

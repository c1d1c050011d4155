//! Where state lives: the layout of `$RUNSPAN_HOME`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::private::{self, FileLock};

/// The state directory.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Opens, and makes when absent, a state directory that only its owner can read.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        private::directory(&root)?;
        let root = root.canonicalize()?;
        private::directory(&root.join("builds"))?;
        Ok(Self { root })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.root.join("runspan.db")
    }

    /// Where caches live unless the user names another place.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Everything one build keeps.
    pub fn build(&self, uuid: &str) -> BuildDir {
        BuildDir { root: self.root.join("builds").join(uuid) }
    }

    /// Combined artifacts of a batch, unless the user names another place.
    pub fn batch_artifacts(&self, uuid: &str) -> PathBuf {
        self.batch(uuid).join("artifacts")
    }

    pub(crate) fn batch(&self, uuid: &str) -> PathBuf {
        self.root.join("batches").join(uuid)
    }

    /// Takes a batch for this process until the lock is dropped; `None` when another process has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn try_lock_batch(&self, uuid: &str) -> io::Result<Option<FileLock>> {
        let root = self.batch(uuid);
        private::directory(&root)?;
        FileLock::attempt(&root.join("lock"))
    }

    /// As [`BuildDir::stop_order`], of a batch.
    pub fn batch_stop_order(&self, uuid: &str) -> StopOrder {
        StopOrder { file: self.batch(uuid).join("stop") }
    }

    /// As [`BuildDir::try_delivery_lock`], of a batch.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn try_batch_delivery_lock(&self, uuid: &str) -> io::Result<Option<FileLock>> {
        let root = self.batch(uuid);
        private::directory(&root)?;
        FileLock::attempt(&root.join("delivery.lock"))
    }

    /// Puts the agent's binary where executors can mount it, once for each version of it; `version` tells them apart.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn install_agent(&self, version: &str, binary: &[u8]) -> io::Result<PathBuf> {
        let path = self.root.join(format!("agent-{version}"));
        let is_there = || fs::metadata(&path).is_ok_and(|found| found.len() == binary.len() as u64);
        if is_there() {
            return Ok(path);
        }
        let temporary = self.root.join(format!(".agent-{}", uuid::Uuid::new_v4()));
        fs::write(&temporary, binary)?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755))?;
        // One that another process put there meanwhile may be mounted already, so it is not replaced.
        match fs::hard_link(&temporary, &path) {
            Err(_) if !is_there() => fs::rename(&temporary, &path)?,
            _ => fs::remove_file(&temporary)?,
        }
        Ok(path)
    }
}

/// The directory of one build.
#[derive(Clone, Debug)]
pub struct BuildDir {
    root: PathBuf,
}

impl BuildDir {
    /// Makes it, with the run directory.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(&self) -> io::Result<()> {
        private::directory(&self.root)?;
        private::directory(&self.run())
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Shared with the container.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// A directory for each container beside the build's own, shared with that one; the build's own sees all of them.
    pub fn companions(&self) -> PathBuf {
        self.root.join("companions")
    }

    /// Where it is noted which container a companion is.
    pub(crate) fn companion_record(&self, name: &str) -> PathBuf {
        self.root.join(format!("companion-{name}.json"))
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Held by the process that supervises the build.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The order that whoever supervises the build looks for.
    pub fn stop_order(&self) -> StopOrder {
        StopOrder { file: self.root.join("stop") }
    }

    /// Files that are on their way to an object store.
    pub fn outgoing(&self) -> PathBuf {
        self.root.join("outgoing")
    }

    /// Artifacts, unless the user names another place.
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// Reports.
    pub fn reports(&self) -> PathBuf {
        self.root.join("reports")
    }

    /// Takes the build for this process until the lock is dropped; `None` when another process has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn try_lock(&self) -> io::Result<Option<FileLock>> {
        FileLock::attempt(&self.lock())
    }

    /// As [`Self::try_lock`], the right to take to others what they are to know of the build.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn try_delivery_lock(&self) -> io::Result<Option<FileLock>> {
        FileLock::attempt(&self.root.join("delivery.lock"))
    }
}

/// An order to stop a build or a batch, from any process to whichever supervises it. It stands until the end, so that
/// whoever takes the place of one that dies obeys it too.
#[derive(Clone, Debug)]
pub struct StopOrder {
    file: PathBuf,
}

impl StopOrder {
    /// Between two looks for one.
    pub(crate) const POLL: Duration = Duration::from_millis(200);

    /// Gives it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn give(&self) -> io::Result<()> {
        fs::write(&self.file, "")
    }

    /// Takes it back, once there is nothing left to stop.
    pub fn withdraw(&self) {
        // Mostly there is none.
        let _none = fs::remove_file(&self.file);
    }

    pub(crate) fn is_given(&self) -> bool {
        self.file.exists()
    }

    /// Waits for it.
    pub(crate) async fn given(&self) {
        while !self.is_given() {
            tokio::time::sleep(Self::POLL).await;
        }
    }
}

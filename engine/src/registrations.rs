//! What this machine is for a host: each registration in a directory of its own, and beside it what its adapter knows of
//! its jobs.

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::private::{self, FileLock};

const REGISTRATION: &str = "registration.json";

/// All registrations with hosts of one kind.
#[derive(Clone, Debug)]
pub struct Registrations<R> {
    root: PathBuf,
    _of: PhantomData<fn() -> R>,
}

/// The place of one.
#[derive(Clone, Debug)]
pub struct Place<R> {
    root: PathBuf,
    _of: PhantomData<fn() -> R>,
}

impl<R: Serialize + DeserializeOwned> Registrations<R> {
    /// Opens, and makes when absent.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        private::directory(&root)?;
        Ok(Self { root, _of: PhantomData })
    }

    /// The place for a registration of this name.
    pub fn place(&self, name: &str) -> Place<R> {
        Place::at(self.root.join(file_name(name)))
    }

    /// Every registration, by name.
    ///
    /// # Errors
    /// Those of the file system, and of a file that is no registration.
    pub fn all(&self) -> io::Result<Vec<(Place<R>, R)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let place = Place::at(entry?.path());
            if let Some(registration) = place.registration()? {
                all.push((place, registration));
            }
        }
        all.sort_by(|(a, _), (b, _)| a.root.cmp(&b.root));
        Ok(all)
    }
}

impl<R: Serialize + DeserializeOwned> Place<R> {
    const fn at(root: PathBuf) -> Self {
        Self { root, _of: PhantomData }
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The registration, if there is one.
    ///
    /// # Errors
    /// Those of the file system, and of a file that is no registration.
    pub fn registration(&self) -> io::Result<Option<R>> {
        private::read(&self.root.join(REGISTRATION))
    }

    /// Keeps a registration.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn keep(&self, registration: &R) -> io::Result<()> {
        private::directory(&self.root)?;
        private::write(&self.root.join(REGISTRATION), &serde_json::to_vec_pretty(registration)?)
    }

    /// Removes everything.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self) -> io::Result<()> {
        // First what makes it a registration, so that half of it is none.
        let _absent = fs::remove_file(self.root.join(REGISTRATION));
        fs::remove_dir_all(&self.root)
    }

    /// Takes it for this process; `None` while another process has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn try_lock(&self) -> io::Result<Option<FileLock>> {
        private::directory(&self.root)?;
        FileLock::attempt(&self.root.join("lock"))
    }
}

/// The name that something has in a path, which others chose.
pub fn file_name(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    name.chars().map(legal).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_registration_is_kept_locked_and_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let all = Registrations::<String>::open(home.path().join("hosts")).unwrap();
        let place = all.place("../one");
        assert_eq!(place.registration().unwrap(), None);
        place.keep(&"first".to_owned()).unwrap();
        place.keep(&"second".to_owned()).unwrap();
        all.place("two").keep(&"other".to_owned()).unwrap();
        let found: Vec<String> = all.all().unwrap().into_iter().map(|(_, one)| one).collect();
        assert_eq!(found, ["second", "other"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(place.root()), mode(&place.root().join(REGISTRATION))), (0o700, 0o600));
        let lock = place.try_lock().unwrap();
        assert!(lock.is_some() && place.try_lock().unwrap().is_none());
        drop(lock);
        place.remove().unwrap();
        assert_eq!(all.all().unwrap().len(), 1);

        fs::write(all.place("two").root().join(REGISTRATION), "{").unwrap();
        assert!(all.all().unwrap_err().to_string().contains("two/registration.json"));
    }
}

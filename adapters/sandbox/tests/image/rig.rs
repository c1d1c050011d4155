//! A store in a place of its own.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use runspan_agent_protocol::Secret;
use runspan_engine::RegistryLogin;
use runspan_sandbox::image::{Image, ImageError, Patience, Settings, Store};
use tempfile::TempDir;

/// Says that a test is skipped, unless everything has to be there.
pub(crate) fn skip(missing: &str) {
    assert_ne!(std::env::var("RUNSPAN_REQUIRE_SERVICES").as_deref(), Ok("1"), "{missing}");
    drop(writeln!(std::io::stderr(), "SKIPPED: {missing}"));
}

/// A store that gives up soon.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings { patience: impatient(), ..Settings::default() };
        change(&mut settings);
        let store = Store::open(&dir.path().join("images"), settings).unwrap();
        Self { dir, store }
    }

    /// Another process's view of the same store.
    pub(crate) fn again(&self) -> Store {
        let settings = Settings { patience: impatient(), ..Settings::default() };
        Store::open(&self.dir.path().join("images"), settings).unwrap()
    }

    pub(crate) async fn resolve(&self, name: &str) -> Result<Image, ImageError> {
        self.store.resolve(name, None, &|_| ()).await
    }

    /// What the store's user has of this part: `layers`, `tmp`, ….
    pub(crate) fn part(&self, part: &str) -> Vec<PathBuf> {
        let user = format!("images/of-{}", rustix::process::geteuid().as_raw());
        let entries = std::fs::read_dir(self.dir.path().join(user).join(part)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Nothing was kept and nothing was left.
    pub(crate) fn assert_empty(&self) {
        for part in ["names", "images", "layers", "tmp"] {
            assert_eq!(self.part(part), Vec::<PathBuf>::new());
        }
    }
}

pub(crate) fn impatient() -> Patience {
    Patience {
        connect: Duration::from_secs(2),
        stall: Duration::from_millis(400),
        retries: 2,
        backoff: Duration::from_millis(10),
        longest_wait: Duration::from_secs(1),
    }
}

pub(crate) fn login(username: &str, password: &str) -> RegistryLogin {
    RegistryLogin { username: username.into(), password: Secret::new(password) }
}

/// A file as `ls -l` would show it, and its content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen(String);

/// Everything in a tree.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut all = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let found = path.symlink_metadata().unwrap();
            let kind = found.file_type();
            let content = if kind.is_dir() {
                directories.push(path.clone());
                String::new()
            } else if kind.is_symlink() {
                path.read_link().unwrap().display().to_string()
            } else if kind.is_char_device() {
                format!("device {}", found.rdev())
            } else if kind.is_fifo() {
                "pipe".into()
            } else {
                format!("{} links, {:x}", found.nlink(), sum(&std::fs::read(&path).unwrap()))
            };
            let (mode, owner) = (found.mode(), (found.uid(), found.gid()));
            let seen = Seen(format!("{mode:o} {owner:?} {content}"));
            all.insert(path.strip_prefix(root).unwrap().to_owned(), seen);
        }
    }
    all
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(bytes.len() as u64, |sum, byte| sum.rotate_left(5).wrapping_mul(31) ^ u64::from(*byte))
}

/// What a container of this image would see, copied to `to`. Needs root.
pub(crate) fn mounted(image: &Image, to: &Path) {
    let lower: Vec<String> = image.layers.iter().rev().map(|layer| layer.display().to_string()).collect();
    let script =
        "mkdir -p $1/at $1/all && mount -t overlay -o ro,lowerdir=$2 none $1/at && cp -a $1/at/. $1/all";
    let done = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(to)
        .arg(lower.join(":"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

//! The root: layers, or parts of the machine's own, under a layer that is thrown away.
//!
//! All mounts are made in a namespace that ends with the sandbox, so none is ever left behind.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FsWord, Mode, OFlags, open, statfs};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountFlags, UnmountFlags, mount, unmount};

use crate::host::{self, Shown, What};
use crate::spec::{Ids, Report, Root, Spec};

use super::fault::{Fault, Result, To as _};
use super::mounting::{attach, filesystem, path_of, view};
use super::new_root::{NewRoot, make_directory, owner};
use super::sys::Attributes;
use super::{devices, hidden, report, users};

/// Directories that the machine's own root is completed with, empty.
const FRESH: &[(&str, u32)] = &[
    ("/root", 0o700),
    ("/home", 0o755),
    ("/media", 0o755),
    ("/mnt", 0o755),
    ("/run/lock", 0o1777),
    ("/srv", 0o755),
    ("/tmp", 0o1777),
    ("/var/cache", 0o755),
    ("/var/lib", 0o755),
    ("/var/log", 0o755),
    ("/var/spool", 0o755),
    ("/var/tmp", 0o1777),
];

/// Magic number of an overlay.
const OVERLAY: FsWord = 0x794c_7630;

/// A root with everything mounted in it but `/proc`.
pub(super) struct Made {
    pub(super) root: NewRoot,
    pub(super) ids: Ids,
    /// The namespace of the users inside; an ordinary user is in it already.
    pub(super) users: Option<OwnedFd>,
    /// An empty directory to cover others with.
    pub(super) nothing: OwnedFd,
}

/// Makes the root; where owners cannot be mapped, with the machine's own.
pub(super) fn make(spec: &Spec) -> Result<Made> {
    match make_as(spec, spec.ids) {
        Err(fault @ Fault::Ids { .. }) if matches!(spec.ids, Ids::Shifted(_)) => {
            report(&Report::SameIds(fault.to_string()))?;
            std::env::set_current_dir("/").to(|| "leave the stage".into())?;
            unmount(spec.dir.join("stage"), UnmountFlags::DETACH).to(|| "begin anew".into())?;
            make_as(spec, Ids::Same)
        }
        made => made,
    }
}

fn make_as(spec: &Spec, ids: Ids) -> Result<Made> {
    let users = users::namespace(ids)?;
    let stage = Stage::new(spec, ids, users.as_ref().map(AsFd::as_fd))?;
    let root = match &spec.root {
        Root::Layers(layers) => stage.layers(layers)?,
        Root::Host(shown) => stage.host(shown)?,
    };
    devices::mount(&root, ids)?;
    for bind in &spec.binds {
        let put = || -> io::Result<_> {
            let found = if bind.host.is_dir() {
                root.directory(&bind.container, 0o755)?
            } else {
                root.file(&bind.container)?
            };
            Ok(found)
        };
        let onto = put().to(|| format!("make {}", bind.container.display()))?;
        let tree = stage.tree(&bind.host, !bind.writable)?;
        attach(tree, onto).to(|| format!("mount {}", bind.container.display()))?;
    }
    let nothing = stage.directory("nothing")?;
    Ok(Made { root, ids, users, nothing })
}

/// A small file system in memory with the places that mounts are put together at; it is the working directory.
struct Stage<'a> {
    ids: Ids,
    users: Option<BorrowedFd<'a>>,
}

impl<'a> Stage<'a> {
    fn new(spec: &Spec, ids: Ids, users: Option<BorrowedFd<'a>>) -> Result<Self> {
        let place = spec.dir.join("stage");
        let memory = filesystem("tmpfs", &[("mode", "0755".into())], MountAttrFlags::empty());
        let disk = spec.dir.join("disk");
        let set = || -> io::Result<()> {
            attach(memory?, open_directory(&place)?)?;
            std::env::set_current_dir(&place)?;
            fs::create_dir("nothing")?;
            fs::create_dir("root")?;
            fs::create_dir("disk")?;
            // An overlay cannot have its layers on another, as there is where this program runs in a container.
            let layers = match statfs(&disk)?.f_type == OVERLAY {
                true => filesystem("tmpfs", &[("mode", "0755".into())], MountAttrFlags::empty())?,
                false => view(&disk, Attributes::default())?,
            };
            attach(layers, open_directory(Path::new("disk"))?)
        };
        set().to(|| format!("make a stage at {}", place.display()))?;
        Ok(Self { ids, users })
    }

    fn directory(&self, name: &str) -> Result<OwnedFd> {
        open_directory(Path::new(name)).to(|| format!("open {name}"))
    }

    /// A view of a directory or file of the machine, as root inside sees it.
    fn tree(&self, path: &Path, read_only: bool) -> Result<OwnedFd> {
        let ids = match self.ids {
            Ids::Shifted(_) => self.users,
            Ids::Same | Ids::User { .. } => None,
        };
        let plain = Attributes { read_only, harmless: true, ..Attributes::default() };
        match view(path, Attributes { ids, ..plain }) {
            Err(source) if ids.is_some() => match view(path, plain) {
                Ok(_) => Err(Fault::Ids { what: path.display().to_string(), source }),
                Err(source) => Err(source).to(|| format!("look at {}", path.display())),
            },
            seen => seen.to(|| format!("look at {}", path.display())),
        }
    }

    /// Mounts an overlay of these directories, the lowest first, with a new layer over them that is prepared first.
    fn overlay(
        &self,
        number: usize,
        lower: &[&Path],
        target: impl AsFd,
        mode: u32,
        prepare: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let mut names = Vec::new();
        for (index, path) in lower.iter().enumerate() {
            let name = format!("{number}.{index}");
            let tree = self.tree(path, true)?;
            let put = fs::create_dir(&name).and_then(|()| attach(tree, open_directory(Path::new(&name))?));
            put.to(|| format!("mount {}", path.display()))?;
            names.push(name);
        }
        names.reverse();
        let (upper, work) = (format!("disk/{number}.upper"), format!("disk/{number}.work"));
        let made = make_directory(CWD, Path::new(&upper), mode, owner(self.ids))
            .and_then(|()| make_directory(CWD, Path::new(&work), 0o700, None));
        made.to(|| "make a layer".into())?;
        prepare(Path::new(&upper))?;
        let extended = if matches!(self.ids, Ids::User { .. }) { ",userxattr" } else { "" };
        let options = format!("lowerdir={},upperdir={upper},workdir={work}{extended}", names.join(":"));
        let mount_with = |more: &str| {
            let options = std::ffi::CString::new(format!("{options}{more}")).map_err(|_| Errno::INVAL)?;
            mount("overlay", path_of(&target), "overlay", MountFlags::NODEV, options.as_c_str())
        };
        // What is thrown away need not be on the disk first: else the end of a build waits for everything that anybody
        // on this machine writes. Kernels before 5.10 do not know the option.
        match mount_with(",volatile")
            .or_else(|error| if error == Errno::INVAL { mount_with("") } else { Err(error) })
        {
            Ok(()) => Ok(()),
            Err(error @ Errno::INVAL) if matches!(self.ids, Ids::Shifted(_)) => {
                Err(Fault::Ids { what: "an overlay's layers".into(), source: error.into() })
            }
            Err(error) => Err(error).to(|| "mount an overlay".into()),
        }
    }

    fn layers(&self, layers: &[PathBuf]) -> Result<NewRoot> {
        let lower: Vec<&Path> = layers.iter().map(PathBuf::as_path).collect();
        let mode = layers.last().map_or(0o755, |path| host::mode(path));
        self.overlay(0, &lower, self.directory("root")?, mode, |_| Ok(()))?;
        Ok(NewRoot::new(self.directory("root")?, self.ids))
    }

    fn host(&self, shown: &[Shown]) -> Result<NewRoot> {
        make_directory(CWD, Path::new("disk/root"), 0o755, owner(self.ids)).to(|| "make a root".into())?;
        let plain = Attributes { harmless: true, ..Attributes::default() };
        let base = view(Path::new("disk/root"), plain).to(|| "look at the new root".into())?;
        attach(base, self.directory("root")?).to(|| "mount the new root".into())?;
        let root = NewRoot::new(self.directory("root")?, self.ids);
        for (path, mode) in FRESH {
            root.directory(Path::new(path), *mode).to(|| format!("make {path}"))?;
        }
        let linked = root
            .link(Path::new("/var/run"), Path::new("/run"))
            .and_then(|()| root.link(Path::new("/var/lock"), Path::new("/run/lock")));
        linked.to(|| "make links in /var".into())?;
        for (number, Shown { path, what }) in shown.iter().enumerate() {
            let mode = || host::mode(path);
            match what {
                What::Link(target) => root.link(path, target).to(|| format!("link {}", path.display()))?,
                What::Directory => {
                    root.directory(path, mode()).to(|| format!("make {}", path.display()))?;
                }
                What::File => {
                    let onto = root.file(path).to(|| format!("make {}", path.display()))?;
                    attach(self.tree(path, true)?, onto).to(|| format!("show {}", path.display()))?;
                }
                What::Tree(hidden) => {
                    let onto = root.directory(path, mode()).to(|| format!("make {}", path.display()))?;
                    if matches!(self.ids, Ids::User { .. }) {
                        // All of it belongs to others, who are not inside: nothing could be written anyway.
                        attach(self.tree(path, true)?, onto).to(|| format!("show {}", path.display()))?;
                    } else {
                        let hide = |upper: &Path| hidden::hide(path, hidden, upper, owner(self.ids));
                        self.overlay(number, &[path], onto, mode(), hide)?;
                    }
                }
            }
        }
        Ok(root)
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

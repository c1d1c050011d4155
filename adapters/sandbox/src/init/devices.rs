//! `/dev` and `/sys`.

use std::io;
use std::path::Path;

use rustix::mount::MountAttrFlags;

use crate::spec::Ids;

use super::fault::{Result, To as _};
use super::mounting::{HARMLESS, attach, filesystem, view};
use super::new_root::NewRoot;
use super::sys::Attributes;

/// Devices that give nothing of the machine.
const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// Group `tty` of every distribution.
const TTY: u32 = 5;

/// Mounts both.
pub(super) fn mount(root: &NewRoot, ids: Ids) -> Result<()> {
    dev(root, ids).to(|| "make /dev".into())?;
    sys(root).to(|| "mount /sys".into())
}

fn dev(root: &NewRoot, ids: Ids) -> io::Result<()> {
    let first = match ids {
        Ids::Shifted(first) => first,
        Ids::Same | Ids::User { .. } => 0,
    };
    let memory = |mode: &str, size: &str, attributes| {
        let options = [
            ("mode", mode.to_owned()),
            ("size", size.to_owned()),
            ("uid", first.to_string()),
            ("gid", first.to_string()),
        ];
        filesystem("tmpfs", &options, attributes)
    };
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    attach(memory("0755", "64k", safe)?, root.directory(Path::new("/dev"), 0o755)?)?;
    for node in NODES {
        let path = Path::new("/dev").join(node);
        attach(view(&path, Attributes::default())?, root.file(&path)?)?;
    }
    for (name, target) in LINKS {
        root.link(&Path::new("/dev").join(name), Path::new(target))?;
    }
    let mut terminals = vec![("ptmxmode", "0666".to_owned()), ("mode", "0620".to_owned())];
    if !matches!(ids, Ids::User { .. }) {
        terminals.push(("gid", (first + TTY).to_string()));
    }
    let place = |name: &str, mode| root.directory(&Path::new("/dev").join(name), mode);
    attach(filesystem("devpts", &terminals, safe)?, place("pts", 0o755)?)?;
    attach(memory("1777", "64m", HARMLESS)?, place("shm", 0o1777)?)?;
    attach(filesystem("mqueue", &[], HARMLESS)?, place("mqueue", 0o755)?)
}

/// Of the network that the sandbox has; an ordinary user on the machine's own sees the machine's.
fn sys(root: &NewRoot) -> io::Result<()> {
    let onto = root.directory(Path::new("/sys"), 0o755)?;
    match filesystem("sysfs", &[], HARMLESS | MountAttrFlags::MOUNT_ATTR_RDONLY) {
        Ok(mount) => attach(mount, onto),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let everything =
                Attributes { read_only: true, harmless: true, recursive: true, ..Attributes::default() };
            attach(view(Path::new("/sys"), everything)?, onto)
        }
        Err(error) => Err(error),
    }
}

//! Control groups of a sandbox: version 2 where it has the controllers, else version 1.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use crate::process::Process;
use crate::spec::Joined;

/// Controllers that limit or measure a build.
const CONTROLLERS: [&str; 5] = ["blkio", "cpu", "cpuacct", "memory", "pids"];
const CONTROLLERS_V2: [&str; 4] = ["cpu", "io", "memory", "pids"];
/// Where root has its groups of version 2: at the top, the only group that may hold processes and groups.
const ROOTS: &str = "runspan";
/// Where an ordinary user's program goes, so that the group it was in may hold groups.
const SUPERVISOR: &str = "runspan-supervisor";
/// A group whose last process has just ended is busy for a moment.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// Control groups as this process finds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// Version 2: the directory in which groups are made.
    Unified(PathBuf),
    /// Version 1: controllers with the directory in which their groups are made.
    Separate(Vec<(Vec<String>, PathBuf)>),
}

/// The groups of a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Groups {
    pub(crate) joined: Vec<Joined>,
}

impl Hierarchy {
    /// Looks at this machine.
    pub(crate) fn find() -> Option<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let found = parse(&read("mountinfo"), &read("cgroup"));
        let unified = found.unified.filter(|(mount, _)| has_controllers(mount)).map(|(mount, own)| {
            if rustix::process::geteuid().is_root() {
                mount.join(ROOTS)
            } else {
                own.parent().filter(|_| own.ends_with(SUPERVISOR)).unwrap_or(&own).to_owned()
            }
        });
        let separate = (!found.separate.is_empty()).then_some(Self::Separate(found.separate));
        unified.map(Self::Unified).or(separate)
    }

    /// Where a group of this name would be for each controller.
    pub(crate) fn groups(&self, attempt: &str) -> Groups {
        let name = format!("runspan-{attempt}");
        let joined = match self {
            Self::Unified(dir) => vec![Joined { dir: dir.join(name), name: None }],
            Self::Separate(all) => all
                .iter()
                .map(|(_, dir)| {
                    let mount = mount_name(dir);
                    Joined { dir: dir.join(&name), name: Some(mount) }
                })
                .collect(),
        };
        Groups { joined }
    }

    /// Whether this user may make groups in all of them.
    pub(crate) fn is_ours(&self) -> bool {
        self.bases().iter().all(|dir| {
            // Root's own is made with the first group.
            let existing = dir.ancestors().find(|dir| dir.exists());
            existing.is_some_and(|dir| access(dir, Access::WRITE_OK).is_ok())
        })
    }

    /// Moves this process to where it is. The first move after a while makes the kernel wait for all its CPUs, some ten
    /// milliseconds, and the next one soon after does not: so a sandbox need not wait when it joins its own groups.
    pub(crate) fn warm_up(&self) {
        if let Self::Separate(all) = self
            && let Some((_, own)) = all.first()
        {
            let _no_matter = fs::write(own.join("cgroup.procs"), "0");
        }
    }

    /// The directories in which groups are made.
    pub(crate) fn bases(&self) -> Vec<&Path> {
        match self {
            Self::Unified(dir) => vec![dir],
            Self::Separate(all) => all.iter().map(|(_, dir)| dir.as_path()).collect(),
        }
    }
}

impl Groups {
    /// Makes them.
    pub(crate) fn create(&self) -> io::Result<()> {
        for Joined { dir, name } in &self.joined {
            if name.is_none()
                && let Some(base) = dir.parent()
            {
                make_room(base)?;
            }
            match fs::create_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(io::Error::new(error.kind(), format!("{}: {error}", dir.display())));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Moves a process into them, with all that it starts from now on; not an error when it is gone.
    pub(crate) fn join(&self, process: Process) -> io::Result<()> {
        for Joined { dir, .. } in &self.joined {
            match fs::write(dir.join("cgroup.procs"), process.id().to_string()) {
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
                Err(error) => {
                    let text = format!("cannot join {}: {error}", dir.display());
                    return Err(io::Error::new(error.kind(), text));
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Sets the first of these files that is there; whether one was.
    pub(crate) fn set(&self, files: &[(&str, &str)]) -> bool {
        files.iter().any(|(file, value)| {
            self.joined
                .iter()
                .map(|group| group.dir.join(file))
                .find(|path| path.exists())
                .is_some_and(|path| fs::write(path, value).is_ok())
        })
    }

    /// Whether the kernel killed something in them for want of memory.
    pub(crate) fn out_of_memory(&self) -> bool {
        ["memory.events", "memory.oom_control"].iter().any(|file| {
            self.joined.iter().any(|group| {
                let text = fs::read_to_string(group.dir.join(file)).unwrap_or_default();
                text.lines()
                    .any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
            })
        })
    }

    /// Removes them; their processes must have been killed.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.joined.iter().try_for_each(|group| remove(&group.dir))
    }
}

/// Lets groups with controllers be made in a group of version 2, which then may hold no process itself.
fn make_room(base: &Path) -> io::Result<()> {
    let own = if base.ends_with(ROOTS) { None } else { Some(base.join(SUPERVISOR)) };
    for dir in own.iter().map(PathBuf::as_path).chain([base]) {
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    if let Some(own) = &own {
        fs::write(own.join("cgroup.procs"), "0")?;
    }
    // What cannot be turned on is missed when its limit is set.
    for group in base.parent().filter(|_| own.is_none()).into_iter().chain([base]) {
        for controller in CONTROLLERS_V2 {
            let _missing = fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    Ok(())
}

fn remove(dir: &Path) -> io::Result<()> {
    for attempt in 1.. {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempt < TRIES => {
                std::thread::sleep(PAUSE);
            }
            removed => {
                removed?;
                break;
            }
        }
    }
    Ok(())
}

fn has_controllers(unified: &Path) -> bool {
    fs::read_to_string(unified.join("cgroup.controllers"))
        .is_ok_and(|names| names.split_ascii_whitespace().any(|name| name == "memory" || name == "pids"))
}

/// `memory` of `/sys/fs/cgroup/memory/own/path`: the name of the mount, which the group's directory is below.
fn mount_name(dir: &Path) -> String {
    let below = dir.strip_prefix("/sys/fs/cgroup").unwrap_or(dir);
    below.iter().next().unwrap_or_default().to_string_lossy().into_owned()
}

#[derive(Debug, Default)]
struct Found {
    /// Where it is mounted, and the group of this process.
    unified: Option<(PathBuf, PathBuf)>,
    separate: Vec<(Vec<String>, PathBuf)>,
}

/// From `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn parse(mountinfo: &str, own: &str) -> Found {
    let path_of = |controller: &str| {
        own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let names = fields.next()?;
            let is_it = if controller.is_empty() {
                names.is_empty()
            } else {
                names.split(',').any(|name| name == controller)
            };
            is_it.then(|| fields.next().unwrap_or_default().to_owned())
        })
    };
    let mut found = Found::default();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let mut after = after.split(' ');
        let kind = after.next().unwrap_or_default();
        let options = after.nth(1).unwrap_or_default();
        let mut before = before.split(' ').skip(3);
        let (Some(root), Some(mount)) = (before.next(), before.next()) else { continue };
        // Where only a part of the hierarchy is mounted, that part is ours.
        let dir = |own: String| {
            let below = Path::new(&own).strip_prefix(root).unwrap_or(Path::new("")).to_owned();
            Path::new(mount).join(below.strip_prefix("/").unwrap_or(&below))
        };
        match kind {
            "cgroup2" => found.unified = path_of("").map(|own| (mount.into(), dir(own))),
            "cgroup" => {
                let controllers: Vec<String> = options
                    .split(',')
                    .filter(|option| CONTROLLERS.contains(option))
                    .map(str::to_owned)
                    .collect();
                if let Some(own) = controllers.first().and_then(|controller| path_of(controller)) {
                    found.separate.push((controllers, dir(own)));
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_read() {
        let mountinfo = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = "4:memory:/user/me\n3:devices:/\n2:cpu,cpuacct:/\n0::/user\n";
        let found = parse(mountinfo, own);
        let unified = "/sys/fs/cgroup/unified";
        assert_eq!(found.unified, Some((unified.into(), format!("{unified}/user").into())));
        let words = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            found.separate,
            [
                (words(&["cpu", "cpuacct"]), "/sys/fs/cgroup/cpu,cpuacct/".into()),
                (words(&["memory"]), "/sys/fs/cgroup/memory/user/me".into()),
            ]
        );
        let groups = Hierarchy::Separate(found.separate).groups("a");
        assert_eq!(groups.joined[1].dir, Path::new("/sys/fs/cgroup/memory/user/me/runspan-a"));
        assert_eq!(groups.joined[0].name.as_deref(), Some("cpu,cpuacct"));
    }

    #[test]
    fn a_part_of_a_hierarchy_is_the_whole_of_ours() {
        let mountinfo = "30 23 0:26 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let own = |own: &str| parse(mountinfo, own).unified.map(|(_, own)| own);
        assert_eq!(own("0::/docker/x/y\n"), Some("/sys/fs/cgroup/y".into()));
        assert_eq!(own("0::/\n"), Some("/sys/fs/cgroup/".into()));
    }
}

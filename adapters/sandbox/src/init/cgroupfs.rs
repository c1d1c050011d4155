//! `/sys/fs/cgroup`: the sandbox's own control groups, to read.

use std::io;
use std::path::Path;

use crate::spec::Joined;

use super::fault::{Result, To as _};
use super::mounting::{HARMLESS, attach, filesystem, view};
use super::new_root::NewRoot;
use super::sys::{Attributes, set_attributes};

const PLACE: &str = "/sys/fs/cgroup";

/// Shows the groups and nothing around them.
pub(super) fn mount(root: &NewRoot, groups: &[Joined]) -> Result<()> {
    show(root, groups).to(|| format!("mount {PLACE}"))
}

fn show(root: &NewRoot, groups: &[Joined]) -> io::Result<()> {
    let place = Path::new(PLACE);
    // A kernel without control groups has no such place.
    let Some(onto) = root.existing(place)? else { return Ok(()) };
    let plain = Attributes { read_only: true, harmless: true, ..Attributes::default() };
    if let [Joined { dir, name: None }] = groups {
        return attach(view(dir, plain)?, onto);
    }
    attach(filesystem("tmpfs", &[("mode", "0755".to_owned())], HARMLESS)?, onto)?;
    for Joined { dir, name } in groups {
        let Some(name) = name else { continue };
        attach(view(dir, plain)?, root.directory(&place.join(name), 0o755)?)?;
    }
    let Some(whole) = root.existing(place)? else { return Ok(()) };
    set_attributes(&whole, plain)
}

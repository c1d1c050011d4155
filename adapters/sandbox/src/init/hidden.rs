//! What is hidden of the machine's own directories: marks in the layer above them, as an overlay makes them itself
//! when a file is removed. So the file is not there, and nothing done inside brings it back.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;

use crate::host;

use super::fault::{Result, To as _};
use super::new_root::{make_directory, own};

/// Marks in the layer over a tree what is not to be there.
pub(super) fn hide(tree: &Path, hidden: &[PathBuf], upper: &Path, owner: Option<u32>) -> Result<()> {
    for path in hidden {
        let Ok(below) = path.strip_prefix(tree) else { continue };
        mark(tree, upper, below, owner).to(|| format!("hide {}", path.display()))?;
    }
    if tree == Path::new("/etc") {
        locked_accounts(upper, owner).to(|| "write /etc/shadow".into())?;
    }
    Ok(())
}

fn mark(tree: &Path, upper: &Path, below: &Path, owner: Option<u32>) -> io::Result<()> {
    let mut parents: Vec<&Path> =
        below.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
    parents.reverse();
    for parent in parents {
        let mode = host::mode(&tree.join(parent));
        make_directory(CWD, &upper.join(parent), mode, owner)?;
    }
    match mknodat(CWD, upper.join(below), FileType::CharacterDevice, Mode::empty(), 0) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Accounts without passwords in the place of the machine's, for programs that add users.
fn locked_accounts(upper: &Path, owner: Option<u32>) -> io::Result<()> {
    for (names, file, rest) in
        [("/etc/passwd", "shadow", "*:1:0:99999:7:::"), ("/etc/group", "gshadow", "*::")]
    {
        let Ok(text) = fs::read_to_string(names) else { continue };
        let path = upper.join(file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut made = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        let lines: String =
            text.lines().filter_map(|line| Some(format!("{}:{rest}\n", line.split_once(':')?.0))).collect();
        made.write_all(lines.as_bytes())?;
        own(&made, Path::new(""), owner)?;
    }
    Ok(())
}

//! Files of this machine: archives on their way into the container, and the log on its way to matchers.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use runspan_agent_protocol::Annotation;
use tar::EntryType;

use crate::steps::Matchers;

/// Entries of the largest archive of an action.
const MOST_ENTRIES: usize = 200_000;
/// Bytes of the largest archive of an action, unpacked.
const MOST_BYTES: u64 = 4 << 30;

/// Sends the content of the one directory at the top of an archive. What it unpacks to is the agent's care, which
/// trusts no name in it.
pub(super) fn send_action(archive: &Path, to: &mut dyn Write) -> io::Result<()> {
    let unpacked = GzDecoder::new(BufReader::new(File::open(archive)?)).take(MOST_BYTES);
    let mut from = tar::Archive::new(unpacked);
    let mut tar = tar::Builder::new(to);
    tar.follow_symlinks(false);
    for (count, entry) in from.entries()?.enumerate() {
        if count >= MOST_ENTRIES {
            return Err(io::Error::other(format!("the archive has more than {MOST_ENTRIES} entries")));
        }
        let entry = entry?;
        let name = below_top(&entry.path()?)?;
        let kind = entry.header().entry_type();
        let Some(name) = name else { continue };
        let mut header = entry.header().clone();
        header.set_uid(0);
        header.set_gid(0);
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::Directory => {
                tar.append_data(&mut header, name, entry)?;
            }
            EntryType::Symlink => {
                if let Some(target) = entry.link_name()? {
                    tar.append_link(&mut header, name, target)?;
                }
            }
            EntryType::Link => {
                if let Some(target) = entry.link_name()?
                    && let Some(target) = below_top(&target)?
                {
                    tar.append_link(&mut header, name, target)?;
                }
            }
            EntryType::XGlobalHeader => {}
            _ => {
                return Err(io::Error::other(format!(
                    "{} is neither file, directory nor link",
                    name.display()
                )));
            }
        }
    }
    tar.into_inner().map(drop)
}

/// The name without the directory at the top; nothing for that directory itself.
fn below_top(name: &Path) -> io::Result<Option<PathBuf>> {
    let mut components = name.components().filter(|component| *component != Component::CurDir);
    if components.clone().any(|component| !matches!(component, Component::Normal(_))) {
        return Err(io::Error::other(format!(
            "the archive has a name that leads out of it: {}",
            name.display()
        )));
    }
    components.next();
    let rest: PathBuf = components.collect();
    Ok((!rest.as_os_str().is_empty()).then_some(rest))
}

/// Sends one program.
pub(super) fn send_program(program: &Path, name: &str, to: &mut dyn Write) -> io::Result<()> {
    let file = File::open(program)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(file.metadata()?.len());
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut tar = tar::Builder::new(to);
    tar.append_data(&mut header, name, file)?;
    tar.into_inner().map(drop)
}

/// What matchers find in a part of the log; our own lines are no tool's.
pub(super) fn read_lines(log: &Path, begin: u64, end: u64, matchers: &Matchers) -> Vec<Annotation> {
    let open = || {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(begin))?;
        io::Result::Ok(BufReader::new(file.take(end.saturating_sub(begin))))
    };
    let Ok(log) = open() else { return Vec::new() };
    let lines = log
        .split(b'\n')
        .map_while(Result::ok)
        .map(|line| String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
        .filter(|line| !line.starts_with("[Container] "));
    matchers.find(lines)
}

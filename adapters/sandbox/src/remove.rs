//! Takes a sandbox away: its processes, control groups and directory.

use std::io;
use std::time::Duration;

use crate::state::Place;

/// Only a process stuck in the kernel takes longer to die.
const PATIENCE: Duration = Duration::from_secs(10);

/// Removes everything of an attempt; not an error when it is gone.
pub(crate) fn remove(place: &Place) -> io::Result<()> {
    let record = place.record();
    for process in [record.agent, record.first].into_iter().flatten() {
        process.kill()?;
    }
    for process in [record.agent, record.first].into_iter().flatten() {
        if !process.wait(PATIENCE)? {
            let id = process.id();
            return Err(io::Error::other(format!("process {id} does not die; see /proc/{id}/stack")));
        }
    }
    record.groups.remove()?;
    place.remove(&record)
}

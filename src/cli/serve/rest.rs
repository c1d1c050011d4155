//! A service that waits keeps no more of the program in memory than waiting takes.
//!
//! Most of what is resident then is code of jobs that are over. It is the file's own, so that dropping it costs the next
//! job a millisecond of page faults, and nothing is written anywhere.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Between two looks; one that finds nothing done since the last gives memory back.
const LOOK: Duration = Duration::from_secs(5);
/// Hundredths of a second of work that still count as waiting.
const NOTHING: u64 = 2;

/// Gives memory back whenever this process has had nothing to do for a while.
pub(super) async fn rest_while_idle() {
    let mut looks = tokio::time::interval(LOOK);
    let (mut before, mut given_back_at) = (worked(), None);
    loop {
        looks.tick().await;
        let now = worked();
        if now.saturating_sub(before) < NOTHING && given_back_at != Some(now) {
            give_back();
            given_back_at = Some(now);
        }
        before = now;
    }
}

/// What this process has worked, in the kernel's hundredths of a second.
fn worked() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    fields.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Drops the pages of this program's code and constants, which the kernel maps again when they are needed.
#[expect(unsafe_code, reason = "the call says below why it is sound")]
fn give_back() {
    let (Ok(program), Ok(maps)) = (fs::read_link("/proc/self/exe"), fs::read_to_string("/proc/self/maps"))
    else {
        return;
    };
    for (start, length) in maps.lines().filter_map(|line| unwritten(&program, line)) {
        // SAFETY: nothing was ever written to these mappings, so that their pages are those of the file, and the same
        // again when they come back.
        let _kept = unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
    }
}

/// Address and length of a mapping of this program's that nobody writes to: its code, and what begins the file.
/// Elsewhere, what can only be read was written to by the dynamic linker.
fn unwritten(program: &Path, line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (range, access, offset) = (fields.next()?, fields.next()?, fields.next()?);
    let path = fields.nth(2)?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    let is_unwritten = access == "r-xp" || access == "r--p" && offset == "00000000";
    (is_unwritten && Path::new(path) == program).then(|| (start, end.saturating_sub(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_code_is_given_back() {
        let program = Path::new("/usr/bin/runspan");
        let line =
            |access: &str, path: &str| format!("55d0c000-55d0f000 {access} 00001000 fe:00 42    {path}");
        let begins = line("r--p", "/usr/bin/runspan").replace("00001000", "00000000");
        for line in [line("r-xp", "/usr/bin/runspan"), begins] {
            assert_eq!(unwritten(program, &line), Some((0x55d0_c000, 0x3000)));
        }
        for (access, path) in [
            ("r--p", "/usr/bin/runspan"),
            ("rw-p", "/usr/bin/runspan"),
            ("r-xp", "/lib/libc.so.6"),
            ("r-xp", ""),
        ] {
            assert_eq!(unwritten(program, &line(access, path)), None);
        }
    }

    #[test]
    fn the_program_runs_on_without_its_pages() {
        // Pages of files, in the words of proc(5) shared.
        let of_files = || {
            let statm = fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').nth(2).unwrap().parse::<u64>().unwrap()
        };
        let before = of_files();
        give_back();
        let after = of_files();
        assert!(after < before, "{after} {before}");
    }
}

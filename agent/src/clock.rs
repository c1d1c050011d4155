//! The log's time stamps.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in microseconds.
pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_micros() as u64)
}

/// Appends `[Container] YYYY/MM/DD HH:MM:SS.ffffff ` for this Unix time, in UTC.
pub(crate) fn push_prefix(to: &mut Vec<u8>, unix_us: u64) {
    let (seconds, micros) = (unix_us / 1_000_000, unix_us % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    // Writing to a Vec cannot fail.
    let _ = write!(to, "[Container] {year:04}/{month:02}/{day:02} {h:02}:{m:02}:{s:02}.{micros:06} ");
}

/// Howard Hinnant's `civil_from_days`, for days since 1970 only.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + z / 146_097 * 400 + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(unix_us: u64) -> String {
        let mut text = Vec::new();
        push_prefix(&mut text, unix_us);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn prefixes_are_utc_with_microseconds() {
        // `date -u -d @N +'%Y/%m/%d %H:%M:%S'`
        assert_eq!(prefix(0), "[Container] 1970/01/01 00:00:00.000000 ");
        assert_eq!(prefix(1_767_268_800_100_000), "[Container] 2026/01/01 12:00:00.100000 ");
        assert_eq!(prefix(951_782_399_999_999), "[Container] 2000/02/28 23:59:59.999999 ");
        assert_eq!(prefix(951_782_400_000_001), "[Container] 2000/02/29 00:00:00.000001 ");
        assert_eq!(prefix(4_107_542_400_000_000), "[Container] 2100/03/01 00:00:00.000000 ");
    }
}

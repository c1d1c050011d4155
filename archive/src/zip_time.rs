//! Zip files' dates and times, which have no zone; here they are UTC.

/// As seconds since 1970.
pub(crate) fn to_unix(time: zip::DateTime) -> i64 {
    let (month, day) = (i64::from(time.month()), i64::from(time.day()));
    // Years begin in March, so that a leap day is the last of its year.
    let year = i64::from(time.year()) - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    ((days * 24 + i64::from(time.hour())) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second())
}

/// Of seconds since 1970; the nearest there is for times before 1980 and after 2107.
pub fn zip_time(unix: i64) -> zip::DateTime {
    const FIRST: i64 = 315_532_800;
    const LAST: i64 = 4_354_819_198;
    let unix = unix.clamp(FIRST, LAST);
    let (days, seconds) = (unix.div_euclid(86_400) + 719_468, unix.rem_euclid(86_400));
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let small = |value: i64| u8::try_from(value).unwrap_or(0);
    zip::DateTime::from_date_and_time(
        u16::try_from(year).unwrap_or(1980),
        small(month),
        small(day),
        small(seconds / 3600),
        small(seconds / 60 % 60),
        small(seconds % 60),
    )
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_to_two_seconds() {
        for unix in (315_532_800..4_354_819_100).step_by(7_654_321) {
            assert!((0..2).contains(&(unix - to_unix(zip_time(unix)))), "{unix}");
        }
        let leap = zip_time(951_827_696);
        assert_eq!(
            (leap.year(), leap.month(), leap.day(), leap.hour(), leap.minute()),
            (2000, 2, 29, 12, 34)
        );
    }

    #[test]
    fn times_out_of_range_are_moved_into_it() {
        assert_eq!(to_unix(zip_time(0)), 315_532_800);
        assert_eq!(zip_time(i64::MAX).year(), 2107);
    }
}

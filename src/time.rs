//! What time it is, as the core is told it.
//!
//! The core never reads a clock: whoever drives it passes a [`Now`] with each call, so a test can
//! run an hour in a millisecond. Two readings belong together, the monotonic one for deadlines and
//! the wall clock for what people read (`timestamp`, `exp`).

use std::fmt;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the process started; never goes back.
    pub mono_ms: u64,
    /// The wall clock.
    pub wall: Timestamp,
}

/// Milliseconds since the Unix epoch, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// Bytes of a timestamp's text: `2026-01-31T12:00:00.000Z`.
pub const RFC3339_BYTES: usize = 24;

/// 9999-12-31T23:59:59.999Z: beyond it the year has no four digits.
const TIMESTAMP_MAX_MS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// Whole seconds since the Unix epoch, as JWT claims count them.
    pub fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// RFC 3339 in UTC with milliseconds, always 24 bytes (protocols.md section 3).
    pub fn rfc3339(self) -> [u8; RFC3339_BYTES] {
        let ms = self.0.min(TIMESTAMP_MAX_MS);
        let (days, ms_of_day) = (ms / 86_400_000, ms % 86_400_000);
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put_digits(&mut text[0..4], year);
        put_digits(&mut text[5..7], month);
        put_digits(&mut text[8..10], day);
        put_digits(&mut text[11..13], ms_of_day / 3_600_000);
        put_digits(&mut text[14..16], ms_of_day / 60_000 % 60);
        put_digits(&mut text[17..19], ms_of_day / 1000 % 60);
        put_digits(&mut text[20..23], ms_of_day % 1000);
        text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.rfc3339()).unwrap_or_default())
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: eras of 400
/// years that begin on 1 March, so that the leap day is the last of its year.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn put_digits(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_of_known_instants() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_769_860_800_123, "2026-01-31T12:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
        }
    }
}

//! Numbers as people read them: grouped, with a unit, three significant digits.
//!
//! Units follow a no-break space, so that no line ends between a number and its unit.

use std::time::Duration;

/// Between a number and its unit.
const GAP: char = '\u{a0}';

/// An exact number: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An exact number of things: `1 topic`, `2 topics`, `3 deliveries`.
pub fn several(number: u64, thing: &str) -> String {
    let stem = thing.strip_suffix('y').filter(|_| number != 1);
    let ending = if number == 1 { "" } else { "s" };
    match stem {
        Some(stem) => format!("{}{GAP}{stem}ies", count(number)),
        None => format!("{}{GAP}{thing}{ending}", count(number)),
    }
}

/// A rough number: `950`, `12.3 k`, `4.56 M`.
pub fn rough(number: f64) -> String {
    scaled(number, &[(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")])
}

/// A rate: `12.3 k/s`.
pub fn rate(per_s: f64) -> String {
    let text = rough(per_s);
    let gap = if text.contains(GAP) { "" } else { "\u{a0}" };
    format!("{text}{gap}/s")
}

/// A time of so many microseconds: `412 µs`, `1.23 ms`, `45.6 s`.
pub fn micros(us: f64) -> String {
    scaled(us, &[(1e6, "s"), (1e3, "ms"), (1.0, "µs"), (1e-3, "ns")])
}

/// A length of time: `500 ms`, `10 s`.
pub fn span(length: Duration) -> String {
    micros(length.as_secs_f64() * 1e6)
}

/// Bytes: `712 B`, `1.93 KiB`.
pub fn bytes(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    scaled(bytes, &[(KIB * KIB * KIB, "GiB"), (KIB * KIB, "MiB"), (KIB, "KiB"), (1.0, "B")])
}

/// A share: `37 %`.
pub fn share(part: f64) -> String {
    format!("{}{GAP}%", three_digits(part * 100.0))
}

/// The largest unit that the number has one of, the smallest otherwise.
fn scaled(number: f64, units: &[(f64, &str)]) -> String {
    let smallest = units.last().copied().unwrap_or((1.0, ""));
    // What rounds to 1000 of a unit is 1 of the next: 999.6 µs are 1 ms.
    let fits = |(size, _): &&(f64, &str)| number.abs() >= size * 0.9995;
    let (size, unit) = units.iter().find(fits).copied().unwrap_or(smallest);
    let text = three_digits(number / size);
    if unit.is_empty() { text } else { format!("{text}{GAP}{unit}") }
}

/// Three significant digits; a whole number of up to three digits stays whole.
fn three_digits(number: f64) -> String {
    let size = number.abs();
    let is_whole = (number - number.round()).abs() < 1e-9;
    let decimals = if is_whole || size >= 99.95 {
        0
    } else if size >= 9.995 {
        1
    } else {
        2
    };
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With plain spaces.
    fn plain(text: impl AsRef<str>) -> String {
        text.as_ref().replace(GAP, " ")
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(plain(several(1, "topic")), "1 topic");
        assert_eq!(plain(several(2000, "topic")), "2,000 topics");
        assert_eq!(plain(several(1, "delivery")), "1 delivery");
        assert_eq!(plain(several(0, "delivery")), "0 deliveries");
    }

    #[test]
    fn rough_numbers_have_three_digits() {
        for (number, text) in [
            (0.0, "0"),
            (0.123, "0.12"),
            (1.0, "1"),
            (9.999, "10.0"),
            (99.96, "100"),
            (950.0, "950"),
            (999.9, "1.00 k"),
            (12_345.0, "12.3 k"),
            (4_560_000.0, "4.56 M"),
            (2e12, "2000 G"),
        ] {
            assert_eq!(plain(rough(number)), text, "{number}");
        }
        assert_eq!(plain(rate(12.0)), "12 /s");
        assert_eq!(plain(rate(12_345.0)), "12.3 k/s");
    }

    #[test]
    fn units_fit_the_size() {
        for (us, text) in [
            (0.0, "0 ns"),
            (0.25, "250 ns"),
            (2.345, "2.35 µs"),
            (412.0, "412 µs"),
            (999.7, "1.00 ms"),
            (1234.0, "1.23 ms"),
            (45_600_000.0, "45.6 s"),
        ] {
            assert_eq!(plain(micros(us)), text, "{us}");
        }
        assert_eq!(plain(span(Duration::from_millis(500))), "500 ms");
        assert_eq!(plain(bytes(712.0)), "712 B");
        assert_eq!(plain(bytes(1976.0)), "1.93 KiB");
        assert_eq!(plain(bytes(24.0 * 1024.0 * 1024.0 * 1024.0)), "24 GiB");
        assert_eq!(plain(share(0.374)), "37.4 %");
        assert_eq!(plain(share(1.0)), "100 %");
    }
}

//! The kinds of values in a profile: numbers in a range, times with a unit, words of a few.
//!
//! Each is a type that serde reads, knows its range and tells what is allowed when a value is
//! refused. Used by `typed.rs`; whether values go together is not judged here.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::load::scenario::Spoken;

/// The longest time in a profile.
const SPAN_MAX: Duration = Duration::from_hours(24);
/// The least and the most that a bound of latency may be.
const LATENCY_MIN: Duration = Duration::from_micros(100);
const LATENCY_MAX: Duration = Duration::from_mins(1);
/// The lowest rate, a second: a message in a quarter of an hour.
const FRACTION_MIN: f64 = 0.001;
/// The highest rate, a second.
const FRACTION_MAX: f64 = 1e9;
/// Processors that can be named: bits of the kernel's set, without a bound of ours.
const PROCESSORS_MAX: u32 = 4096;

/// A whole number between two bounds, both allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole<const MIN: u64, const MAX: u64>(pub(super) u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// It, where its bound is one of `u32`.
    pub(super) fn u32(self) -> u32 {
        const { assert!(MAX <= u32::MAX as u64) };
        self.0 as u32
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<const MIN: u64, const MAX: u64>;
        impl<const MIN: u64, const MAX: u64> Visitor<'_> for Reader<MIN, MAX> {
            type Value = Whole<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")?;
                if MAX >= 1000 { f.write_str(", as 1000 or 1k") } else { Ok(()) }
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                match u64::try_from(value) {
                    Ok(number) if (MIN..=MAX).contains(&number) => Ok(Whole(number)),
                    _ => Err(E::invalid_value(Unexpected::Signed(value), &self)),
                }
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
                match whole(value).filter(|_| value.fract() == 0.0) {
                    Some(number) if (MIN..=MAX).contains(&number) => Ok(Whole(number)),
                    _ => Err(E::invalid_value(Unexpected::Float(value), &self)),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                match scaled(text).and_then(whole) {
                    Some(number) if (MIN..=MAX).contains(&number) => Ok(Whole(number)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Reader::<MIN, MAX>)
    }
}

/// A number that has no decimals, but for what a product of decimals is off by.
#[expect(clippy::cast_sign_loss, reason = "none below 0 gets there")]
fn whole(number: f64) -> Option<u64> {
    let nearest = number.round();
    let is_whole = (number - nearest).abs() < 1e-6 && (0.0..1e15).contains(&nearest);
    is_whole.then_some(nearest as u64)
}

/// A number with `k`, `M` or `G` behind it, as `1.5k`. What has none is no text in a profile.
fn scaled(text: &str) -> Option<f64> {
    let (number, size) = [("k", 1e3), ("M", 1e6), ("G", 1e9)]
        .into_iter()
        .find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)))?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    number.parse::<f64>().ok().filter(|_| is_plain).map(|number| number * size)
}

/// A rate a second: from a thousandth, may have decimals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fraction(pub(super) f64);

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Fraction;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number from {FRACTION_MIN} to {FRACTION_MAX}")
            }

            #[expect(clippy::cast_precision_loss, reason = "out of range long before")]
            fn visit_i64<E: Error>(self, value: i64) -> Result<Fraction, E> {
                self.visit_f64(value as f64)
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Fraction, E> {
                if (FRACTION_MIN..=FRACTION_MAX).contains(&value) {
                    Ok(Fraction(value))
                } else {
                    Err(E::invalid_value(Unexpected::Float(value), &self))
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Fraction, E> {
                let refused = || E::invalid_value(Unexpected::Str(text), &self);
                scaled(text).ok_or_else(refused).and_then(|value| self.visit_f64(value))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A time, at least so many milliseconds and at most a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span<const MIN_MS: u64>(pub(super) Duration);

impl<const MIN_MS: u64> Span<MIN_MS> {
    /// It, in milliseconds.
    pub(super) fn ms(self) -> u64 {
        self.0.as_millis() as u64
    }
}

impl<'de, const MIN_MS: u64> Deserialize<'de> for Span<MIN_MS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<const MIN_MS: u64>;
        impl<const MIN_MS: u64> Visitor<'_> for Reader<MIN_MS> {
            type Value = Span<MIN_MS>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a time from {MIN_MS}ms to 24h, as 10s, 500ms or 2m")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let least = Duration::from_millis(MIN_MS);
                match duration(text) {
                    Some(span) if (least..=SPAN_MAX).contains(&span) => Ok(Span(span)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_str(Reader::<MIN_MS>)
    }
}

/// A bound of latency: from a tenth of a millisecond to a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Latency(pub(super) Duration);

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Latency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time from 100us to 60s, as 10ms or 500us")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Latency, E> {
                let fine = text.strip_suffix("us").and_then(|number| number.parse().ok());
                let span = fine.map(Duration::from_micros).or_else(|| duration(text));
                match span {
                    Some(span) if (LATENCY_MIN..=LATENCY_MAX).contains(&span) => Ok(Latency(span)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

/// A whole number and `ms`, `s`, `m` or `h`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms).map(Duration::from_millis)
}

/// Processors by number: `1`, `0,2`, `1-3,7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Processors(pub(super) Vec<u32>);

impl<'de> Deserialize<'de> for Processors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Processors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("processors by number from 0, as \"1\" or \"0,2-3\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Processors, E> {
                match processors(text) {
                    Some(list) => Ok(Processors(list)),
                    None => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

fn processors(text: &str) -> Option<Vec<u32>> {
    let number =
        |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number < PROCESSORS_MAX);
    let mut list = Vec::new();
    for part in text.split(',') {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let range = number(low)?..=number(high)?;
        if range.is_empty() {
            return None;
        }
        list.extend(range);
    }
    list.sort_unstable();
    list.dedup();
    Some(list)
}

/// A protocol that some server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Protocol(pub(super) Spoken);

impl Protocol {
    /// All of them: the floor's own words are spoken by the load alone.
    fn all() -> impl Iterator<Item = (Spoken, String)> {
        let spoken = Spoken::value_variants().iter().filter(|one| **one != Spoken::Floor);
        spoken.filter_map(|one| Some((*one, one.to_possible_value()?.get_name().to_owned())))
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Protocol;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let words: Vec<_> = Protocol::all().map(|(_, word)| word).collect();
                f.write_str(&words.join(", "))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Protocol, E> {
                let found = Protocol::all().find(|(_, word)| word == text);
                let refused = || E::invalid_value(Unexpected::Str(text), &self);
                found.map(|(spoken, _)| Protocol(spoken)).ok_or_else(refused)
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

/// A setting of the broker: `key=value`, cut at the first equals sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment(pub(super) String, pub(super) String);

impl<'de> Deserialize<'de> for Assignment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Assignment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("settings of the broker, as \"limits.window_ms=1000\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Assignment, E> {
                match text.split_once('=') {
                    Some((key, value)) => {
                        Ok(Assignment(key.trim().to_owned(), value.trim().to_owned()))
                    }
                    None => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "10", "1.5s", "-1s", "+1s", "10 s", "1d", "99999999999999999999h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn processors_are_a_list_of_ranges() {
        assert_eq!(processors("3"), Some(vec![3]));
        assert_eq!(processors("4, 0-2,1"), Some(vec![0, 1, 2, 4]));
        for text in ["", ",", "a", "2-1", "-1", "1-", "5000", "0-99999999999"] {
            assert_eq!(processors(text), None, "{text}");
        }
    }

    #[test]
    fn nobody_serves_the_floors_words() {
        let words: Vec<_> = Protocol::all().map(|(_, word)| word).collect();
        assert_eq!(
            words,
            ["topics", "events", "channels", "socketio", "nats", "mqtt", "nchan"].map(String::from)
        );
    }
}

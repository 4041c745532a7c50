//! How much a client may send: its rate limits, of messages and of bytes.
//!
//! Called by the sessions of every dialect, once for each data frame, well formed or not. What
//! finds a bucket empty is refused with the time to come back, and without one where a full bucket
//! would not hold it either; who is refused in several windows running, or sends a limit many times
//! over in one, is closed with 4429 (protocols.md section 11, "Life and limits"). A bucket holds
//! what a window allows and fills up evenly; a frame that is refused takes what is left.

use crate::close::Refusal;
use crate::limits::{RATE_BURST_FACTOR, RATE_WINDOWS_MAX};
use crate::shard::hub::Hub;
use crate::shard::policy::{Bucket, Rate};
use crate::shard::slot::Traffic;
use crate::time::Now;

const NS_PER_MS: u64 = 1_000_000;

/// Whether a data frame is within the rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Within,
    /// How it is refused.
    Over(Refusal),
    Abuse,
}

impl Hub {
    /// Counts a data frame of so many bytes, inflated, against the connection's rate limits.
    pub(super) fn admit(&mut self, now: Now, conn: u32, bytes: usize) -> Admission {
        let rate = self.policy.rate;
        if rate == Rate::default() {
            return Admission::Within;
        }
        self.slots.traffic(conn).admit(rate, now.mono_ms, bytes)
    }
}

impl Traffic {
    fn admit(&mut self, rate: Rate, mono_ms: u64, bytes: usize) -> Admission {
        let Rate { messages, bytes: bytes_rate } = rate;
        let Some(bucket) = messages.or(bytes_rate) else { return Admission::Within };
        self.enter((mono_ms / bucket.window_ms()) as u32);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.frames = self.frames.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        let waits = [
            messages.and_then(|bucket| draw(&mut self.messages_full_ns, bucket, 1, mono_ms)),
            bytes_rate.and_then(|bucket| draw(&mut self.bytes_full_ns, bucket, bytes, mono_ms)),
        ];
        let Some(wait_ns) = waits.into_iter().flatten().max() else {
            return Admission::Within;
        };
        if !std::mem::replace(&mut self.over, true) {
            self.strikes += 1;
        }
        let times_over = |bucket: Option<Bucket>, sent: u32| {
            bucket.is_some_and(|it| sent > it.amount().saturating_mul(RATE_BURST_FACTOR))
        };
        if self.strikes >= RATE_WINDOWS_MAX
            || times_over(messages, self.frames)
            || times_over(bytes_rate, self.bytes)
        {
            return Admission::Abuse;
        }
        Admission::Over(if bytes_rate.is_some_and(|bucket| bytes > bucket.amount()) {
            Refusal::OverWindow
        } else {
            Refusal::RateLimited { retry_after_ms: wait_ns.div_ceil(NS_PER_MS).max(1) }
        })
    }

    /// Begins to count anew where another window has begun.
    fn enter(&mut self, window: u32) {
        if self.window == window {
            return;
        }
        if !self.over || self.window.wrapping_add(1) != window {
            self.strikes = 0;
        }
        (self.window, self.frames, self.bytes, self.over) = (window, 0, 0, false);
    }
}

/// Takes so much out of a bucket, of which is known when it will be full (a generic cell rate
/// algorithm). Where there is less, all of it goes, and the answer is how long that much takes to
/// come, in nanoseconds, at most a window.
fn draw(full_ns: &mut u64, bucket: Bucket, amount: u32, mono_ms: u64) -> Option<u64> {
    let now_ns = mono_ms.saturating_mul(NS_PER_MS);
    let window_ns = bucket.window_ms().saturating_mul(NS_PER_MS);
    let takes_ns = bucket.takes_ns(amount);
    let empty_ns = now_ns.saturating_add(window_ns);
    let full = (*full_ns).max(now_ns).saturating_add(takes_ns);
    *full_ns = full.min(empty_ns);
    (full > empty_ns).then(|| takes_ns.min(window_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_MS: u64 = 1000;

    fn messages(amount: u32) -> Rate {
        Rate { messages: Some(Bucket::new(amount, WINDOW_MS)), bytes: None }
    }

    fn bytes(amount: u32) -> Rate {
        Rate { messages: None, bytes: Some(Bucket::new(amount, WINDOW_MS)) }
    }

    const OVER: Admission = over(250);

    const fn over(retry_after_ms: u64) -> Admission {
        Admission::Over(Refusal::RateLimited { retry_after_ms })
    }

    #[test]
    fn a_bucket_fills_evenly() {
        let (rate, mut sent) = (messages(4), Traffic::default());
        let mut at = |ms| sent.admit(rate, ms, 1);
        assert!((0..4).all(|_| at(10) == Admission::Within));
        assert_eq!(at(10), OVER);
        // What was refused took what had come since.
        assert_eq!(at(250), OVER);
        assert_eq!(at(500), Admission::Within);
        assert_eq!(at(501), OVER);
        // Full again, however long ago, and not fuller.
        assert!((0..4).all(|_| at(9000) == Admission::Within));
        assert_eq!(at(9000), OVER);
    }

    #[test]
    fn a_limit_that_does_not_divide_the_window_is_reached() {
        for amount in [1, 3, 7, 999, 100_000] {
            let (rate, mut sent) = (messages(amount), Traffic::default());
            assert!((0..amount).all(|_| sent.admit(rate, 5, 0) == Admission::Within));
            let over = sent.admit(rate, 5, 0);
            let Admission::Over(Refusal::RateLimited { retry_after_ms }) = over else {
                panic!("{over:?}")
            };
            assert!((1..=WINDOW_MS).contains(&retry_after_ms), "{retry_after_ms}");
        }
    }

    #[test]
    fn bytes_have_a_bucket_of_their_own() {
        let (rate, mut sent) = (bytes(1000), Traffic::default());
        assert_eq!(sent.admit(rate, 0, 600), Admission::Within);
        assert_eq!(sent.admit(rate, 0, 600), over(600));
        assert_eq!(sent.admit(rate, 600, 600), Admission::Within);
        // What the bucket never holds is never let through, and takes what is there.
        let (rate, mut sent) = (bytes(1000), Traffic::default());
        assert_eq!(sent.admit(rate, 0, 1001), Admission::Over(Refusal::OverWindow));
        assert_eq!(sent.admit(rate, 0, 1), over(1));
        assert_eq!(sent.admit(rate, 0, 9_000_000), Admission::Abuse);
        let both = Rate { messages: messages(1).messages, ..rate };
        let mut sent = Traffic::default();
        assert_eq!(sent.admit(both, 0, 10), Admission::Within);
        assert_eq!(sent.admit(both, 0, 0), over(WINDOW_MS));
    }

    #[test]
    fn ten_times_over_in_a_window_is_abuse() {
        let (rate, mut sent) = (messages(5), Traffic::default());
        let all: Vec<_> = (0..51).map(|_| sent.admit(rate, 0, 0)).collect();
        assert!(all[..50].iter().all(|it| *it != Admission::Abuse));
        assert_eq!(all[50], Admission::Abuse);
    }

    #[test]
    fn three_windows_running_are_abuse() {
        let twice = |sent: &mut Traffic, window: u64| {
            let admit = |sent: &mut Traffic| sent.admit(messages(1), window * WINDOW_MS, 0);
            admit(sent);
            admit(sent)
        };
        let mut sent = Traffic::default();
        let told: Vec<_> = [1, 2, 4, 5, 6].map(|window| twice(&mut sent, window)).into();
        assert!(told[..4].iter().all(|it| *it != Admission::Abuse), "{told:?}");
        assert_eq!(told[4], Admission::Abuse);
        // A window without a refusal comes between.
        let mut sent = Traffic::default();
        twice(&mut sent, 1);
        twice(&mut sent, 2);
        assert_eq!(sent.admit(messages(1), 3 * WINDOW_MS + 999, 0), Admission::Within);
        assert_ne!(twice(&mut sent, 5), Admission::Abuse);
    }
}

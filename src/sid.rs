//! The names that Engine.IO and Socket.IO give: of an engine, of a socket, of what a socket comes
//! back with (`pid`). One form for all three: the shard, a place there, and eighty random bits, in
//! twenty characters of the URL-safe base64 alphabet.
//!
//! No table is kept: who has a name knows where to look, and the random part is compared there, in
//! constant time. An engine's name and a `pid` are secrets, so `Debug` hides all of them.
//! Contract: protocols.md section 5.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

/// Bytes of the part that nobody can guess.
pub const SECRET_BYTES: usize = 10;
/// Bytes of a name.
const BYTES: usize = 5 + SECRET_BYTES;
/// Characters of a name.
pub const SID_CHARS: usize = 20;

/// One of the names. Two are compared in a time that does not depend on where they differ.
#[derive(Clone, Copy, Eq)]
pub struct Sid([u8; BYTES]);

/// The part of a name that nobody can guess.
#[derive(Clone, Copy, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

/// Where secrets come from: the system's random numbers, or a test's seed.
pub trait Secrets: Send + fmt::Debug {
    /// Fills `out` with bytes that nobody can foretell.
    fn fill(&mut self, out: &mut [u8]);
}

/// Bytes that anybody can foretell: for tests and benchmarks.
#[derive(Debug)]
pub struct NotSecret(pub u64);

impl Secrets for NotSecret {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            // The generator of Knuth; its upper bits are the good ones.
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

impl Secret {
    /// A new one.
    pub fn new(secrets: &mut dyn Secrets) -> Self {
        let mut bytes = [0; SECRET_BYTES];
        secrets.fill(&mut bytes);
        Self(bytes)
    }
}

impl Sid {
    /// The name of what has a place on a shard.
    pub fn new(shard: u8, place: u32, secret: Secret) -> Self {
        let mut bytes = [0; BYTES];
        bytes[0] = shard;
        bytes[1..5].copy_from_slice(&place.to_be_bytes());
        bytes[5..].copy_from_slice(&secret.0);
        Self(bytes)
    }

    /// Reads just what [`Sid::chars`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; BYTES];
        let is_whole = text.len() == SID_CHARS;
        let read = is_whole.then(|| URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok())??;
        (read == BYTES).then_some(Self(bytes))
    }

    /// The shard it is of; there need be none of that number.
    pub fn shard(self) -> u8 {
        self.0[0]
    }

    /// The place there; nobody need have it.
    pub fn place(self) -> u32 {
        let [_, a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }

    /// The part that tells it from the place's other tenants.
    pub fn secret(self) -> Secret {
        let mut secret = [0; SECRET_BYTES];
        secret.copy_from_slice(&self.0[5..]);
        Secret(secret)
    }

    /// The name as text, in ASCII.
    pub fn chars(self) -> [u8; SID_CHARS] {
        let mut chars = [0; SID_CHARS];
        let written = URL_SAFE_NO_PAD.encode_slice(self.0, &mut chars);
        debug_assert_eq!(written, Ok(SID_CHARS));
        chars
    }
}

impl PartialEq for Sid {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Sid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({}/{})", self.shard(), self.place())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let mut secrets = NotSecret(7);
        let secret = Secret::new(&mut secrets);
        assert_ne!(secret, Secret::new(&mut secrets));
        let sid = Sid::new(63, 0x0102_0304, secret);
        assert_eq!((sid.shard(), sid.place(), sid.secret()), (63, 0x0102_0304, secret));
        let chars = sid.chars();
        let text = std::str::from_utf8(&chars).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_eq!(Sid::parse(text), Some(sid));
        assert!(sid != Sid::new(63, 0x0102_0305, secret));
        assert_eq!(format!("{sid:?} {secret:?}"), "Sid(63/16909060) Secret");
        for text in ["", &text[1..], &format!("{text}A"), "++++++++++++++++++++", "äääääääääää"]
        {
            assert_eq!(Sid::parse(text), None, "{text}");
        }
    }
}

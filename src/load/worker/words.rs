//! Words of the server, made fit to be shown: no secret of the run, nothing that steers a terminal
//! or turns text around, no more than a line or two.
//!
//! All that a server says and that is told on goes through [`Plain::words`]: refusals, reasons,
//! troubles. Sans-io.

use crate::load::dialect::push_encoded;
use crate::load::scenario::{Credentials, Target};

/// Characters that are kept.
const CHARS_MAX: usize = 200;
/// Bytes that are looked at. A token that does not end in them is known by its beginning.
const BYTES_MAX: usize = 4 << 10;
/// Bytes of a secret's beginning that are taken for it, however it goes on.
const BEGINNING_BYTES: usize = 8;
/// What stands in a secret's place.
const HIDDEN: &str = "(hidden)";
/// What a token begins with that is signed for one connection (RFC 7515: `{"`, in Base64).
const MINTED: &[u8] = b"eyJ";

/// Makes words plain: knows the secrets of a run.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// As they are, and as they stand in a query.
    secrets: Vec<String>,
}

impl Plain {
    /// For a run against a target.
    pub(super) fn new(target: &Target) -> Self {
        let mut secrets = Vec::new();
        match &target.credentials {
            Credentials::None => {}
            Credentials::Token(secret) | Credentials::Secret { secret, .. } => {
                secrets.push(secret.clone());
            }
        }
        // Any parameter may be a token, whatever its name; what is short is none.
        let query = target.path.split_once('?').map_or("", |(_, query)| query);
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, it)| it));
        let values = values.filter(|value| value.len() >= BEGINNING_BYTES);
        secrets.extend(values.map(str::to_owned));
        for at in 0..secrets.len() {
            let mut encoded = String::new();
            push_encoded(&mut encoded, &secrets[at]);
            if encoded != secrets[at] {
                secrets.push(encoded);
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        Self { secrets }
    }

    /// The words without controls, bidirectional marks and secrets, cut.
    pub(super) fn words(&self, words: &[u8]) -> String {
        let words = String::from_utf8_lossy(&words[..words.len().min(BYTES_MAX)]);
        let words: String = words.chars().filter_map(shown).collect();
        let mut out = String::new();
        let mut rest = words.trim_end();
        while let Some(first) = rest.chars().next() {
            let secret = self.secret_bytes(rest.as_bytes());
            if secret > 0 {
                out.push_str(HIDDEN);
                // What is ASCII at least ends at a character; of what is not, the start is hidden.
                rest = &rest[rest.ceil_char_boundary(secret)..];
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out.chars().take(CHARS_MAX).collect()
    }

    /// Bytes of the secret that some words begin with; 0: none.
    fn secret_bytes(&self, words: &[u8]) -> usize {
        let known = self.secrets.iter().map(|secret| {
            let alike = secret.bytes().zip(words).take_while(|(one, other)| one == *other).count();
            if alike >= secret.len().min(BEGINNING_BYTES) { alike } else { 0 }
        });
        let known = known.max().unwrap_or(0);
        if !words.starts_with(MINTED) {
            return known;
        }
        let is_one = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        let bytes = words.iter().take_while(is_one).count();
        if bytes >= BEGINNING_BYTES { known.max(bytes) } else { known }
    }
}

/// A character as it is shown: nothing for what steers, a space for what parts lines.
fn shown(it: char) -> Option<char> {
    match it {
        '\n' | '\r' | '\t' => Some(' '),
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}' => None,
        it => (!it.is_control()).then_some(it),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::layout::tests::scenario;
    use crate::load::scenario::Interest;

    fn plain(credentials: Credentials, path: &str) -> Plain {
        let target = scenario((1, 1, 1), Interest::Exact, None).target;
        Plain::new(&Target { credentials, path: path.into(), ..target })
    }

    #[test]
    fn a_servers_words_steer_no_terminal() {
        let plain = Plain::default();
        let words = plain.words(b"no\x1b]0;x\x07\x1b[2J\xC2\x9Bway\r\nat all\n");
        assert_eq!(words, "no]0;x[2Jway  at all");
        assert_eq!(plain.words("a\u{202E}b\u{2066}c\u{2069}\u{202A}".as_bytes()), "abc");
        assert_eq!(plain.words("ä".repeat(3000).as_bytes()), "ä".repeat(200));
    }

    #[test]
    fn a_token_that_comes_back_is_not_shown() {
        let one = plain(Credentials::Token("s3cret/token+of=all".into()), "/ws");
        assert_eq!(one.words(b"401 no s3cret/token+of=all!"), "401 no (hidden)!");
        assert_eq!(one.words(b"GET /?t=s3cret%2Ftoken%2Bof%3Dall no"), "GET /?t=(hidden) no");
        // Cut by the server, by what is looked at, and with something that is not seen in between.
        assert_eq!(one.words(b"no s3cret/token..."), "no (hidden)...");
        assert_eq!(one.words("no s3cret\u{202E}/to\0ken+of=all".as_bytes()), "no (hidden)");
        let far = format!("eyJ{} s3cret/token", "a".repeat(BYTES_MAX - 12));
        assert_eq!(one.words(far.as_bytes()), "(hidden) (hidden)");
        let short = plain(Credentials::Token("k4".into()), "/");
        assert_eq!(short.words(b"k4 is k4"), "(hidden) is (hidden)");
    }

    #[test]
    fn nor_are_those_of_each_and_the_querys() {
        let credentials = Credentials::Secret { secret: "a-very-long-secret".into(), tenant: None };
        let plain = plain(credentials, "/ws?access_token=abcdefghi&v=1");
        let minted = b"bad eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJiIn0.x-_9, eyJhbGciOiJIU and eyJ 1";
        assert_eq!(plain.words(minted), "bad (hidden), (hidden) and eyJ 1");
        assert_eq!(plain.words(b"a-very-long-secret abcdefghi v=1"), "(hidden) (hidden) v=1");
    }
}

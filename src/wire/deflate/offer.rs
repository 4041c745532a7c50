//! The negotiation of permessage-deflate (RFC 7692 section 7.1): offers of a client, one answer.
//!
//! Called by the upgrade with the values of `Sec-WebSocket-Extensions`. The first offer that can be
//! kept is accepted; one with a parameter that is unknown, ill-valued or given twice is declined
//! (section 7), and so is a window of 8 bits, which zlib has not. Grammar: RFC 6455 section 9.1.

use std::borrow::Cow;

use super::{WINDOW_BITS_MAX, WINDOW_BITS_MIN};

const NAME: &str = "permessage-deflate";
const BLANKS: [char; 2] = [' ', '\t'];

/// An offer accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Bits of the window that messages to this client are deflated with.
    pub server_bits: u8,
    /// Whether the client asked for a window, and is to be told.
    answer_bits: bool,
}

impl Accepted {
    /// The value of the answer's `Sec-WebSocket-Extensions`. Neither side takes its context over;
    /// the client's window is left to the client.
    pub fn response(&self) -> String {
        let takeovers = "server_no_context_takeover; client_no_context_takeover";
        if self.answer_bits {
            format!("{NAME}; {takeovers}; server_max_window_bits={}", self.server_bits)
        } else {
            format!("{NAME}; {takeovers}")
        }
    }
}

/// The first acceptable offer in the values of `Sec-WebSocket-Extensions`, in their order. What is
/// behind an ill-formed place in a value is not looked at.
pub fn negotiate<'a>(offers: impl Iterator<Item = &'a str>) -> Option<Accepted> {
    offers.into_iter().find_map(first_acceptable)
}

fn first_acceptable(value: &str) -> Option<Accepted> {
    let mut cursor = Cursor(value);
    loop {
        // A list may have empty elements (RFC 9110 section 5.6.1.2).
        cursor.0 = cursor.0.trim_start_matches([',', ' ', '\t']);
        let mut good = cursor.token()? == NAME;
        let mut offer = Offer::default();
        while cursor.eat(';') {
            let name = cursor.token()?;
            let value = if cursor.eat('=') { Some(cursor.value()?) } else { None };
            good = good && offer.take(name, value.as_deref()).is_some();
        }
        if !cursor.0.is_empty() && !cursor.eat(',') {
            return None;
        }
        if good && offer.server_bits != Some(WINDOW_BITS_MIN - 1) {
            return Some(Accepted {
                server_bits: offer.server_bits.unwrap_or(WINDOW_BITS_MAX),
                answer_bits: offer.server_bits.is_some(),
            });
        }
    }
}

/// The parameters of one offer that have been seen.
#[derive(Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    client_max_window_bits: bool,
    server_bits: Option<u8>,
}

impl Offer {
    /// `None` if the parameter makes the offer one to decline.
    fn take(&mut self, name: &str, value: Option<&str>) -> Option<()> {
        let seen_before = match (name, value) {
            ("server_no_context_takeover", None) => {
                std::mem::replace(&mut self.server_no_context_takeover, true)
            }
            ("client_no_context_takeover", None) => {
                std::mem::replace(&mut self.client_no_context_takeover, true)
            }
            ("client_max_window_bits", value) => {
                if let Some(value) = value {
                    window_bits(value)?;
                }
                std::mem::replace(&mut self.client_max_window_bits, true)
            }
            ("server_max_window_bits", Some(value)) => {
                self.server_bits.replace(window_bits(value)?).is_some()
            }
            _ => return None,
        };
        (!seen_before).then_some(())
    }
}

/// 8 to 15, without leading zeros (RFC 7692 section 7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    let values = ["8", "9", "10", "11", "12", "13", "14", "15"];
    let at = values.iter().position(|&known| known == value)?;
    Some(8 + at as u8)
}

/// What is left of a header's value.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// Skips `wanted` and the blanks around it, if it comes next.
    fn eat(&mut self, wanted: char) -> bool {
        let Some(rest) = self.0.trim_start_matches(BLANKS).strip_prefix(wanted) else {
            return false;
        };
        self.0 = rest.trim_start_matches(BLANKS);
        true
    }

    /// A token (RFC 9110 section 5.6.2), and the blanks behind it.
    fn token(&mut self) -> Option<&'a str> {
        let end = self.0.find(|c| !is_token_char(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest.trim_start_matches(BLANKS);
        (!token.is_empty()).then_some(token)
    }

    /// A token, or a quoted string that holds one (RFC 6455 section 9.1).
    fn value(&mut self) -> Option<Cow<'a, str>> {
        let Some(quoted) = self.0.strip_prefix('"') else { return self.token().map(Cow::Borrowed) };
        let mut value = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                c => value.push(c),
            }
        }
        self.0 = chars.as_str().trim_start_matches(BLANKS);
        (!value.is_empty() && value.chars().all(is_token_char)).then_some(Cow::Owned(value))
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

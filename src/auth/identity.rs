//! Who a connection belongs to, once its token has been believed.
//!
//! An [`Identity`] is kept for as long as the connection lives, so it is small: 40 bytes and one
//! allocation that holds all of its text. It is made by `jwt` (or by whoever believes a user on
//! other grounds), read by the rules, and never changed: a new token makes a new one. An anonymous
//! user has none. Specification: protocols.md section 11, "Identity".

use std::fmt;

use thiserror::Error;

use crate::limits::{TOKEN_BYTES_MAX, TOKEN_CHANNELS_MAX, TOPIC_SEGMENTS_MAX};
use crate::topic::{Pattern, TopicBounds, TopicError};

/// What an identity is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityParts<'a> {
    /// Any text but an empty one.
    pub user_id: &'a str,
    /// Any text but an empty one.
    pub tenant: Option<&'a str>,
    /// Without control characters; empty ones are left out.
    pub roles: &'a [&'a str],
    /// Patterns that the token lets its bearer subscribe to.
    pub channels: &'a [&'a str],
    /// Seconds since the Unix epoch at which it ends, leeway not counted.
    pub expires_at_s: Option<u64>,
    /// The fingerprint of the key that its token was checked with; 0 without one.
    pub key: u32,
}

/// Why no identity can be made. The fault of whoever minted the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The user id is empty.
    #[error("the user id is empty")]
    EmptyUser,
    /// A tenant id is there and empty.
    #[error("the tenant id is empty")]
    EmptyTenant,
    /// A role with a control character.
    #[error("a role has a control character")]
    BadRole,
    /// One of `channels` is no pattern.
    #[error("one of the channels is ill formed: {0}")]
    BadChannel(TopicError),
    /// More `channels` than [`TOKEN_CHANNELS_MAX`].
    #[error("more than {TOKEN_CHANNELS_MAX} channels")]
    TooManyChannels,
    /// More text than [`TOKEN_BYTES_MAX`]; a token that was taken never has it.
    #[error("more than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
}

/// A user: id, tenant, roles, granted patterns, and when it ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// User id, tenant, roles, channels; each role and channel ends with a NUL.
    text: Box<str>,
    /// `u64::MAX`: never.
    expires_at_s: u64,
    key: u32,
    user_end: u16,
    /// Equal to `user_end` where there is no tenant.
    tenant_end: u16,
    roles_end: u16,
    user_is_segment: bool,
    tenant_is_segment: bool,
}

/// Ends each item of a list; no role or pattern holds one.
const END: char = '\0';

// The ends fit their integers: the text is checked against `TOKEN_BYTES_MAX`.
const _: () = assert!(TOKEN_BYTES_MAX <= u16::MAX as usize);

impl Identity {
    /// Checks the parts and copies them into one allocation.
    ///
    /// # Errors
    /// The first part that cannot be taken.
    pub fn new(parts: &IdentityParts<'_>, bounds: TopicBounds) -> Result<Self, IdentityError> {
        check(parts, bounds)?;
        let tenant = parts.tenant.unwrap_or_default();
        let items = [parts.roles, parts.channels];
        let list_bytes: usize = items.iter().copied().flatten().map(|item| item.len() + 1).sum();
        let bytes = parts.user_id.len() + tenant.len() + list_bytes;
        if bytes > TOKEN_BYTES_MAX {
            return Err(IdentityError::TooLong);
        }
        let mut text = String::with_capacity(bytes);
        text.push_str(parts.user_id);
        let user_end = text.len() as u16;
        text.push_str(tenant);
        let tenant_end = text.len() as u16;
        push_list(&mut text, parts.roles);
        let roles_end = text.len() as u16;
        push_list(&mut text, parts.channels);
        Ok(Self {
            text: text.into_boxed_str(),
            expires_at_s: parts.expires_at_s.unwrap_or(u64::MAX),
            key: parts.key,
            user_end,
            tenant_end,
            roles_end,
            user_is_segment: is_segment(parts.user_id),
            tenant_is_segment: is_segment(tenant),
        })
    }

    /// Whether the rules judge both alike: they differ at most in when they expire and in the key.
    pub fn may_as(&self, other: &Identity) -> bool {
        let ends = |id: &Identity| (id.user_end, id.tenant_end, id.roles_end);
        self.text == other.text && ends(self) == ends(other)
    }

    /// The user's id; never empty.
    pub fn user_id(&self) -> &str {
        &self.text[..usize::from(self.user_end)]
    }

    /// The tenant's id, where the token carries one; never empty.
    pub fn tenant(&self) -> Option<&str> {
        let tenant = &self.text[usize::from(self.user_end)..usize::from(self.tenant_end)];
        (!tenant.is_empty()).then_some(tenant)
    }

    /// The roles in the token's order.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.text[usize::from(self.tenant_end)..usize::from(self.roles_end)].split_terminator(END)
    }

    /// Whether `role` is among the roles; linear in their text.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().any(|held| held == role)
    }

    /// The patterns that the token itself grants for subscribing; each well formed.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.text[usize::from(self.roles_end)..].split_terminator(END)
    }

    /// Seconds since the Unix epoch at which the token ends, leeway not counted.
    pub fn expires_at_s(&self) -> Option<u64> {
        (self.expires_at_s != u64::MAX).then_some(self.expires_at_s)
    }

    /// Which key its token was checked with, as [`Verifier::has_key`](super::Verifier::has_key)
    /// knows it; 0 where no token stands behind it.
    pub fn key(&self) -> u32 {
        self.key
    }

    /// Bytes on the heap behind this value.
    pub fn heap_bytes(&self) -> usize {
        self.text.len()
    }

    /// The user id where it can stand as one literal segment of a topic, or as a part of one.
    pub(super) fn user_segment(&self) -> Option<&str> {
        self.user_is_segment.then(|| self.user_id())
    }

    /// The tenant id where it can stand as one literal segment of a topic, or as a part of one.
    pub(super) fn tenant_segment(&self) -> Option<&str> {
        self.tenant().filter(|_| self.tenant_is_segment)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("user_id", &self.user_id())
            .field("tenant", &self.tenant())
            .field("roles", &self.roles().collect::<Vec<_>>())
            .field("channels", &self.channels().collect::<Vec<_>>())
            .field("expires_at_s", &self.expires_at_s())
            .finish()
    }
}

fn check(parts: &IdentityParts<'_>, bounds: TopicBounds) -> Result<(), IdentityError> {
    if parts.user_id.is_empty() {
        return Err(IdentityError::EmptyUser);
    }
    if parts.tenant == Some("") {
        return Err(IdentityError::EmptyTenant);
    }
    if parts.roles.iter().any(|role| role.contains(char::is_control)) {
        return Err(IdentityError::BadRole);
    }
    if parts.channels.len() > TOKEN_CHANNELS_MAX {
        return Err(IdentityError::TooManyChannels);
    }
    // What reads them back counts on no more segments than that.
    let segments_max = bounds.segments_max.min(TOPIC_SEGMENTS_MAX);
    let bounds = TopicBounds { segments_max, ..bounds };
    for channel in parts.channels {
        Pattern::parse(channel, bounds).map_err(IdentityError::BadChannel)?;
    }
    Ok(())
}

fn push_list(text: &mut String, items: &[&str]) {
    for item in items.iter().filter(|item| !item.is_empty()) {
        text.push_str(item);
        text.push(END);
    }
}

/// Whether a text reads as itself within one segment: no dot, no wildcard, nothing that a topic
/// cannot hold.
fn is_segment(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == '.' || c == '*' || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(parts: &IdentityParts<'_>) -> Result<Identity, IdentityError> {
        Identity::new(parts, TopicBounds::default())
    }

    #[test]
    fn gives_back_what_it_was_made_of() {
        let full = IdentityParts {
            user_id: "ü42",
            tenant: Some("acme"),
            roles: &["admin", "", "ops team"],
            channels: &["news.**", "a.*"],
            expires_at_s: Some(7),
            key: 9,
        };
        let it = identity(&full).unwrap();
        assert_eq!(it.key(), 9);
        assert_eq!((it.user_id(), it.tenant(), it.expires_at_s()), ("ü42", Some("acme"), Some(7)));
        assert!(it.roles().eq(["admin", "ops team"]));
        assert!(it.channels().eq(["news.**", "a.*"]));
        assert!(it.has_role("admin") && !it.has_role("ops") && !it.has_role(""));

        let bare = identity(&IdentityParts { user_id: "42", ..Default::default() }).unwrap();
        assert_eq!((bare.user_id(), bare.tenant(), bare.expires_at_s()), ("42", None, None));
        assert_eq!((bare.roles().count(), bare.channels().count()), (0, 0));
    }

    #[test]
    fn is_small() {
        assert_eq!(size_of::<Identity>(), 40);
        assert_eq!(size_of::<Option<Identity>>(), 40);
        let plain = identity(&IdentityParts { user_id: "user-1234", ..Default::default() });
        assert_eq!(plain.unwrap().heap_bytes(), "user-1234".len());
    }

    #[test]
    fn refuses_what_is_ill_formed() {
        let fine = IdentityParts { user_id: "u", ..Default::default() };
        let long = "x".repeat(TOKEN_BYTES_MAX);
        let many = ["a"; TOKEN_CHANNELS_MAX + 1];
        for (parts, error) in [
            (IdentityParts { user_id: "", ..fine }, IdentityError::EmptyUser),
            (IdentityParts { tenant: Some(""), ..fine }, IdentityError::EmptyTenant),
            (IdentityParts { roles: &["a\0b"], ..fine }, IdentityError::BadRole),
            (
                IdentityParts { channels: &["a", "b*"], ..fine },
                IdentityError::BadChannel(TopicError::PartialWildcard),
            ),
            (
                IdentityParts { channels: &[""], ..fine },
                IdentityError::BadChannel(TopicError::Empty),
            ),
            (IdentityParts { channels: &many, ..fine }, IdentityError::TooManyChannels),
            (IdentityParts { tenant: Some(&long), ..fine }, IdentityError::TooLong),
        ] {
            assert_eq!(identity(&parts), Err(error));
        }
    }

    #[test]
    fn only_plain_ids_stand_in_a_segment() {
        for (id, plain) in
            [("42", true), ("a:b/c ü", true), ("a.b", false), ("*", false), ("a\u{85}", false)]
        {
            let parts = IdentityParts { user_id: id, tenant: Some(id), ..Default::default() };
            let it = identity(&parts).unwrap();
            assert_eq!(it.user_segment(), plain.then_some(id));
            assert_eq!(it.tenant_segment(), plain.then_some(id));
        }
    }
}

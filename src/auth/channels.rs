//! What the dialect `channels` grants by itself: its own tenant's channels and the public ones.
//!
//! No rule takes this access away; what it does not open, the endpoint's rules and the token's own
//! `channels` may. It compares whole names and never reads a wildcard: the session takes nothing
//! but topics for channels. Ids that hold a `:` would make two names one, so they do not come in.
//! Specification: protocols.md section 4, section 11 "Identity".

use super::identity::Identity;

/// Cuts the parts of a channel's name.
const CUT: char = ':';

/// Whether an identity can speak the dialect: it has a tenant, and both ids stand for themselves
/// in a channel's name.
pub fn can_connect(identity: &Identity) -> bool {
    obstacle(identity.user_id(), identity.tenant()).is_none()
}

/// Why who has these ids cannot, in words.
pub fn obstacle(user_id: &str, tenant: Option<&str>) -> Option<&'static str> {
    match tenant {
        None => Some("the token names no tenant (tenantId)"),
        Some(tenant) if tenant.contains(CUT) => Some("the tenant's id has a `:`"),
        _ if user_id.contains(CUT) => Some("the user's id has a `:`"),
        _ => None,
    }
}

/// Whether the dialect itself opens `channel`, to join and to send: `tenant:{own tenant}` or
/// anything below it, or anything below `public:`, which is all that is open to who has no
/// identity.
pub fn opens(identity: Option<&Identity>, channel: &str) -> bool {
    if below(channel, "public").is_some() {
        return true;
    }
    let Some(tenant) = identity.filter(|identity| can_connect(identity)).and_then(Identity::tenant)
    else {
        return false;
    };
    below(channel, "tenant").is_some_and(|rest| rest == tenant || below(rest, tenant).is_some())
}

/// Whether `channel` is one of the identity's own notifications,
/// `notifications:{tenant}:{user}:{type}`, which `subscribe_notifications` joins.
pub fn is_own_notification(identity: &Identity, channel: &str) -> bool {
    can_connect(identity)
        && below(channel, "notifications")
            .and_then(|rest| below(rest, identity.tenant()?))
            .and_then(|rest| below(rest, identity.user_id()))
            .is_some_and(is_notification_type)
}

/// Whether a notification type can end such a name; that it makes a topic is not asked here.
pub fn is_notification_type(text: &str) -> bool {
    !text.is_empty() && !text.contains(CUT)
}

/// What stands behind `head` and the cut, where that is anything.
fn below<'a>(name: &'a str, head: &str) -> Option<&'a str> {
    name.strip_prefix(head)?.strip_prefix(CUT).filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::identity::IdentityParts;
    use crate::topic::TopicBounds;

    #[test]
    fn what_keeps_somebody_out_is_named() {
        assert_eq!(obstacle("u", Some("acme")), None);
        for (user_id, tenant, word) in [
            ("u", None, "no tenant"),
            ("u", Some("a:b"), "tenant's id"),
            ("u:v", Some("a"), "user's"),
        ] {
            assert!(obstacle(user_id, tenant).unwrap().contains(word), "{user_id} {tenant:?}");
        }
    }

    fn identity(user_id: &str, tenant: Option<&str>) -> Identity {
        let parts = IdentityParts { user_id, tenant, ..Default::default() };
        Identity::new(&parts, TopicBounds::default()).unwrap()
    }

    #[test]
    fn a_tenant_is_wanted_and_no_colon() {
        for (user, tenant, expected) in [
            ("u", Some("acme"), true),
            ("u.*", Some("a.b *"), true),
            ("u", None, false),
            ("u:1", Some("acme"), false),
            ("u", Some("acme:x"), false),
            ("u", Some(":"), false),
        ] {
            assert_eq!(can_connect(&identity(user, tenant)), expected, "{user} {tenant:?}");
        }
    }

    #[test]
    fn the_own_tenant_and_the_public_are_open() {
        let it = identity("u", Some("acme"));
        for (channel, open) in [
            ("tenant:acme", true),
            ("tenant:acme:general", true),
            ("tenant:acme:a:b.c", true),
            ("tenant:acme:", false),
            ("tenant:acme2", false),
            ("tenant:acme2:general", false),
            ("tenant:acme.x", false),
            ("tenant:acm", false),
            ("tenant:", false),
            ("tenant", false),
            ("tenant:other:acme:x", false),
            ("xtenant:acme", false),
            ("Tenant:acme", false),
            ("general", false),
            ("notifications:acme:u:mail", false),
        ] {
            assert_eq!(opens(Some(&it), channel), open, "{channel}");
            assert!(!opens(None, channel), "{channel}");
        }
        for (channel, open) in
            [("public:x", true), ("public:x.y:z", true), ("public:", false), ("public", false)]
        {
            assert_eq!(opens(Some(&it), channel), open, "{channel}");
            assert_eq!(opens(None, channel), open, "{channel}");
        }
    }

    #[test]
    fn ids_that_are_no_segments_still_open_their_own() {
        let it = identity("u", Some("a.*"));
        assert!(opens(Some(&it), "tenant:a.*") && opens(Some(&it), "tenant:a.*:x"));
        assert!(!opens(Some(&it), "tenant:a.b") && !opens(Some(&it), "tenant:a"));
        let split = identity("u", Some("a:b"));
        assert!(!opens(Some(&split), "tenant:a:b") && !opens(Some(&split), "tenant:a:b:c"));
    }

    #[test]
    fn notifications_are_for_whom_they_name() {
        let it = identity("7", Some("acme"));
        for (channel, own) in [
            ("notifications:acme:7:mail", true),
            ("notifications:acme:7:mail.new", true),
            ("notifications:acme:7:", false),
            ("notifications:acme:7", false),
            ("notifications:acme:7:a:b", false),
            ("notifications:acme:77:mail", false),
            ("notifications:acme2:7:mail", false),
            ("notifications::acme:7:mail", false),
        ] {
            assert_eq!(is_own_notification(&it, channel), own, "{channel}");
        }
        assert!(!is_own_notification(&identity("7", None), "notifications::7:mail"));
        assert!(!is_own_notification(&identity("7:x", Some("a")), "notifications:a:7:x"));
    }
}

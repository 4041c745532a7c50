//! What the notification gateway grants by itself: a user's own notifications.
//!
//! No rule takes this access away. User ids are unique within a tenant only, so that a tenant's users
//! have names with the tenant in them; ids that hold a `:` would make two names one, so they have
//! none. Specification: protocols.md section 5.

use super::identity::Identity;

/// Cuts the parts of a name.
const CUT: char = ':';

/// The name of a user's notifications, if the user can have any; it need not be a topic.
pub fn topic(identity: &Identity) -> Option<String> {
    let user = Some(identity.user_id()).filter(|it| !it.contains(CUT))?;
    match identity.tenant() {
        None => Some(format!("user:{user}:notifications")),
        Some(tenant) if tenant.contains(CUT) => None,
        Some(tenant) => Some(format!("user:{tenant}:{user}:notifications")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::identity::IdentityParts;
    use crate::topic::TopicBounds;

    #[test]
    fn each_user_has_a_name_of_its_own() {
        let of = |user_id, tenant| {
            let parts = IdentityParts { user_id, tenant, ..Default::default() };
            topic(&Identity::new(&parts, TopicBounds::default()).unwrap())
        };
        assert_eq!(of("7", None).as_deref(), Some("user:7:notifications"));
        assert_eq!(of("7", Some("a.b")).as_deref(), Some("user:a.b:7:notifications"));
        for (user, tenant) in [("a:7", None), ("7", Some("a:b")), (":", Some("a"))] {
            assert_eq!(of(user, tenant), None, "{user} {tenant:?}");
        }
    }
}

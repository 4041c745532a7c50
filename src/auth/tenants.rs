//! Which tenants the operator lets in: a list of those allowed, a list of those put on ice.
//!
//! Asked for each token that is believed, in every dialect, and again for each connection after a
//! reload. That a dialect wants a tenant at all is not its matter (`channels` says so for its own).
//! Specification: protocols.md section 4, section 10 `[tenants]`.

use std::collections::HashSet;

use ahash::RandomState;

type Names = HashSet<Box<str>, RandomState>;

/// The lists of `[tenants]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants {
    /// `None`: all.
    allowed: Option<Names>,
    inactive: Names,
}

impl Tenants {
    /// From the two lists; `allowed` unset lets all in, an empty list none. Who stands in both
    /// is inactive.
    pub fn new(allowed: Option<&[String]>, inactive: &[String]) -> Self {
        let names = |list: &[String]| list.iter().map(|name| name.as_str().into()).collect();
        Self { allowed: allowed.map(names), inactive: names(inactive) }
    }

    /// Whether an identity with this tenant may come in. One without a tenant is not its matter.
    pub fn admits(&self, tenant: Option<&str>) -> bool {
        tenant.is_none_or(|tenant| {
            let listed = self.allowed.as_ref().is_none_or(|allowed| allowed.contains(tenant));
            listed && !self.inactive.contains(tenant)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lists_let_in_and_keep_out() {
        let (acme, none) = (list(&["acme", "idle"]), list(&[]));
        let idle = list(&["idle"]);
        for (tenants, admitted, refused) in [
            (Tenants::default(), &["acme", "idle", "x"][..], &[][..]),
            (Tenants::new(None, &idle), &["acme", "x"], &["idle"]),
            (Tenants::new(Some(&acme), &none), &["acme", "idle"], &["x", "acme2", "acm", "Acme"]),
            (Tenants::new(Some(&acme), &idle), &["acme"], &["idle", "x"]),
            (Tenants::new(Some(&none), &none), &[], &["acme", "idle", "x"]),
        ] {
            assert!(admitted.iter().all(|tenant| tenants.admits(Some(tenant))), "{tenants:?}");
            assert!(!refused.iter().any(|tenant| tenants.admits(Some(tenant))), "{tenants:?}");
            assert!(tenants.admits(None), "{tenants:?}");
        }
    }
}

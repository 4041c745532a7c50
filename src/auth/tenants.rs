//! Which tenants are let in: a list of those allowed, where there is one, and those kept out.
//!
//! Made once from settings, asked where a token is taken. Says nothing of who carries no tenant;
//! whether one is needed is the dialect's to say. Specification: protocols.md section 4.

use hashbrown::HashSet;

/// The lists of tenants.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    /// `None`: all but those kept out.
    allowed: Option<HashSet<Box<str>>>,
    inactive: HashSet<Box<str>>,
}

impl Tenants {
    /// The lists as configured; `allowed` of `None` is everybody.
    pub fn new(allowed: Option<&[String]>, inactive: &[String]) -> Self {
        let set = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        Self { allowed: allowed.map(set), inactive: set(inactive) }
    }

    /// Whether a token with this tenant is taken; one without any is.
    pub fn admits(&self, tenant: Option<&str>) -> bool {
        tenant.is_none_or(|tenant| {
            let allowed = self.allowed.as_ref().is_none_or(|allowed| allowed.contains(tenant));
            allowed && !self.inactive.contains(tenant)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_all_there_is() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all = Tenants::default();
        let some = Tenants::new(Some(&names(&["acme", "old"])), &names(&["old"]));
        let none = Tenants::new(Some(&[]), &[]);
        for (tenant, verdicts) in [
            (None, [true, true, true]),
            (Some("acme"), [true, true, false]),
            (Some("acme2"), [true, false, false]),
            (Some("old"), [true, false, false]),
        ] {
            assert_eq!([&all, &some, &none].map(|lists| lists.admits(tenant)), verdicts);
        }
    }
}

//! Names that are for somebody: what the default rules keep from others, and which configured rules
//! do not.
//!
//! Configured rules replace the defaults, these denials too. That may be meant, and seldom is:
//! whoever allows `**` has opened every tenant's channels to all. So each such rule is named when the
//! configuration is read. Specification: protocols.md sections 4 and 6.

use super::contain::Relation;
use super::template::Template;
use crate::rule::{Action, Decision, RuleSetting};
use crate::topic::Pattern;

/// Names that nobody has to do with but by the rules before and by what a dialect itself grants.
pub(super) const PROTECTED: [&str; 8] = [
    "admin.**",
    "user.**",
    "user:*",
    "user:*.**",
    "notifications:*",
    "notifications:*.**",
    "tenant:*",
    "tenant:*.**",
];

/// The first of these: for who has a role, and no id.
const OPERATORS: &str = PROTECTED[0];
const OPERATORS_ROLE: &str = "admin";

/// Which protected names each rule of a list allows, or leaves to a webhook, that no rule before it
/// denies: nothing where it binds them to their owner by a placeholder. Ill-formed rules have none.
pub fn opened(rules: &[RuleSetting]) -> Vec<Vec<&'static str>> {
    let templates: Vec<_> = rules.iter().map(|rule| Template::parse(&rule.topic).ok()).collect();
    let is_denied = |name: &str, action: Action, before: usize| {
        let mut earlier = rules.iter().zip(&templates).take(before);
        earlier.any(|(rule, template)| {
            rule.decide == Decision::Deny
                && rule.role.is_none()
                && rule.allow.contains(&action)
                && template.as_ref().is_some_and(|template| covers(template, name))
        })
    };
    let of = |at: usize| -> Vec<&'static str> {
        let (rule, Some(template)) = (&rules[at], &templates[at]) else { return Vec::new() };
        let is_opened = |name: &&'static str| {
            rule.decide != Decision::Deny
                && reaches(template, name)
                && !(*name == OPERATORS && rule.role.as_deref() == Some(OPERATORS_ROLE))
                && !rule.allow.iter().all(|action| is_denied(name, *action, at))
        };
        PROTECTED.into_iter().filter(is_opened).collect()
    };
    (0..rules.len()).map(of).collect()
}

/// Whether a rule speaks of such names, and of others' than the asker's own.
fn reaches(template: &Template, name: &str) -> bool {
    let is_own = match template.segments_before_placeholder() {
        Some(0) => true,
        Some(1) => name != OPERATORS && template.begins_with("user"),
        _ => false,
    };
    !is_own && template.may_meet(&protected(name))
}

/// Whether a rule without placeholders speaks of all of them.
fn covers(template: &Template, name: &str) -> bool {
    // A text that stands in no rule stands for any.
    let any = name.replacen(":*", ":\u{10ffff}", 1);
    let covered = |filled: super::template::Filled<'_>| {
        filled.relation(Pattern::checked(&any)) == Relation::Covered
    };
    template.fill(None).is_some_and(covered)
}

fn protected(name: &str) -> Template {
    Template::parse(name).expect("the protected names are well formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(topic: &str, role: Option<&str>, decide: Decision) -> RuleSetting {
        let (topic, role) = (topic.to_owned(), role.map(str::to_owned));
        RuleSetting { topic, allow: Action::ALL.into(), role, decide }
    }

    #[test]
    fn a_rule_is_named_with_what_it_opens() {
        for (topic, names) in [
            ("**", &PROTECTED[..]),
            ("*.x", &["admin.**", "user.**", "user:*.**", "notifications:*.**", "tenant:*.**"]),
            ("*", &["user:*", "notifications:*", "tenant:*"]),
            ("admin.log", &["admin.**"]),
            ("user:42", &["user:*"]),
            ("t*", &["tenant:*"]),
            ("tenant:acme:*.**", &["tenant:*.**"]),
            ("user.*.{userId}", &["user.**"]),
            (
                "*.{userId}",
                &["admin.**", "user.**", "user:*.**", "notifications:*.**", "tenant:*.**"],
            ),
            ("admin.{userId}", &["admin.**"]),
            ("user.{userId}.**", &[]),
            ("user.{tenantId}.{userId}.**", &[]),
            ("tenant:{tenantId}:*", &[]),
            ("{tenantId}.**", &[]),
            ("room.**", &[]),
            ("public.*", &[]),
            ("..", &[]),
        ] {
            for decide in [Decision::Allow, Decision::Webhook] {
                assert_eq!(opened(&[rule(topic, None, decide)]), [names.to_vec()], "{topic}");
            }
            assert!(opened(&[rule(topic, None, Decision::Deny)])[0].is_empty());
        }
        let of_role = |topic: &str| opened(&[rule(topic, Some("admin"), Decision::Allow)]);
        assert!(of_role("admin.**")[0].is_empty());
        assert_eq!(of_role("**"), [PROTECTED[1..].to_vec()]);
    }

    #[test]
    fn what_is_denied_before_is_not_opened() {
        let mut rules: Vec<_> =
            PROTECTED.iter().map(|name| rule(name, None, Decision::Deny)).collect();
        rules.push(rule("**", None, Decision::Allow));
        assert!(opened(&rules).iter().all(Vec::is_empty));
        // For one action, for some users, of some names, or too late.
        rules[0].allow = vec![Action::Publish];
        rules[1].role = Some("guest".into());
        rules[2].topic = "user:a*".into();
        rules.push(rules[7].clone());
        rules.remove(7);
        let last = opened(&rules).remove(7);
        assert_eq!(last, ["admin.**", "user.**", "user:*", "tenant:*.**"]);
        let whole = [rule("**", None, Decision::Deny), rule("**", None, Decision::Allow)];
        assert!(opened(&whole).iter().all(Vec::is_empty));
    }
}

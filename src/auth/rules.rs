//! What an identity may do: ordered rules, the first match decides, no match means no.
//!
//! [`Rules`] are compiled once from settings or taken from the defaults of a dialect, and shared
//! by all sessions of an endpoint. A topic is judged without an allocation; a pattern is granted
//! only if every topic that it could match would be. A webhook is not called here: the verdict
//! [`Verdict::Ask`] says that it must be. The built-in access of the `channels` dialect, which no
//! rule takes away, is `channels`' part. Specification: protocols.md section 6, section 11 "Rules".

use thiserror::Error;

use super::contain::{Plain, Relation, relation};
use super::identity::Identity;
use super::protected::PROTECTED;
use super::template::Template;
pub use super::template::TemplateError;
use crate::rule::{Action, Decision, RuleSetting};
use crate::topic::{Pattern, first_segment};

/// Why a rule cannot be compiled. The operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("rule {number} ({topic:?}): {why}")]
pub struct RuleError {
    /// Which rule, counted from 1.
    pub number: usize,
    /// Its topic as written.
    pub topic: String,
    /// What is wrong with it.
    pub why: RuleFault,
}

/// What can be wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RuleFault {
    /// Its topic.
    #[error("{0}")]
    Topic(TemplateError),
    /// It speaks of no action.
    #[error("allow is empty")]
    NoActions,
    /// `role` is there and empty.
    #[error("role is empty")]
    EmptyRole,
}

/// Whose defaults hold while no rule is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialectRules {
    /// Authenticated users may do what is not protected.
    Topics,
    /// The list of the PubSub service; everything else is denied.
    Events,
    /// The protected names for whom they are for. Beyond that nothing but the built-in access, and
    /// what a token's `channels` open.
    Channels,
    /// As [`DialectRules::Topics`].
    SocketIo,
}

/// The answer to "may they?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// Put the question, with the pattern as asked, to the webhook.
    Ask,
}

/// Rules in order, compiled.
#[derive(Debug)]
pub struct Rules {
    rules: Box<[Rule]>,
    webhook_configured: bool,
}

#[derive(Debug)]
struct Rule {
    template: Template,
    actions: u8,
    who: Who,
    decide: Decision,
}

#[derive(Debug)]
enum Who {
    Anyone,
    Authenticated,
    Role(Box<str>),
}

const ANY: &[Action] = Action::ALL;

impl Rules {
    /// Compiles configured rules, which replace all defaults.
    ///
    /// # Errors
    /// Every rule that is wrong, in order.
    pub fn compile(
        settings: &[RuleSetting],
        webhook_configured: bool,
    ) -> Result<Self, Vec<RuleError>> {
        let (mut rules, mut errors) = (Vec::with_capacity(settings.len()), Vec::new());
        for (setting, number) in settings.iter().zip(1..) {
            match Rule::compile(setting) {
                Ok(rule) => rules.push(rule),
                Err(why) => {
                    let topic = setting.topic.clone();
                    errors.push(RuleError { number, topic, why });
                }
            }
        }
        if errors.is_empty() { Ok(Self::new(rules, webhook_configured)) } else { Err(errors) }
    }

    /// The rules of a dialect while none is configured.
    pub fn defaults(dialect: DialectRules, webhook_configured: bool) -> Self {
        use Action::{History, Presence, Subscribe};
        use Decision::{Allow, Deny, Webhook};
        let mut rules = Vec::new();
        let own = [Subscribe, Presence, History];
        rules.push(Rule::own("admin.**", ANY, Who::Role("admin".into()), Allow));
        rules.push(Rule::own("user.{userId}.**", &own, Who::Authenticated, Allow));
        // What sections 4 and 5 grant beneath these names does not pass through here.
        for topic in PROTECTED {
            rules.push(Rule::own(topic, ANY, Who::Anyone, Deny));
        }
        if dialect == DialectRules::Channels {
            return Self::new(rules, webhook_configured);
        }
        rules.push(Rule::own("public.**", &[Subscribe], Who::Anyone, Allow));
        if webhook_configured || dialect == DialectRules::Events {
            rules.push(Rule::own("room.*.**", ANY, Who::Authenticated, Webhook));
        }
        if dialect != DialectRules::Events {
            rules.push(Rule::own("**", ANY, Who::Authenticated, Allow));
        }
        Self::new(rules, webhook_configured)
    }

    /// Everything to everyone, for `--dev`.
    pub fn open() -> Self {
        Self::new(vec![Rule::own("**", ANY, Who::Anyone, Decision::Allow)], false)
    }

    /// Judges one action on a topic or a pattern; `identity` is `None` for an anonymous user.
    ///
    /// Linear in the rules, and for a subscribe in the token's `channels`; no allocation on a
    /// topic. A token's `channels` stand in for any rule but one that denies.
    pub fn decide(
        &self,
        action: Action,
        pattern: Pattern<'_>,
        identity: Option<&Identity>,
    ) -> Verdict {
        let granted = action == Action::Subscribe
            && identity.is_some_and(|identity| token_grants(identity, pattern));
        let first = pattern.first_segment();
        for rule in self.rules.iter().filter(|rule| rule.template.may_begin_with(first)) {
            match (rule.decide, rule.relation(action, pattern, identity)) {
                // Where it speaks only of a part, a later rule may still grant the whole.
                (_, Relation::Disjoint) | (Decision::Allow, Relation::Overlaps) => {}
                (Decision::Allow, Relation::Covered) => return Verdict::Allow,
                // What the token grants needs no asking.
                (Decision::Webhook, Relation::Covered) if granted => return Verdict::Allow,
                (Decision::Webhook, Relation::Overlaps) if granted => {}
                (Decision::Webhook, Relation::Covered) if self.webhook_configured => {
                    return Verdict::Ask;
                }
                (Decision::Deny | Decision::Webhook, _) => return Verdict::Deny,
            }
        }
        if granted { Verdict::Allow } else { Verdict::Deny }
    }

    fn new(rules: Vec<Rule>, webhook_configured: bool) -> Self {
        Self { rules: rules.into_boxed_slice(), webhook_configured }
    }
}

impl Rule {
    fn compile(setting: &RuleSetting) -> Result<Self, RuleFault> {
        if setting.allow.is_empty() {
            return Err(RuleFault::NoActions);
        }
        let who = match setting.role.as_deref() {
            None => Who::Anyone,
            Some("") => return Err(RuleFault::EmptyRole),
            Some(role) => Who::Role(role.into()),
        };
        let template = Template::parse(&setting.topic).map_err(RuleFault::Topic)?;
        Ok(Self { template, actions: bits(&setting.allow), who, decide: setting.decide })
    }

    /// A rule of this file.
    fn own(topic: &str, actions: &[Action], who: Who, decide: Decision) -> Self {
        let template = Template::parse(topic).expect("the default rules are well formed");
        Self { template, actions: bits(actions), who, decide }
    }

    /// How what is asked lies to what the rule speaks of.
    fn relation(
        &self,
        action: Action,
        pattern: Pattern<'_>,
        identity: Option<&Identity>,
    ) -> Relation {
        if self.actions & bit(action) == 0 {
            return Relation::Disjoint;
        }
        let Some(filled) = self.template.fill(identity) else {
            return Relation::Disjoint;
        };
        let relation = filled.relation(pattern);
        // Asked last: it reads all roles, and most rules are not about this topic.
        if relation != Relation::Disjoint && self.who.includes(identity) {
            relation
        } else {
            Relation::Disjoint
        }
    }
}

impl Who {
    fn includes(&self, identity: Option<&Identity>) -> bool {
        match self {
            Who::Anyone => true,
            Who::Authenticated => identity.is_some(),
            Who::Role(role) => identity.is_some_and(|identity| identity.has_role(role)),
        }
    }
}

/// Checks a rule's topic.
///
/// # Errors
/// The first rule of the grammar that it breaks.
pub fn check_topic(text: &str) -> Result<(), TemplateError> {
    Template::parse(text).map(drop)
}

fn bit(action: Action) -> u8 {
    1 << action as u8
}

fn bits(actions: &[Action]) -> u8 {
    actions.iter().fold(0, |bits, action| bits | bit(*action))
}

/// Whether one of the token's own patterns covers what is asked.
fn token_grants(identity: &Identity, pattern: Pattern<'_>) -> bool {
    identity.channels().any(|channel| {
        let first = first_segment(channel);
        let may_cover = matches!(first, "*" | "**") || first == pattern.first_segment();
        may_cover
            && (channel == pattern.as_str()
                || relation(&Plain::new(channel), pattern) == Relation::Covered)
    })
}

#[cfg(test)]
mod lists;
#[cfg(test)]
mod tests;

//! Whole rule lists against an interpreter that reads them word by word.
//!
//! Random lists of rules (allow, deny, webhook, in any order, for actions, roles and placeholders),
//! random identities with grants of their own; globs are sets of all short words over a small
//! alphabet, and every question is asked that the alphabet can spell. Specification: protocols.md
//! section 6, section 11 "Rules".

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::*;
use crate::auth::brute::{language, relation_by_force, sequences};
use crate::auth::identity::IdentityParts;
use crate::topic::TopicBounds;

const LETTERS: [&str; 3] = ["a", "ab", "z"];
const WORD_SEGMENTS: usize = 6;
const ACTIONS: [Action; 2] = [Action::Subscribe, Action::Publish];
const ROLES: [&str; 2] = ["member", "admin"];

/// A set of words, a bit each.
type Language = Vec<u64>;

struct World {
    words: Vec<Vec<&'static str>>,
    /// What a rule may speak of, in segments.
    templates: Vec<Vec<&'static str>>,
    /// What may be asked or granted by a token, with what it matches.
    asked: Vec<(String, Language)>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let words = sequences(&LETTERS, WORD_SEGMENTS);
        let asked = sequences(&["a", "ab", "*", "**"], 3)
            .into_iter()
            .map(|segments| (segments.join("."), language(&segments, &words)))
            .collect();
        let templates = sequences(&["a", "ab", "a*", "*", "**", "{userId}", "a{tenantId}"], 3);
        World { words, templates, asked }
    })
}

/// A rule as it is configured.
#[derive(Clone, Debug)]
struct RuleDrawn {
    template: Vec<&'static str>,
    actions: Vec<Action>,
    role: Option<&'static str>,
    decide: Decision,
}

/// Who asks.
#[derive(Clone, Debug)]
struct Asker {
    user: &'static str,
    tenant: Option<&'static str>,
    roles: Vec<&'static str>,
    grants: Vec<Index>,
}

fn rule() -> impl Strategy<Value = RuleDrawn> {
    let role = prop_oneof![3 => Just(None), 1 => select(&ROLES[..]).prop_map(Some)];
    let decide = select(Decision::ALL);
    let template = select(&world().templates[..]);
    (template, subsequence(&ACTIONS[..], 1..=2), role, decide)
        .prop_map(|(template, actions, role, decide)| RuleDrawn { template, actions, role, decide })
}

fn asker() -> impl Strategy<Value = Asker> {
    let user = select(&["a", "ab", "z", "*", "a.ab", "**"][..]);
    let tenant = select(&[None, Some("b"), Some("*")][..]);
    let roles = subsequence(&ROLES[..], 0..=2);
    let grants = prop::collection::vec(any::<Index>(), 0..3);
    (user, tenant, roles, grants).prop_map(|(user, tenant, roles, grants)| Asker {
        user,
        tenant,
        roles,
        grants,
    })
}

impl Asker {
    fn identity(&self) -> Identity {
        let grants = self.grants();
        let parts = IdentityParts {
            user_id: self.user,
            tenant: self.tenant,
            roles: &self.roles,
            channels: &grants.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(),
            ..Default::default()
        };
        Identity::new(&parts, TopicBounds::default()).unwrap()
    }

    fn grants(&self) -> Vec<&'static (String, Language)> {
        self.grants.iter().map(|grant| grant.get(&world().asked)).collect()
    }
}

/// What a rule matches for somebody; `None`: it does not speak of them.
fn matched(rule: &RuleDrawn, asker: Option<&Asker>) -> Option<Language> {
    if let Some(role) = rule.role
        && !asker?.roles.contains(&role)
    {
        return None;
    }
    let literal = |id: Option<&'static str>| id.filter(|id| !id.contains(['.', '*']));
    let segments: Option<Vec<String>> = rule
        .template
        .iter()
        .map(|segment| match *segment {
            "{userId}" => literal(Some(asker?.user)).map(str::to_owned),
            "a{tenantId}" => literal(asker?.tenant).map(|tenant| format!("a{tenant}")),
            other => Some(other.to_owned()),
        })
        .collect();
    let segments = segments?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    Some(language(&segments, &world().words))
}

/// The rules that speak of an action and of somebody, with what they match.
struct Naive {
    rules: Vec<(Decision, Language)>,
    grants: Vec<Language>,
    webhook: bool,
}

impl Naive {
    fn new(rules: &[RuleDrawn], action: Action, asker: Option<&Asker>, webhook: bool) -> Self {
        let spoken = rules.iter().filter(|rule| rule.actions.contains(&action));
        let grants = asker.filter(|_| action == Action::Subscribe).map(Asker::grants);
        Self {
            rules: spoken.filter_map(|rule| Some((rule.decide, matched(rule, asker)?))).collect(),
            grants: grants.into_iter().flatten().map(|(_, language)| language.clone()).collect(),
            webhook,
        }
    }

    /// What the first rule that matches one topic says.
    fn of_word(&self, word: usize) -> Verdict {
        let has = |language: &Language| language[word / 64] >> (word % 64) & 1 == 1;
        let granted = self.grants.iter().any(has);
        let first = self.rules.iter().find(|(_, language)| has(language)).map(|rule| rule.0);
        if first == Some(Decision::Deny) {
            Verdict::Deny
        } else if granted || first == Some(Decision::Allow) {
            Verdict::Allow
        } else if first == Some(Decision::Webhook) && self.webhook {
            Verdict::Ask
        } else {
            Verdict::Deny
        }
    }

    /// The same list read for a set of topics, of which a rule or a grant counts as a whole: an
    /// allow or a grant must hold for all of it, a deny or a question for a part stands in the way.
    fn of_set(&self, asked: &Language) -> Verdict {
        let place = |language| relation_by_force(language, asked);
        let granted = self.grants.iter().any(|grant| place(grant) == Relation::Covered);
        for (decide, language) in &self.rules {
            match (decide, place(language)) {
                (_, Relation::Disjoint) | (Decision::Allow, Relation::Overlaps) => {}
                (Decision::Webhook, Relation::Overlaps) if granted => {}
                (Decision::Allow, Relation::Covered) => return Verdict::Allow,
                (Decision::Webhook, Relation::Covered) if granted => return Verdict::Allow,
                (Decision::Webhook, Relation::Covered) if self.webhook => return Verdict::Ask,
                (Decision::Deny | Decision::Webhook, _) => return Verdict::Deny,
            }
        }
        if granted { Verdict::Allow } else { Verdict::Deny }
    }
}

fn compiled(rules: &[RuleDrawn], webhook: bool) -> Rules {
    let settings: Vec<RuleSetting> = rules
        .iter()
        .map(|rule| RuleSetting {
            topic: rule.template.join("."),
            allow: rule.actions.clone(),
            role: rule.role.map(str::to_owned),
            decide: rule.decide,
        })
        .collect();
    Rules::compile(&settings, webhook).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn lists_say_what_the_naive_reader_says(
        rules in prop::collection::vec(rule(), 0..7),
        asker in prop::option::weighted(0.8, asker()),
        webhook in any::<bool>(),
    ) {
        let World { words, asked, .. } = world();
        let list = compiled(&rules, webhook);
        let identity = asker.as_ref().map(Asker::identity);
        for action in ACTIONS {
            let naive = Naive::new(&rules, action, asker.as_ref(), webhook);
            let decide = |text: &str| {
                let pattern = Pattern::parse(text, TopicBounds::default()).unwrap();
                list.decide(action, pattern, identity.as_ref())
            };
            let verdicts: Vec<Verdict> = (0..words.len()).map(|at| naive.of_word(at)).collect();
            for (word, verdict) in words.iter().zip(&verdicts) {
                prop_assert_eq!(decide(&word.join(".")), *verdict, "{:?} {:?}", action, word);
            }
            for (text, language) in asked {
                let verdict = decide(text);
                prop_assert_eq!(verdict, naive.of_set(language), "{:?} {}", action, text);
                // Whatever the reading of sets: a pattern opens no topic that is not open itself.
                let matched = (0..words.len()).filter(|at| language[at / 64] >> (at % 64) & 1 == 1);
                for at in matched {
                    let open = match verdict {
                        Verdict::Allow => verdicts[at] == Verdict::Allow,
                        Verdict::Ask => verdicts[at] != Verdict::Deny,
                        Verdict::Deny => true,
                    };
                    prop_assert!(open, "{:?} {} opens {:?}", action, text, words[at]);
                }
            }
        }
    }
}

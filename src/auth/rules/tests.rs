//! The rules as protocols.md sections 6 and 11 spell them, case by case.

use super::*;
use crate::auth::identity::IdentityParts;
use crate::topic::TopicBounds;
use Action::{History, Presence, Publish, Subscribe};
use Verdict::{Allow, Ask, Deny};

fn user(parts: &IdentityParts<'_>) -> Identity {
    Identity::new(parts, TopicBounds::default()).unwrap()
}

fn plain(user_id: &str) -> Identity {
    user(&IdentityParts { user_id, tenant: Some("acme"), ..Default::default() })
}

fn admin() -> Identity {
    user(&IdentityParts { user_id: "1", roles: &["admin"], ..Default::default() })
}

fn bearer(channels: &[&str]) -> Identity {
    user(&IdentityParts { user_id: "42", channels, ..Default::default() })
}

fn verdict(rules: &Rules, action: Action, text: &str, identity: Option<&Identity>) -> Verdict {
    rules.decide(action, Pattern::parse(text, TopicBounds::default()).unwrap(), identity)
}

fn setting(topic: &str, allow: &[Action], decide: Decision) -> RuleSetting {
    RuleSetting { topic: topic.into(), allow: allow.into(), role: None, decide }
}

fn compile(settings: &[(&str, Decision)]) -> Rules {
    let settings: Vec<_> =
        settings.iter().map(|(topic, decide)| setting(topic, Action::ALL, *decide)).collect();
    Rules::compile(&settings, true).unwrap()
}

const EVERY_DIALECT: [DialectRules; 4] =
    [DialectRules::Topics, DialectRules::Events, DialectRules::Channels, DialectRules::SocketIo];

#[test]
fn admin_names_are_for_admins() {
    for dialect in EVERY_DIALECT {
        let rules = Rules::defaults(dialect, true);
        for &action in Action::ALL {
            for name in ["admin.x", "admin.a.b.c"] {
                assert_eq!(verdict(&rules, action, name, Some(&admin())), Allow);
                assert_eq!(verdict(&rules, action, name, Some(&plain("42"))), Deny);
                assert_eq!(verdict(&rules, action, name, None), Deny);
            }
        }
        assert_eq!(verdict(&rules, Subscribe, "admin.**", Some(&admin())), Allow);
        assert_eq!(verdict(&rules, Subscribe, "admin.x", Some(&bearer(&["admin.**"]))), Deny);
    }
}

#[test]
fn user_names_are_for_their_owner() {
    for dialect in EVERY_DIALECT {
        let rules = Rules::defaults(dialect, true);
        let owner = plain("42");
        for action in [Subscribe, Presence, History] {
            assert_eq!(verdict(&rules, action, "user.42.mail", Some(&owner)), Allow);
            assert_eq!(verdict(&rules, action, "user.42.a.b", Some(&owner)), Allow);
        }
        assert_eq!(verdict(&rules, Publish, "user.42.mail", Some(&owner)), Deny);
        for other in [Some(&plain("4")), Some(&admin()), Some(&bearer(&["user.7.**"])), None] {
            for &action in Action::ALL {
                assert_eq!(verdict(&rules, action, "user.7.mail", other), Deny);
            }
        }
        for granted in ["user.42.*", "user.42.**", "user.42.*.x"] {
            assert_eq!(verdict(&rules, Subscribe, granted, Some(&owner)), Allow, "{granted}");
        }
        for refused in ["user.*", "**", "user.*.notifications", "*.42.x", "user.**", "*.*.*"] {
            assert_eq!(verdict(&rules, Subscribe, refused, Some(&owner)), Deny, "{refused}");
        }
    }
}

#[test]
fn an_id_that_is_no_segment_opens_nothing() {
    let rules = Rules::defaults(DialectRules::Topics, false);
    for id in ["*", "**", "7.mail", "7\u{0}", "a.**"] {
        let identity = plain(id);
        for asked in ["user.7.mail", "user.*.mail", "user.**", "user.7.**"] {
            assert_eq!(verdict(&rules, Subscribe, asked, Some(&identity)), Deny, "{id:?} {asked}");
        }
    }
}

#[test]
fn colon_names_are_protected() {
    for dialect in EVERY_DIALECT {
        let rules = Rules::defaults(dialect, true);
        for name in [
            "user:42:notifications",
            "user:acme:42:notifications",
            "user:42",
            "user:",
            "user:1.x.y",
            "notifications:acme:42:mail",
            "tenant:acme:general",
            "tenant:acme.x",
        ] {
            for identity in [Some(&plain("42")), Some(&admin()), Some(&bearer(&[name])), None] {
                for &action in Action::ALL {
                    assert_eq!(verdict(&rules, action, name, identity), Deny, "{name}");
                }
            }
        }
    }
    let rules = Rules::defaults(DialectRules::Topics, false);
    for name in ["users:42", "tenants", "user", "x.user:42"] {
        assert_eq!(verdict(&rules, Publish, name, Some(&plain("42"))), Allow, "{name}");
    }
    for wide in ["*", "*.x", "**.x", "**"] {
        assert_eq!(verdict(&rules, Subscribe, wide, Some(&admin())), Deny, "{wide}");
    }
}

#[test]
fn anonymous_users_hear_what_is_public() {
    for dialect in EVERY_DIALECT.into_iter().filter(|it| *it != DialectRules::Channels) {
        for webhook in [false, true] {
            let rules = Rules::defaults(dialect, webhook);
            assert_eq!(verdict(&rules, Subscribe, "public.news", None), Allow);
            assert_eq!(verdict(&rules, Subscribe, "public.*.x", None), Allow);
            for (action, name) in [
                (Publish, "public.news"),
                (Presence, "public.news"),
                (History, "public.news"),
                (Subscribe, "public"),
                (Subscribe, "room.1.chat"),
                (Subscribe, "other"),
                (Subscribe, "*.news"),
                (Subscribe, "**"),
            ] {
                assert_eq!(verdict(&rules, action, name, None), Deny, "{action:?} {name}");
            }
        }
    }
}

#[test]
fn the_rest_depends_on_the_dialect_and_the_webhook() {
    use DialectRules::{Events, SocketIo, Topics};
    let it = plain("42");
    for (dialect, webhook, room, rest) in [
        (Topics, false, Allow, Allow),
        (Topics, true, Ask, Allow),
        (SocketIo, false, Allow, Allow),
        (SocketIo, true, Ask, Allow),
        (Events, false, Deny, Deny),
        (Events, true, Ask, Deny),
    ] {
        let rules = Rules::defaults(dialect, webhook);
        for &action in Action::ALL {
            assert_eq!(verdict(&rules, action, "room.1.chat", Some(&it)), room);
            for name in ["messages.user.7", "general", "room:1", "Zimmer 1"] {
                assert_eq!(verdict(&rules, action, name, Some(&it)), rest, "{name}");
                let of_nobody = verdict(&rules, action, name, None);
                assert_eq!(of_nobody, Deny, "{name}");
            }
        }
        assert_eq!(verdict(&rules, Subscribe, "room.1.*", Some(&it)), room);
        assert_eq!(verdict(&rules, Subscribe, "messages.**", Some(&it)), rest);
        assert_eq!(verdict(&rules, Subscribe, "room.*", Some(&it)), rest);
    }
}

#[test]
fn the_first_match_decides() {
    use Decision as D;
    let rules = compile(&[("a.secret", D::Deny), ("a.asked", D::Webhook), ("a.*", D::Allow)]);
    let it = plain("42");
    for (asked, expected) in [
        ("a.secret", Deny),
        ("a.asked", Ask),
        ("a.b", Allow),
        ("b", Deny),
        ("a.b.c", Deny),
        ("a.*", Deny),
    ] {
        assert_eq!(verdict(&rules, Subscribe, asked, Some(&it)), expected, "{asked}");
    }
}

#[test]
fn a_pattern_is_granted_as_a_whole() {
    use Decision as D;
    let it = plain("42");
    for (rules, asked, expected) in [
        // An allow rule for a part does not stand in the way of one for the whole.
        (&[("a.b", D::Allow), ("a.**", D::Allow)][..], "a.**", Allow),
        (&[("a.b", D::Allow)], "a.*", Deny),
        (&[("a.b", D::Webhook), ("a.**", D::Allow)], "a.**", Deny),
        (&[("a.b", D::Allow), ("a.**", D::Webhook)], "a.**", Ask),
        (&[("a.**", D::Allow), ("a.b", D::Deny)], "a.**", Allow),
        (&[("z.**", D::Deny), ("a.**", D::Allow)], "a.**", Allow),
        (&[("*.z", D::Deny), ("a.**", D::Allow)], "a.**", Deny),
        (&[("*.z", D::Deny), ("a.**", D::Allow)], "a.*.*", Allow),
        (&[("**.z.**", D::Deny), ("**", D::Allow)], "a.*", Allow),
        (&[("**.z.**", D::Deny), ("**", D::Allow)], "a.*.b", Deny),
    ] {
        assert_eq!(verdict(&compile(rules), Subscribe, asked, Some(&it)), expected, "{rules:?}");
    }
}

#[test]
fn rules_speak_of_actions_roles_and_tenants() {
    let mut member = setting("club.{tenantId}.**", &[Subscribe, History], Decision::Allow);
    member.role = Some("member".into());
    let open = setting("tenant:{tenantId}:*", &[Publish], Decision::Allow);
    let rules = Rules::compile(&[member, open], false).unwrap();
    let parts =
        IdentityParts { user_id: "1", tenant: Some("acme"), roles: &["member"], ..<_>::default() };
    let it = user(&parts);
    let homeless = user(&IdentityParts { tenant: None, ..parts });
    let stranger = user(&IdentityParts { roles: &["guest"], ..parts });
    for (action, name, identity, expected) in [
        (Subscribe, "club.acme.x", Some(&it), Allow),
        (History, "club.acme.x", Some(&it), Allow),
        (Publish, "club.acme.x", Some(&it), Deny),
        (Subscribe, "club.acme2.x", Some(&it), Deny),
        (Subscribe, "club.acme.x", Some(&homeless), Deny),
        (Subscribe, "club.acme.x", Some(&stranger), Deny),
        (Subscribe, "club.acme.x", None, Deny),
        (Publish, "tenant:acme:general", Some(&it), Allow),
        (Publish, "tenant:acme2:general", Some(&it), Deny),
        (Publish, "tenant:acme", Some(&it), Deny),
        (Subscribe, "tenant:acme:general", Some(&it), Deny),
    ] {
        assert_eq!(verdict(&rules, action, name, identity), expected, "{action:?} {name}");
    }
}

#[test]
fn a_token_grants_what_no_rule_denies() {
    use Decision as D;
    let it = bearer(&["news.**", "**.open", "a.*.c"]);
    let rules = compile(&[("news.secret.**", D::Deny), ("news.asked", D::Webhook)]);
    for (action, asked, expected) in [
        (Subscribe, "news.x", Allow),
        (Subscribe, "news.x.**", Allow),
        (Subscribe, "news.secret.x", Deny),
        (Subscribe, "news.**", Deny),
        (Subscribe, "news.*", Allow),
        (Subscribe, "news.asked", Allow),
        (Subscribe, "*.x", Deny),
        (Subscribe, "a.b.c", Allow),
        (Subscribe, "a.**", Deny),
        (Subscribe, "q.open", Allow),
        (Subscribe, "open", Deny),
        (Publish, "news.x", Deny),
        (Presence, "news.x", Deny),
        (History, "news.x", Deny),
    ] {
        assert_eq!(verdict(&rules, action, asked, Some(&it)), expected, "{action:?} {asked}");
    }
    let events = Rules::defaults(DialectRules::Events, false);
    assert_eq!(verdict(&events, Subscribe, "news.x", Some(&it)), Allow);
}

#[test]
fn a_webhook_rule_without_a_webhook_denies() {
    let rules = Rules::compile(&[setting("**", &[Subscribe], Decision::Webhook)], false).unwrap();
    assert_eq!(verdict(&rules, Subscribe, "a", Some(&plain("42"))), Deny);
    assert_eq!(verdict(&rules, Subscribe, "a", Some(&bearer(&["a"]))), Allow);
}

#[test]
fn open_rules_allow_everyone_everything() {
    for &action in Action::ALL {
        for asked in ["**", "admin.x", "user:1", "*.x"] {
            assert_eq!(verdict(&Rules::open(), action, asked, None), Allow);
        }
    }
}

#[test]
fn every_wrong_rule_is_told() {
    let wrong = [
        setting("a..b", &[Subscribe], Decision::Allow),
        setting("a", &[Subscribe], Decision::Allow),
        setting("b", &[], Decision::Deny),
        RuleSetting { role: Some(String::new()), ..setting("c", &[Publish], Decision::Allow) },
        setting("{user}", &[Publish], Decision::Allow),
    ];
    let told: Vec<String> =
        Rules::compile(&wrong, true).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "rule 1 (\"a..b\"): topic has an empty segment",
            "rule 3 (\"b\"): allow is empty",
            "rule 4 (\"c\"): role is empty",
            "rule 5 (\"{user}\"): a placeholder is {userId} or {tenantId}, nothing else",
        ]
    );
}

#[test]
fn channels_open_by_token_alone() {
    for webhook in [false, true] {
        let rules = Rules::defaults(DialectRules::Channels, webhook);
        for &action in Action::ALL {
            for name in ["general", "public.news", "public:x", "room.1.chat", "user.42.mail"] {
                for identity in [None, Some(&plain("43")), Some(&admin())] {
                    assert_eq!(verdict(&rules, action, name, identity), Deny, "{name}");
                }
            }
        }
        let it = bearer(&["general", "news.**", "public:x", "**"]);
        for name in ["general", "news.x", "public:x", "room.1.chat", "public.news"] {
            assert_eq!(verdict(&rules, Subscribe, name, Some(&it)), Allow, "{name}");
            assert_eq!(verdict(&rules, Publish, name, Some(&it)), Deny, "{name}");
        }
        for name in ["admin.x", "user.43.x", "user:42", "notifications:a:42:x", "tenant:a:x"] {
            assert_eq!(verdict(&rules, Subscribe, name, Some(&it)), Deny, "{name}");
        }
    }
}

//! Containment and overlap against brute force: every pattern of a few segments, every short word.

use proptest::prelude::*;

use super::*;
use crate::auth::brute::{language, relation_by_force, sequences};
use crate::auth::template::Template;
use crate::topic::TopicBounds;

fn pattern(text: &str) -> Pattern<'_> {
    Pattern::parse(text, TopicBounds::default()).unwrap()
}

#[test]
fn patterns_agree_with_brute_force() {
    let words = sequences(&["a", "b", "z"], 7);
    let patterns = sequences(&["a", "b", "*", "**"], 4);
    let texts: Vec<String> = patterns.iter().map(|segments| segments.join(".")).collect();
    let languages: Vec<_> = patterns.iter().map(|segments| language(segments, &words)).collect();
    for (glob_text, glob_language) in texts.iter().zip(&languages) {
        let glob = Plain::new(glob_text);
        for (asked_text, asked_language) in texts.iter().zip(&languages) {
            assert_eq!(
                relation(&glob, pattern(asked_text)),
                relation_by_force(glob_language, asked_language),
                "{asked_text} against {glob_text}"
            );
        }
    }
}

#[test]
fn open_segments_agree_with_brute_force() {
    let words = sequences(&["a", "ab", "b", "z"], 6);
    let asked: Vec<_> = sequences(&["a", "ab", "*", "**"], 3)
        .into_iter()
        .map(|segments| (segments.join("."), language(&segments, &words)))
        .collect();
    for segments in sequences(&["ab", "a*", "*", "**"], 3) {
        let template = Template::parse(&segments.join(".")).unwrap();
        let glob = template.fill(None).unwrap();
        let glob_language = language(&segments, &words);
        for (asked_text, asked_language) in &asked {
            assert_eq!(
                relation(&glob, pattern(asked_text)),
                relation_by_force(&glob_language, asked_language),
                "{asked_text} against {segments:?}"
            );
        }
    }
}

#[test]
fn the_longest_patterns_are_exact_where_they_are_usual() {
    let deep = ["*"; TOPIC_SEGMENTS_MAX].join(".");
    let star_tail = ["**"; TOPIC_SEGMENTS_MAX].join(".");
    assert_eq!(relation(&Plain::new(&deep), pattern(&deep)), Relation::Covered);
    assert_eq!(relation(&Plain::new("**"), pattern(&star_tail)), Relation::Covered);
    assert_eq!(relation(&Plain::new(&star_tail), pattern("**")), Relation::Overlaps);
    assert_eq!(relation(&Plain::new(&deep), pattern("a.b")), Relation::Disjoint);
}

#[test]
fn hard_patterns_are_answered() {
    // How far back each `a` lies is remembered in the states.
    let memory = format!("**.a{}", ".*".repeat(TOPIC_SEGMENTS_MAX - 2));
    let asked = ["**", "a"].repeat(TOPIC_SEGMENTS_MAX / 2).join(".");
    assert_eq!(relation(&Plain::new(&memory), pattern(&asked)), Relation::Overlaps);
    assert_eq!(relation(&Plain::new(&asked), pattern(&memory)), Relation::Overlaps);
    // As many smallest sets as the glob has segments.
    let staircase = format!("{}**", "*.".repeat(TOPIC_SEGMENTS_MAX - 2));
    let asked = ["**"; TOPIC_SEGMENTS_MAX].join(".");
    assert_eq!(relation(&Plain::new(&staircase), pattern(&asked)), Relation::Covered);
}

#[test]
fn the_frontier_keeps_the_smallest_and_is_bounded() {
    let mut frontier = Frontier::new();
    for (states, held) in [(0b0111, 1), (0b1011, 2), (0b0011, 1), (0b0100, 2)] {
        assert!(keep_smallest(&mut frontier, states));
        assert_eq!(frontier.len(), held);
    }
    frontier.clear();
    assert!((0..COVER_FRONTIER_MAX).all(|bit| keep_smallest(&mut frontier, 1 << bit)));
    assert!(!keep_smallest(&mut frontier, 1 << COVER_FRONTIER_MAX));
}

fn segments(longest: usize) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "**"]), 1..=longest)
}

proptest! {
    /// Long patterns, where a search may give up: what it grants must still hold for any word.
    #[test]
    fn never_wrong_on_the_side_of_yes(
        glob in segments(TOPIC_SEGMENTS_MAX),
        asked in segments(TOPIC_SEGMENTS_MAX),
        fill in prop::collection::vec(prop::sample::select(vec!["a", "b", "z"]), 64),
        repeat in prop::collection::vec(1..4_usize, TOPIC_SEGMENTS_MAX),
    ) {
        // One topic that `asked` matches.
        let mut letters = fill.iter().cycle();
        let word: Vec<&str> = asked
            .iter()
            .zip(&repeat)
            .flat_map(|(&segment, &times)| match segment {
                "*" => letters.by_ref().take(1).copied().collect::<Vec<_>>(),
                "**" => letters.by_ref().take(times).copied().collect(),
                text => vec![text],
            })
            .collect();
        let (glob_text, asked_text, word_text) = (glob.join("."), asked.join("."), word.join("."));
        let plain = Plain::new(&glob_text);
        let unbounded = TopicBounds { bytes_max: usize::MAX, segments_max: usize::MAX };
        let topic = Pattern::parse(&word_text, unbounded).unwrap();
        let matched = relation(&plain, topic) == Relation::Covered;
        match relation(&plain, pattern(&asked_text)) {
            Relation::Disjoint => prop_assert!(!matched),
            Relation::Covered => prop_assert!(matched),
            Relation::Overlaps => {}
        }
    }
}

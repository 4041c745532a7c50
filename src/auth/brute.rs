//! Globs by brute force, for tests: a match by its definition, languages as sets of short words.
//! Nothing here is clever, so that what is can be held against it.

use super::contain::Relation;

/// The definition of a match, without any cleverness.
fn matches_by_definition(glob: &[&str], word: &[&str]) -> bool {
    match (glob, word) {
        ([], []) => true,
        ([], _) | (_, []) => false,
        (["**", rest @ ..], [_, behind @ ..]) => {
            matches_by_definition(rest, behind) || matches_by_definition(glob, behind)
        }
        ([first, rest @ ..], [segment, behind @ ..]) => {
            let takes = match first.strip_suffix('*') {
                Some(prefix) => segment.starts_with(prefix),
                None => first == segment,
            };
            takes && matches_by_definition(rest, behind)
        }
    }
}

/// Every sequence of 1 to `longest` members of `alphabet`.
pub(super) fn sequences<'a>(alphabet: &[&'a str], longest: usize) -> Vec<Vec<&'a str>> {
    let mut all: Vec<Vec<&str>> = alphabet.iter().map(|&letter| vec![letter]).collect();
    let mut shorter = 0;
    while all[shorter].len() < longest {
        for &letter in alphabet {
            let mut longer = all[shorter].clone();
            longer.push(letter);
            all.push(longer);
        }
        shorter += 1;
    }
    all
}

/// Which of `words` a glob matches, a bit each.
pub(super) fn language(glob: &[&str], words: &[Vec<&str>]) -> Vec<u64> {
    let mut bits = vec![0; words.len().div_ceil(64)];
    for (at, word) in words.iter().enumerate() {
        bits[at / 64] |= u64::from(matches_by_definition(glob, word)) << (at % 64);
    }
    bits
}

/// How two languages of the same words lie to each other.
pub(super) fn relation_by_force(glob: &[u64], asked: &[u64]) -> Relation {
    let both = || glob.iter().zip(asked);
    if both().all(|(glob, asked)| glob & asked == 0) {
        Relation::Disjoint
    } else if both().all(|(glob, asked)| asked & !glob == 0) {
        Relation::Covered
    } else {
        Relation::Overlaps
    }
}

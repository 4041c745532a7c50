use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Two slots each.
const SLOTS: u32 = 2;
const CONNECTIONS: u32 = 3;

/// What happens to a connection.
#[derive(Clone, Debug)]
enum Step {
    Join(Option<[u32; SLOTS as usize]>),
    /// So many, from this number on.
    Hear {
        slot: u32,
        number: u32,
        count: u32,
    },
    Leave,
    Withhold,
}

/// The same as the ledger, by remembering every message.
#[derive(Default)]
struct Plain {
    present: BTreeMap<u32, Stay>,
    totals: Account,
}

#[derive(Default)]
struct Stay {
    due: Option<[u32; SLOTS as usize]>,
    is_withheld: bool,
    heard: [BTreeSet<u32>; SLOTS as usize],
    first: [Option<u32>; SLOTS as usize],
}

impl Stay {
    /// Behind the last that came.
    fn end(&self, slot: usize) -> u32 {
        self.heard[slot].last().map_or(0, |last| last + 1)
    }

    /// Not come of what is due up to (without) an end.
    fn lacks(&self, slot: usize, end: u32) -> u64 {
        let start = match (self.due, self.first[slot]) {
            (None, _) => 0,
            (Some(due), first) if due[slot] == UNKNOWN => match first {
                Some(first) => first,
                None => return 0,
            },
            (Some(due), first) => due[slot].min(first.unwrap_or(u32::MAX)),
        };
        (start..end.max(start)).filter(|number| !self.heard[slot].contains(number)).count() as u64
    }
}

impl Plain {
    fn step(&mut self, connection: u32, step: &Step) -> Vec<Verdict> {
        match *step {
            Step::Join(due) => {
                self.leave(connection);
                self.present.insert(connection, Stay { due, ..Stay::default() });
            }
            Step::Leave => self.leave(connection),
            Step::Withhold => {
                self.present.entry(connection).and_modify(|stay| stay.is_withheld = true);
            }
            Step::Hear { slot, number, count } => {
                let numbers = number..number + count;
                return numbers.map(|number| self.hear(connection, slot, number)).collect();
            }
        }
        Vec::new()
    }

    fn hear(&mut self, connection: u32, slot: u32, number: u32) -> Verdict {
        let Some(stay) = self.present.get_mut(&connection) else {
            self.totals.astray += 1;
            return Verdict::Astray;
        };
        let heard = &mut stay.heard[slot as usize];
        let is_before = stay.due.is_some()
            && stay.first[slot as usize].is_some_and(|first| {
                number < first.min(stay.due.map_or(0, |due| due[slot as usize]))
            });
        stay.first[slot as usize].get_or_insert(number);
        if is_before || heard.contains(&number) {
            self.totals.duplicated += 1;
            return Verdict::Double;
        }
        self.totals.received += 1;
        let is_late = heard.last().is_some_and(|last| *last > number);
        heard.insert(number);
        if is_late {
            self.totals.out_of_order += 1;
            return Verdict::Late;
        }
        Verdict::Fresh
    }

    fn leave(&mut self, connection: u32) {
        let Some(stay) = self.present.remove(&connection) else { return };
        for slot in 0..SLOTS as usize {
            self.count(&stay, stay.lacks(slot, stay.end(slot)));
        }
    }

    fn count(&mut self, stay: &Stay, lacking: u64) {
        let total =
            if stay.is_withheld { &mut self.totals.withheld } else { &mut self.totals.lost };
        *total += lacking;
    }

    fn settle(mut self, published: [u32; SLOTS as usize]) -> Account {
        for stay in std::mem::take(&mut self.present).values() {
            for (slot, published) in published.into_iter().enumerate() {
                let (skipped, all) =
                    (stay.lacks(slot, stay.end(slot)), stay.lacks(slot, published));
                self.count(stay, skipped);
                if stay.is_withheld {
                    self.totals.withheld += all - skipped;
                } else {
                    self.totals.unarrived += all - skipped;
                }
            }
        }
        let totals = self.totals;
        let came_not = totals.lost + totals.unarrived + totals.withheld;
        Account { expected: totals.received + came_not, ..totals }
    }
}

/// One message, of a connection with so many slots.
fn hear(ledger: &mut Ledger, connection: u32, slots: u32, slot: u32, number: u32) -> Verdict {
    let (verdict, judged) = ledger.hear(connection, || slots, slot, (number, 1));
    assert_eq!(judged, 1);
    verdict
}

/// The account, when nothing was refused.
fn settle(ledger: &Ledger, published: &[u32]) -> Account {
    ledger.settle(|_| published.iter().copied(), |_, _, _| 0)
}

fn steps() -> impl Strategy<Value = Vec<(u32, Step)>> {
    let due = prop_oneof![4 => 0_u32..12, 1 => Just(UNKNOWN)];
    let join = prop::option::of([due.clone(), due]).prop_map(Step::Join);
    let step = prop_oneof![
        2 => join,
        30 => (0..SLOTS, 0_u32..16, 1_u32..4)
            .prop_map(|(slot, number, count)| Step::Hear { slot, number, count }),
        1 => Just(Step::Leave),
        1 => Just(Step::Withhold),
    ];
    prop::collection::vec((0..CONNECTIONS, step), 0..120)
}

proptest! {
    /// Words and ranges tell the same as a memory of everything.
    #[test]
    fn the_same_as_remembering_everything(steps in steps(), more in 0_u32..4) {
        let mut ledger = Ledger::new(CONNECTIONS);
        let mut plain = Plain::default();
        for (connection, step) in &steps {
            let mut verdicts = Vec::new();
            match *step {
                Step::Join(due) => ledger.join(*connection, due.map(Into::into)),
                Step::Leave => ledger.leave(*connection, |_, _| 0),
                Step::Withhold => ledger.withhold(*connection),
                Step::Hear { slot, mut number, count } => {
                    while verdicts.len() < count as usize {
                        let left = count - verdicts.len() as u32;
                        let (verdict, judged) =
                            ledger.hear(*connection, || SLOTS, slot, (number, left));
                        verdicts.extend(std::iter::repeat_n(verdict, judged as usize));
                        number += judged;
                    }
                }
            }
            prop_assert_eq!(verdicts, plain.step(*connection, step), "{:?}", step);
        }
        let published = [18, 18 + more];
        let owed = |connection| ledger.owed(connection, published.into_iter(), |_, _| 0);
        let owed: u64 = (0..CONNECTIONS).map(owed).sum();
        let gone = ledger.totals.lost;
        let account = settle(&ledger, &published);
        prop_assert_eq!(account.lost + account.unarrived, gone + owed);
        prop_assert_eq!(account, plain.settle(published));
    }

    /// Whatever is lost, doubled and mixed up on the way, the counts say so.
    #[test]
    fn what_was_done_to_a_stream_is_found(
        lost in prop::collection::btree_set(0_u32..50, 0..10),
        doubled in prop::collection::btree_set(0_u32..50, 0..10),
    ) {
        let mut ledger = Ledger::new(1);
        ledger.join(0, None);
        for number in (0..50).filter(|number| !lost.contains(number)) {
            hear(&mut ledger, 0, 1, 0, number);
        }
        for number in &doubled {
            hear(&mut ledger, 0, 1, 0, *number);
        }
        let account = settle(&ledger, &[50]);
        let late = doubled.intersection(&lost).count() as u64;
        let came = (0..50).filter(|number| !lost.contains(number)).chain(doubled.iter().copied());
        let last = came.max().unwrap();
        prop_assert_eq!(account.expected, 50);
        prop_assert_eq!(account.unarrived, u64::from(49 - last));
        prop_assert_eq!(account.lost + account.unarrived, lost.len() as u64 - late);
        prop_assert_eq!(account.received, 50 - account.lost - account.unarrived);
        prop_assert_eq!(account.duplicated, doubled.len() as u64 - late);
        prop_assert!(account.out_of_order <= late);
    }
}

proptest! {
    /// However forged numbers are mixed in, the account is that of the others.
    #[test]
    fn forged_numbers_change_nothing(numbers in prop::collection::vec(0_u32..40, 0..40)) {
        let is_said = |number: &u32| *number < 20;
        let said: Vec<u32> = numbers.iter().copied().filter(is_said).collect();
        let (mut mixed, plain) = (heard(&numbers), heard(&said));
        mixed.bound(0, [20].into_iter());
        let (mixed, plain) = (settle(&mixed, &[20]), settle(&plain, &[20]));
        prop_assert_eq!((mixed.received, mixed.expected), (plain.received, plain.expected));
        prop_assert_eq!((mixed.lost, mixed.unarrived), (plain.lost, plain.unarrived));
        let forged = (numbers.len() - said.len()) as u64;
        prop_assert_eq!(mixed.astray + mixed.duplicated, forged + plain.duplicated);
    }
}

#[test]
fn a_latecomer_is_due_what_came_after_it() {
    let mut ledger = Ledger::new(2);
    ledger.join(0, Some([7, UNKNOWN].into()));
    ledger.join(1, Some([7, UNKNOWN].into()));
    // Heard from before it subscribed: that is its beginning. Of the other stream: from anywhere.
    assert_eq!(hear(&mut ledger, 0, 2, 0, 5), Verdict::Fresh);
    assert_eq!(hear(&mut ledger, 0, 2, 1, 90), Verdict::Fresh);
    // The first of it is number 9: 7 and 8 are missing.
    assert_eq!(hear(&mut ledger, 1, 2, 0, 9), Verdict::Fresh);
    let account = settle(&ledger, &[10, 100]);
    assert_eq!((account.received, account.lost, account.unarrived), (3, 2, 4 + 9));
}

#[test]
fn stamps_that_cannot_be() {
    let mut ledger = Ledger::new(1);
    assert_eq!(hear(&mut ledger, 0, 1, 0, 0), Verdict::Astray);
    ledger.join(0, None);
    assert_eq!(hear(&mut ledger, 0, 1, 0, NUMBER_MAX + 1), Verdict::Astray);
    assert_eq!(hear(&mut ledger, 0, 1, 0, u32::MAX), Verdict::Astray);
    assert_eq!(ledger.hear(0, || 1, 0, (0, u32::MAX)), (Verdict::Fresh, 1));
    ledger.join(0, None);
    assert_eq!(hear(&mut ledger, 0, 1, 0, 0), Verdict::Fresh);
    assert_eq!(settle(&ledger, &[1]).astray, 3);
}

#[test]
fn no_more_ranges_than_the_bound() {
    let mut ledger = Ledger::new(1);
    ledger.join(0, None);
    let most = GAPS_MAX as u32;
    for number in 0..most + 10 {
        hear(&mut ledger, 0, 1, 0, 2 * number + 1);
    }
    assert_eq!(ledger.gaps.len(), GAPS_MAX);
    assert_eq!(hear(&mut ledger, 0, 1, 0, 2), Verdict::Late);
    assert_eq!(hear(&mut ledger, 0, 1, 0, 2 * most + 6), Verdict::Double);
    let account = settle(&ledger, &[2 * most + 20]);
    assert_eq!(account.lost + account.unarrived, GAPS_MAX as u64 + 9);
}

#[test]
fn what_the_server_did_and_said() {
    let mut ledger = Ledger::new(1);
    ledger.join(0, None);
    hear(&mut ledger, 0, 1, 0, 0);
    ledger.withhold(0);
    ledger.closed(1013, true);
    ledger.closed(1013, false);
    ledger.closed(1006, false);
    ledger.refused(false);
    ledger.refused(true);
    ledger.refused(true);
    let account = settle(&ledger, &[9]);
    assert_eq!((account.withheld, account.lost, account.expected), (8, 0, 9));
    assert_eq!(account.closes, [(1006, 1), (1013, 2)]);
    assert_eq!(account.closes_slow, [(1013, 1)]);
    assert_eq!((account.refused, account.publishes_refused), (3, 2));
}

/// A ledger of one connection that heard these of its only stream.
fn heard(numbers: &[u32]) -> Ledger {
    let mut ledger = Ledger::new(1);
    ledger.join(0, None);
    for number in numbers {
        hear(&mut ledger, 0, 1, 0, *number);
    }
    ledger
}

#[test]
fn a_gap_is_lost_and_a_tail_has_not_arrived() {
    let account = settle(&heard(&[0, 1, 4]), &[7]);
    assert_eq!((account.expected, account.received), (7, 3));
    assert_eq!((account.lost, account.unarrived), (2, 2));
    // It had a chance to come only as long as it was there.
    let mut ledger = heard(&[0, 1, 4]);
    ledger.leave(0, |_, _| 0);
    let account = settle(&ledger, &[7]);
    assert_eq!((account.expected, account.lost, account.unarrived), (5, 2, 0));
}

#[test]
fn what_was_refused_is_due_to_nobody() {
    // 3 and 8 of them.
    let refused = |numbers: Range<u32>| [3, 8].iter().filter(|it| numbers.contains(*it)).count();
    let mut ledger = heard(&[0, 1, 4]);
    let owed = ledger.owed(0, [9].into_iter(), |_, numbers| refused(numbers) as u32);
    let account = ledger.settle(|_| [9].into_iter(), |_, _, numbers| refused(numbers) as u32);
    assert_eq!((owed, account.expected), (4, 7));
    assert_eq!((account.lost, account.unarrived), (1, 3));
    ledger.leave(0, |_, numbers| refused(numbers) as u32);
    assert_eq!(settle(&ledger, &[9]).lost, 1);
}

#[test]
fn numbers_that_nobody_said_are_astray() {
    let mut ledger = heard(&[0, 2, 5_000_000, 3, 6_000_000]);
    ledger.bound(0, [7].into_iter());
    let account = settle(&ledger, &[7]);
    assert_eq!((account.received, account.astray), (3, 2));
    assert_eq!((account.lost, account.unarrived, account.expected), (1, 3, 7));
    // It goes on where it was.
    assert_eq!(hear(&mut ledger, 0, 1, 0, 4), Verdict::Fresh);
    assert_eq!(hear(&mut ledger, 0, 1, 0, 7), Verdict::Fresh);
    ledger.bound(0, [7].into_iter());
    let account = settle(&ledger, &[7]);
    assert_eq!((account.received, account.astray, account.out_of_order), (4, 3, 1));
    assert_eq!((account.lost, account.unarrived, ledger.gaps.len()), (1, 2, 1));
}

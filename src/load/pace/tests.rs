use proptest::prelude::*;

use super::*;
use crate::load::layout::tests::scenario;
use crate::load::scenario::Interest;

/// Three connections, two topics of which each hears one, and publishers beside.
fn layout(publishers: u32) -> Layout {
    Layout::new(&scenario((3, 2, 1), Interest::Exact, Some((publishers, false))))
}

#[test]
fn a_schedule_is_even_and_keeps_every_time() {
    // 3 publishers, 300 a second: every 3.3 ms one, of each every 10 ms.
    let mut schedule = Schedule::new(1_000_000, 1_030_000, 300.0, 3, vec![0, 2]);
    assert_eq!(schedule.take(999_999), None);
    assert_eq!(schedule.take(1_000_000), Some((0, 1_000_000)));
    assert_eq!(schedule.take(1_000_000), None);
    assert_eq!(schedule.next_us(), Some(1_006_666));
    // After a stall all that was meant is there.
    let late: Vec<_> = std::iter::from_fn(|| schedule.take(2_000_000)).collect();
    let places: Vec<u32> = late.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [1, 0, 1, 0, 1]);
    assert!(late.windows(2).all(|two| two[0].1 < two[1].1), "{late:?}");
    assert!(late.last().unwrap().1 < 1_030_000);
    assert_eq!(schedule.next_us(), None);
}

#[test]
fn nobody_has_no_schedule() {
    assert_eq!(Schedule::new(0, 1000, 100.0, 4, vec![]).next_us(), None);
}

proptest! {
    /// However the publishers are shared out, the run's messages are the same.
    #[test]
    fn workers_together_make_the_rate(publishers in 1_u32..12, workers in 1_u32..4, rate in 1_u32..5000) {
        let of = |own: Vec<u32>| {
            let mut schedule =
                Schedule::new(7, 1_000_007, f64::from(rate), publishers, own.clone());
            let mut all = Vec::new();
            while let Some((place, at_us)) = schedule.take(u64::MAX) {
                all.push((at_us, own[place as usize]));
            }
            all
        };
        let share = |worker| (0..publishers).filter(move |one| one % workers == worker).collect();
        let mut shared: Vec<_> = (0..workers).flat_map(|worker| of(share(worker))).collect();
        shared.sort_unstable();
        let whole = of((0..publishers).collect());
        prop_assert!(whole.len().abs_diff(rate as usize) <= 1);
        prop_assert!(whole.is_sorted());
        let mut whole = whole;
        whole.sort_unstable();
        prop_assert_eq!(shared, whole);
    }
}

#[test]
fn a_closed_loop_sends_batches_when_there_is_room_for_them() {
    // 2 of 4 publishers; a share of 5, two at a time.
    let mut closed = Closed::new(20, 2, 2, 4);
    assert_eq!((closed.share, closed.batch()), (5, 2));
    assert_eq!(closed.take(), Some(0));
    closed.freed(0, 2);
    assert_eq!(closed.take(), Some(1));
    closed.freed(1, 2);
    assert_eq!(closed.take(), Some(0));
    closed.freed(0, 4);
    assert_eq!(closed.take(), Some(1));
    closed.freed(1, 4);
    assert_eq!(closed.take(), None);
    // One back: 3 on their way, room for two.
    closed.freed(0, 3);
    closed.freed(0, 2);
    assert_eq!(closed.take(), Some(0));
    assert_eq!(closed.take(), None);
}

#[test]
fn each_has_a_place_at_least() {
    let closed = Closed::new(3, 8, 10, 10);
    assert_eq!((closed.share, closed.batch), (1, 1));
}

#[test]
fn a_message_is_complete_when_all_have_it() {
    let mut flights = Flights::new(&layout(1), &[0]);
    let first = flights.publish(0, 10, |_| 2).unwrap();
    assert_eq!(first, Outgoing { stream: 0, number: 0, topic: 0 });
    assert_eq!(flights.publish(0, 11, |_| 1).unwrap().topic, 1);
    assert_eq!(flights.publish(0, 12, |_| 2).unwrap().number, 1);
    assert_eq!(flights.aloft(0), 3);
    // The second of a stream before its first.
    assert_eq!(flights.arrived(0, (1, 1), 0), None);
    assert_eq!(flights.arrived(0, (1, 1), 0), Some(0));
    assert_eq!(flights.arrived(0, (1, 1), 0), None);
    assert_eq!(flights.arrived(0, (0, 1), 0), None);
    assert_eq!(flights.arrived(0, (0, 1), 0), Some(0));
    assert_eq!(flights.arrived(1, (0, 1), 0), Some(0));
    // Never sent, and of no stream.
    assert_eq!(flights.arrived(0, (2, 1), 0), None);
    assert_eq!(flights.arrived(9, (0, 1), 0), None);
    flights.expire(12, |_| panic!("nothing is overdue"));
    assert!(flights.is_empty());
    assert_eq!(
        (flights.aloft(0), flights.published(0), flights.published(1)),
        (0, Some(2), Some(1))
    );
}

#[test]
fn who_comes_later_is_not_waited_for_and_who_goes_no_longer() {
    let mut flights = Flights::new(&layout(1), &[0]);
    flights.publish(0, 0, |_| 2);
    flights.publish(0, 0, |_| 2);
    flights.publish(0, 0, |_| 2);
    let joined = flights.count();
    flights.publish(0, 0, |_| 2);
    flights.publish(0, 0, |_| 3);
    // Streams 0 and 1 by turns; the latecomer hears numbers 1 and 2 of stream 0.
    assert_eq!(flights.arrived(0, (1, 1), joined), None);
    assert_eq!(flights.arrived(0, (2, 1), joined), None);
    assert_eq!(flights.arrived(0, (0, 1), 0), None);
    assert_eq!(flights.arrived(0, (2, 1), 0), None);
    // One that has only number 0 goes: number 1 lacks one still, number 2 is complete.
    assert_eq!((flights.gone(0, 1, 0), flights.aloft(0)), (Some(0), 4));
    assert_eq!(flights.arrived(0, (1, 1), 0), Some(0));
}

#[test]
fn what_is_overdue_frees_its_place() {
    let mut flights = Flights::new(&layout(2), &[1]);
    flights.publish(0, 0, |_| 1);
    flights.publish(0, 5, |_| 1);
    flights.publish(0, 9, |_| 0);
    assert_eq!(flights.arrived(flights.rings[1].stream, (0, 1), 0), Some(0));
    let mut freed = Vec::new();
    flights.expire(OVERDUE_US - 1, |publisher| freed.push(publisher));
    assert!(freed.is_empty() && !flights.is_empty());
    flights.expire(OVERDUE_US, |publisher| freed.push(publisher));
    assert_eq!((freed, flights.overdue()), (vec![0], 1));
    assert!(flights.is_empty() && flights.aloft(0) == 0);
    // Its late arrival changes nothing.
    assert_eq!(flights.arrived(flights.rings[0].stream, (0, 1), 0), None);
    let streams = (0..4).map(|stream| flights.published(stream)).collect::<Vec<_>>();
    assert_eq!(streams, [None, Some(1), None, Some(2)]);
}

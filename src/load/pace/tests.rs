use proptest::prelude::*;

use super::*;
use crate::load::layout::tests::scenario;
use crate::load::scenario::Interest;

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
    for per_s in [0.0, -1.0, f64::NAN] {
        assert_eq!(Schedule::new(0, 1000, per_s, 1, vec![0]).next_us(), None);
    }
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
    let mut closed = Closed::new(20, 2, &[1, 3], 4);
    assert_eq!((&closed.shares[..], closed.batch(0)), (&[5, 5][..], 2));
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
    let closed = Closed::new(3, 8, &[0, 9], 10);
    assert_eq!((&closed.shares[..], closed.batch(0)), (&[1, 1][..], 1));
}

#[test]
fn no_place_of_the_window_is_left_over() {
    // 5 each, and 4 more.
    let own: [Vec<u32>; 2] = [0, 1].map(|worker| (worker..12).step_by(2).collect());
    let shares = own.map(|own| Closed::new(64, 6, &own, 12).shares);
    assert_eq!(shares, [[6, 6, 5, 5, 5, 5]; 2]);
    let closed = Closed::new(64, 6, &[3, 4], 12);
    assert_eq!([0, 1].map(|publisher| closed.batch(publisher)), [6, 5]);
}

#[test]
fn who_is_put_back_is_taken_last() {
    let mut closed = Closed::new(4, 2, &[0, 1], 2);
    assert_eq!(closed.take(), Some(0));
    closed.put_back(0);
    closed.put_back(0);
    assert_eq!([closed.take(), closed.take(), closed.take()], [Some(1), Some(0), None]);
}

#[test]
fn times_are_kept_until_they_are_spent() {
    // 3 publishers, a message each 10 ms, of each every 30 ms.
    let mut schedule = Schedule::new(1000, 1_000_000, 100.0, 3, vec![0, 2]);
    let take = |schedule: &mut Schedule, now_us| {
        std::iter::from_fn(|| schedule.take(now_us)).collect::<Vec<_>>()
    };
    let kept = |schedule: &Schedule| [0, 1].map(|publisher| schedule.kept(publisher));
    assert_eq!(kept(&schedule), [0, 0]);
    // At 0, 30 and 60 ms; at 20 and 50 ms.
    let taken = take(&mut schedule, 61_000);
    assert_eq!(taken, [(0, 1000), (1, 21_000), (0, 31_000), (1, 51_000), (0, 61_000)]);
    assert_eq!(kept(&schedule), [3, 2]);
    assert!(schedule.times(0, 3).eq([1000, 31_000, 61_000]));
    schedule.spend(0, 2);
    assert_eq!(kept(&schedule), [1, 2]);
    take(&mut schedule, 91_000);
    assert_eq!(kept(&schedule), [2, 3]);
    assert!(schedule.times(0, 2).eq([61_000, 91_000]));
    assert!(schedule.times(1, 1).eq([21_000]));
}

#[test]
fn a_closed_loop_needs_subscribers_of_its_own() {
    let of = |crowd, talk| Layout::new(&scenario(crowd, Interest::Exact, Some(talk)));
    // Each worker has a connection in each of the rooms.
    let shared = of((4, 2, 1), (2, false));
    assert_eq!(unpaced(&shared, 0, 2, false), None);
    // Two in a room, one at each worker: it is paced by its own echo or not at all.
    let rooms = of((4, 2, 1), (4, true));
    assert_eq!(unpaced(&rooms, 1, 2, true), None);
    assert_eq!(unpaced(&rooms, 1, 2, false), Some((2, 0)));
    // As many rooms as connections.
    let apart = of((4, 4, 1), (1, false));
    assert_eq!((unpaced(&apart, 0, 1, true), unpaced(&apart, 1, 2, true)), (None, None));
    assert_eq!(unpaced(&apart, 0, 2, true), Some((0, 2)));
    // What nobody hears need not be waited for.
    assert_eq!(unpaced(&of((2, 4, 2), (1, false)), 0, 1, true), None);
    let silent = of((0, 4, 1), (2, false));
    assert_eq!(unpaced(&silent, 0, 2, true), None);
}

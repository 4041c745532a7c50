use super::*;
use crate::load::layout::tests::scenario;
use crate::load::scenario::Interest;

/// Three connections, two topics of which each hears one, and publishers beside.
fn layout(publishers: u32) -> Layout {
    Layout::new(&scenario((3, 2, 1), Interest::Exact, Some((publishers, false))))
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
    flights.expire(12, |one| panic!("{one:?} is not overdue"));
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
    let mut expire = |flights: &mut Flights, now_us| {
        flights.expire(now_us, |one| {
            freed.push(one);
            true
        });
    };
    expire(&mut flights, OVERDUE_US - 1);
    assert!(!flights.is_empty());
    expire(&mut flights, OVERDUE_US);
    let stream = flights.rings[0].stream;
    assert_eq!(freed, [Overdue { publisher: 0, stream, number: 0, is_heard: false }]);
    assert_eq!(flights.overdue(), 1);
    assert!(flights.is_empty() && flights.aloft(0) == 0);
    // Its late arrival changes nothing.
    assert_eq!(flights.arrived(flights.rings[0].stream, (0, 1), 0), None);
    let streams = (0..4).map(|stream| flights.published(stream)).collect::<Vec<_>>();
    assert_eq!(streams, [None, Some(1), None, Some(2)]);
}

#[test]
fn what_is_refused_is_not_waited_for() {
    let mut flights = Flights::new(&layout(1), &[0]);
    let [first, second] = [0, 0].map(|at_us| flights.publish(0, at_us, |_| 2).unwrap());
    assert_eq!(flights.publisher(second.stream), Some(0));
    assert_eq!((flights.publisher(2), flights.is_heard(0)), (None, false));
    // Who goes has had nothing.
    assert_eq!(flights.gone(first.stream, 0, 0), None);
    assert!(!flights.is_heard(0));
    assert_eq!(flights.refused(first.stream, first.number), Some(0));
    assert_eq!(flights.refused(first.stream, first.number), None);
    assert_eq!(flights.refused(first.stream, 7), None);
    assert_eq!((flights.refused(9, 0), flights.aloft(0)), (None, 1));
    assert_eq!(flights.arrived(second.stream, (0, 1), 0), None);
    assert!(flights.is_heard(0));
    flights.expire(OVERDUE_US, |one| {
        assert_eq!((one.stream, one.is_heard), (second.stream, true));
        true
    });
    assert_eq!((flights.aloft(0), flights.overdue()), (0, 1));
}

#[test]
fn no_more_are_waited_for_than_the_bound() {
    let mut flights = Flights::new(&layout(2), &[0, 1]);
    let first = flights.publish(1, 0, |_| 1).unwrap();
    for _ in 1..FLIGHTS_MAX {
        assert_eq!(flights.forget(), None);
        flights.publish(0, 0, |_| 1);
    }
    // One that has come behind the oldest takes its place until the oldest is gone.
    assert_eq!(flights.arrived(0, (0, 1), 0), Some(0));
    assert_eq!(flights.forget(), Some(1));
    flights.publish(0, 0, |_| 1);
    assert_eq!((flights.forgotten(), flights.aloft(1)), (1, 0));
    assert_eq!(flights.arrived(first.stream, (0, 1), 0), None);
    assert_eq!(flights.forget(), None);
    flights.publish(0, 0, |_| 1);
    assert_eq!(flights.forget(), Some(0));
    assert_eq!((flights.forgotten(), flights.overdue()), (2, 0));
    assert!(flights.sent.len() < FLIGHTS_MAX);
}

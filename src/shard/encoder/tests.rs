//! Which lane a connection has, and where a publication stands.

use super::*;
use crate::wire::deflate::negotiate;

#[test]
fn each_dialect_and_packing_has_a_lane_of_its_own() {
    let mut lanes = Vec::new();
    for dialect in [Dialect::Topics, Dialect::Events, Dialect::Channels] {
        lanes.push(lane_of(dialect, None));
        for bits in (WINDOW_BITS_MIN..=WINDOW_BITS_MAX).rev() {
            let offer = format!("permessage-deflate; server_max_window_bits={bits}");
            let lane = lane_of(dialect, negotiate([&*offer].into_iter()));
            assert_eq!(window_bits(lane), Some(bits));
            lanes.push(lane);
        }
    }
    assert!(lanes.iter().copied().eq(0..SOCKETIO));
    assert_eq!((window_bits(SOCKETIO), window_bits(SOCKETIO + 1)), (None, Some(WINDOW_BITS_MAX)));
    assert_eq!((window_bits(POLLING - 1), window_bits(POLLING)), (Some(WINDOW_BITS_MIN), None));
    assert_eq!((usize::from(POLLING), LANES), (32, 33));
}

#[test]
fn it_is_encoded_once_for_each_lane_and_form() {
    let mut outbox = Outbox::new(LANES);
    let mut encoded = Encoded::default();
    let lanes = LANES as u8;
    let pairs: Vec<_> =
        (0..lanes).map(|lane| (lane, 0)).chain((SOCKETIO..lanes).map(|lane| (lane, 1))).collect();
    assert_eq!(pairs.len(), PLACES);
    let places: Vec<Range> = pairs
        .iter()
        .map(|&(lane, form)| {
            encoded.in_lane(lane, form, |lane| {
                outbox.write(lane, Droppable::NEVER, |out| out.extend([lane, form]))
            })
        })
        .collect();
    for (&(lane, form), &place) in pairs.iter().zip(&places).rev() {
        let again = encoded.in_lane(lane, form, |_| panic!("{lane}, {form} is encoded twice"));
        assert_eq!(again, place);
    }
    for lane in SOCKETIO..lanes {
        let of = |form: u8| places[pairs.iter().position(|it| *it == (lane, form)).unwrap()];
        assert_ne!(of(0), of(1), "two forms stand in lane {lane} at one place");
    }
}

//! What a turn's lanes hold, and what outlasts it.

mod policies;
mod polls;

use super::*;

/// Writes a frame of so many bytes, for nobody.
fn write(outbox: &mut Outbox, lane: u8, bytes: usize) -> Range {
    outbox.write(lane, Droppable::NEVER, |out| out.resize(out.len() + bytes, 0))
}

fn end_turn(outbox: &mut Outbox) {
    let dirty = outbox.take_dirty();
    outbox.end_turn(dirty);
    outbox.check();
}

#[test]
fn a_turn_is_full_by_what_all_lanes_hold() {
    let mut outbox = Outbox::new(24);
    for turn in 0..3 {
        for lane in 0..8 {
            assert!(!outbox.is_full(), "turn {turn}, lane {lane}");
            let range = write(&mut outbox, 3 * lane, TURN_BYTES_MAX / 8);
            assert_eq!((range.start, range.end as usize), (0, TURN_BYTES_MAX / 8));
            outbox.check();
        }
        assert!(outbox.is_full());
        end_turn(&mut outbox);
    }
}

#[test]
fn a_lane_of_a_flood_gives_back_its_room_whatever_the_next_turns_hold() {
    let mut outbox = Outbox::new(24);
    write(&mut outbox, 23, TURN_BYTES_MAX);
    end_turn(&mut outbox);
    let usual = |lane: &Lane| lane.bytes.capacity() <= CORK_BYTES_MAX;
    assert!(!usual(&outbox.lanes[23]), "the next turn may be like it");
    write(&mut outbox, 0, 10);
    end_turn(&mut outbox);
    assert!(outbox.lanes.iter().all(usual));
    assert_eq!(outbox.touched, 0);
}

#[test]
fn the_last_lane_is_as_good_as_the_first() {
    let mut outbox = Outbox::new(64);
    for lane in [0, 31, 32, 63] {
        write(&mut outbox, lane, CORK_BYTES_MAX + 1);
        outbox.check();
    }
    assert_eq!(outbox.touched, 1 << 63 | 1 << 32 | 1 << 31 | 1);
    for _ in 0..2 {
        end_turn(&mut outbox);
        assert!(outbox.lanes.iter().all(|lane| lane.bytes.is_empty() && lane.marks.is_empty()));
    }
    assert_eq!(outbox.touched, 0);
}

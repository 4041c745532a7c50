//! How members of rooms are killed.

use std::time::{Duration, Instant};

use shardwire::load::swarm::{Leave, Swarm};
use shardwire::wire::frame::{OpCode, put_masked};

use crate::rig::polling::{Upgrade, Way};
use crate::rig::{clients, mute};
use crate::rooms::{Act, Class, Member, Scene, room};

/// How long a killed client is away at most.
const AWAY_MS_MAX: usize = 2000;
/// How long a client that is killed as it switches is on its way to that, at most.
const SWITCHING_US_MAX: usize = 5000;
/// Connections that never get in, at a time.
const MUTES_MAX: usize = 64;
/// The number of messages that are never finished, and must never come.
const NEVER: usize = u32::MAX as usize;

/// How a client that came by a WebSocket is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Reset,
    Dropped,
    /// With a close frame.
    Close,
    InFrame,
    InFragments,
    /// By the broker, for a frame without a mask.
    Unmasked,
    /// It leaves its namespace and goes.
    Disconnect,
}

const FATES: [Fate; 7] = [
    Fate::Reset,
    Fate::Dropped,
    Fate::Close,
    Fate::InFrame,
    Fate::InFragments,
    Fate::Unmasked,
    Fate::Disconnect,
];
const WAYS: [Way; 7] = [
    Way::AbortedPoll,
    Way::Dropped,
    Way::Reset,
    Way::Goodbye,
    Way::Silence,
    Way::InFrame,
    Way::InSwitch,
];

impl Scene {
    /// Kills who has a place, in some way.
    pub fn kill(&mut self, seat: usize) {
        let Member { class, stream, is_in, .. } = self.members[seat];
        if !is_in {
            return;
        }
        self.members[seat].is_in = false;
        self.ledger.go(stream);
        if class == Class::WebSocket {
            self.kill_socket(seat);
            let back = Instant::now() + Duration::from_millis(self.below(AWAY_MS_MAX) as u64);
            return self.plan_act(back, seat, Act::Come);
        }
        let way = WAYS[self.below(WAYS.len())];
        let mut end = Instant::now();
        if way == Way::InSwitch {
            self.pollers.upgrade(seat, Upgrade::Whole);
            end += Duration::from_micros(self.below(SWITCHING_US_MAX) as u64);
        }
        self.plan_act(end, seat, Act::Finish(way));
    }

    /// Ends what a killing began.
    pub fn finish(&mut self, seat: usize, way: Way) {
        let half = self.never(seat);
        self.pollers.kill(seat, way, &half[..half.len() / 2]);
        *self.killed.entry(format!("polling {way:?}")).or_insert(0) += 1;
        let back = Instant::now() + Duration::from_millis(self.below(AWAY_MS_MAX) as u64);
        self.plan_act(back, seat, Act::Come);
    }

    /// A message that is never finished.
    fn never(&self, seat: usize) -> Vec<u8> {
        let text = clients::message(&room(seat), self.members[seat].stream, NEVER);
        clients::packet(&text)
    }

    fn kill_socket(&mut self, seat: usize) {
        let fate = FATES[self.below(FATES.len())];
        *self.killed.entry(format!("WebSocket {fate:?}")).or_insert(0) += 1;
        let mut how = Leave::Silent;
        match fate {
            Fate::Reset => how = Leave::Reset,
            Fate::Dropped => {}
            Fate::Close => how = Leave::Close,
            Fate::InFrame => {
                let half = self.never(seat);
                let end = 1 + self.below(half.len() - 1);
                self.clients.say(seat, &half[..end]);
            }
            Fate::InFragments => {
                let mut first = Vec::new();
                put_masked(&mut first, OpCode::Text, false, Swarm::KEY, b"42[\"message\",{");
                first[0] &= 0x7F; // Not the last.
                self.clients.say(seat, &first);
            }
            // The broker hangs up.
            Fate::Unmasked => {
                self.clients.say(seat, &[0x81, 0x02, b'4', b'2']);
                return;
            }
            Fate::Disconnect => _ = self.clients.say(seat, &clients::text("41")),
        }
        self.clients.leave(seat, how);
        // And somebody comes who gets no further than the door.
        let asks = 1 + self.below(mute::ROOMS_REQUEST.len());
        let from = self.below(mute::ADDRESSES);
        self.mutes.push(mute::connect(from, self.address, &mute::ROOMS_REQUEST[..asks]));
        if self.mutes.len() > MUTES_MAX {
            self.mutes.remove(0);
        }
    }
}

//! Questions that wait to be asked, a turn for each connection.
//!
//! In one queue for all, a connection with many questions would make everybody's wait behind them.
//! Here each connection has a queue of its own, and one question of each is taken in turn. Owned by
//! the control thread. Whoever fills it looks at its length; it has no bound of its own.

use std::collections::{HashMap, VecDeque};

use ahash::RandomState;

use crate::auth::Asked;
use crate::connection::Address;

/// Questions by connection. No queue is empty, and each is once in `order`.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: HashMap<Address, VecDeque<Asked>, RandomState>,
    /// Whose turn comes when.
    order: VecDeque<Address>,
    len: usize,
}

impl Turns {
    /// Puts a question behind those of its connection.
    pub(super) fn push(&mut self, asked: Asked) {
        let of = asked.connection.at;
        let queue = self.waiting.entry(of).or_default();
        if queue.is_empty() {
            self.order.push_back(of);
        }
        queue.push_back(asked);
        self.len += 1;
    }

    /// Takes the first question of the connection whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Asked> {
        let of = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&of)?;
        let asked = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&of);
        } else {
            self.order.push_back(of);
        }
        self.len -= 1;
        asked
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use super::*;
    use crate::auth::Question;
    use crate::config::Action;
    use crate::connection::{ConnKey, ConnectionId};
    use crate::mail::QuestionTicket;

    fn asked(shard: u8, index: u32, place: u16) -> Asked {
        let conn = ConnKey { index, generation: 0 };
        let question = Question {
            action: Action::Subscribe,
            topic: "a".into(),
            user: None,
            tenant: None,
            roles: Box::new([]),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        Asked {
            ticket: QuestionTicket { conn, number: 0, place },
            shard,
            question: Arc::new(question),
            connection: ConnectionId { node: 1, at: Address { shard, conn } },
        }
    }

    #[test]
    fn who_asks_one_thing_does_not_wait_for_who_asks_many() {
        let mut turns = Turns::default();
        for place in 0..4 {
            turns.push(asked(0, 1, place));
        }
        turns.push(asked(0, 2, 0));
        turns.push(asked(1, 1, 0));
        assert_eq!(turns.len(), 6);
        let mut taken = Vec::new();
        while let Some(it) = turns.pop() {
            taken.push((it.shard, it.ticket.conn.index, it.ticket.place));
            if taken.len() == 2 {
                turns.push(asked(0, 2, 1));
            }
        }
        // One of each in turn, and those of one connection in their order.
        let expected =
            [(0, 1, 0), (0, 2, 0), (1, 1, 0), (0, 1, 1), (0, 2, 1), (0, 1, 2), (0, 1, 3)];
        assert_eq!(taken, expected);
        assert_eq!((turns.len(), turns.waiting.len(), turns.order.len()), (0, 0, 0));
    }
}

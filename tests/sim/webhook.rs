//! A webhook that says yes or no as it likes: soon, late, when nobody waits any more, or never. And
//! what a driver does with questions, answers and connections that may be read again.

use shardwire::auth::Asked;
use shardwire::limits::ANSWER_LATE_MS;
use shardwire::mail::{Answer, Mail, Request, Unanswered};

use super::world::World;

/// A question that will be answered.
pub struct Open {
    due_ms: u64,
    asked: Asked,
    answer: Result<Answer, Unanswered>,
}

impl World {
    /// Takes a shard's questions, gives it answers that have come, and reads again who waited.
    pub fn answer_questions(&mut self, shard: u8) {
        let id = usize::from(shard);
        while let Some(asked) = self.shards[id].question() {
            assert!(self.setting.timeout_ms.is_some(), "there is no webhook");
            assert_eq!(asked.shard, shard);
            self.note(|| format!("shard {shard} asks {:?}", asked.question));
            self.draw_answer(asked);
        }
        let now_ms = self.now.mono_ms;
        let is_due = |open: &mut Open| open.asked.shard == shard && open.due_ms <= now_ms;
        let due: Vec<Open> = self.questions.extract_if(.., is_due).collect();
        for Open { asked, answer, .. } in due {
            let ticket = asked.ticket;
            let mail = Mail::from(Request::Answered { ticket, answer });
            if self.random.one_in(2) || self.mailboxes[id].push(mail).is_err() {
                self.shards[id].answered(self.now, ticket, answer);
            }
            // Told twice it is once.
            if self.random.one_in(8) {
                let allowed = answer.is_ok_and(|answer| !answer.allowed);
                let other = Ok(Answer { allowed, ttl_ms: 0 });
                self.shards[id].answered(self.now, ticket, other);
            }
        }
        while let Some(key) = self.shards[id].resumed() {
            for link in self.net.of_shard(shard) {
                let link = &mut self.net.links[link];
                link.paused &= link.key != key;
            }
        }
    }

    fn draw_answer(&mut self, asked: Asked) {
        let timeout_ms = self.setting.timeout_ms.unwrap_or_default();
        let allowed = !self.random.one_in(4);
        let ttl_ms = self.random.pick(&[0, 1, 50, 10_000]);
        let after_ms = match self.random.below(10) {
            _ if self.resting => 0,
            0 => return,
            1 => timeout_ms + ANSWER_LATE_MS + self.random.below(1000),
            2..=5 => self.random.below(timeout_ms),
            _ => 0,
        };
        let answer = match self.random.below(8) {
            0 => Err(Unanswered::Failed),
            _ => Ok(Answer { allowed, ttl_ms }),
        };
        self.questions.push(Open { due_ms: self.now.mono_ms + after_ms, asked, answer });
    }
}

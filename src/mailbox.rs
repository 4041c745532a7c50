//! Between threads: a bounded lock-free mailbox for each shard, with a wake for a sleeper only.
//!
//! [`Mailbox`] is the shared end; [`Post`] is one sender's side, which keeps back what a full
//! mailbox refuses and sends it first the next time, so the order between two shards holds. A
//! sender never waits and never drops: past [`SPILL_MAILS_MAX`] it is *congested*, and its shard
//! stops reading from its clients (and taking requests) until the mail is gone.
//!
//! Never: a lock, a wait, a socket. How a sleeper is woken is the owner's ([`Wake`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam::queue::ArrayQueue;

use crate::limits::{MAILBOX_MAILS_MAX, SPILL_MAILS_MAX};
use crate::mail::{Delivery, Mail, Request};

/// Wakes the thread that owns a mailbox. Called at most once per sleep.
pub trait Wake: Send + Sync {
    /// Makes the owner's next or current wait return.
    fn wake(&self);
}

/// The shared end: any thread puts mail in, its shard takes it out.
pub struct Mailbox {
    deliveries: ArrayQueue<Delivery>,
    requests: ArrayQueue<Request>,
    sleeping: AtomicBool,
    waker: Box<dyn Wake>,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox")
            .field("deliveries", &self.deliveries.len())
            .field("requests", &self.requests.len())
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    /// An empty mailbox of [`MAILBOX_MAILS_MAX`] mails of each kind.
    pub fn new(waker: Box<dyn Wake>) -> Arc<Self> {
        Self::with_capacity(MAILBOX_MAILS_MAX, waker)
    }

    /// An empty mailbox of another size, for tests that want it full.
    pub fn with_capacity(mails: usize, waker: Box<dyn Wake>) -> Arc<Self> {
        Arc::new(Self {
            deliveries: ArrayQueue::new(mails),
            requests: ArrayQueue::new(mails),
            sleeping: AtomicBool::new(false),
            waker,
        })
    }

    /// Puts one mail in.
    ///
    /// # Errors
    /// The mail itself, when its kind's queue is full.
    pub fn push(&self, mail: Mail) -> Result<(), Mail> {
        match mail {
            Mail::Delivery(delivery) => self.deliveries.push(delivery).map_err(Mail::Delivery),
            Mail::Request(request) => self.requests.push(request).map_err(Mail::Request),
        }
    }

    /// Wakes the owner if it sleeps. To be called after one or more pushes.
    pub fn notify(&self) {
        // Pairs with the fence in `sleep`: either the owner sees the mail or we see it asleep.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed) {
            self.waker.wake();
        }
    }

    /// Wakes the owner whether it sleeps or not.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Takes the oldest delivery.
    pub fn delivery(&self) -> Option<Delivery> {
        self.deliveries.pop()
    }

    /// Takes the oldest request.
    pub fn request(&self) -> Option<Request> {
        self.requests.pop()
    }

    /// Whether there is no mail.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.requests.is_empty()
    }

    /// Says that the owner is about to sleep; `false` when it must not, because there is mail that it
    /// would take: requests count only where it `takes_requests`.
    pub fn sleep(&self, takes_requests: bool) -> bool {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.deliveries.is_empty() && (self.requests.is_empty() || !takes_requests) {
            return true;
        }
        self.awake();
        false
    }

    /// Says that the owner is awake again: nobody needs to wake it.
    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }
}

/// One sender's side of all mailboxes.
#[derive(Debug)]
pub struct Post {
    boxes: Arc<[Arc<Mailbox>]>,
    deliveries: Spill,
    requests: Spill,
    touched: u64,
}

/// What full mailboxes refused of one kind, in the order it was sent, by shard.
#[derive(Debug)]
struct Spill {
    queues: Vec<VecDeque<Mail>>,
    mails: usize,
}

impl Post {
    /// A sender's side; `boxes` by shard number.
    pub fn new(boxes: Arc<[Arc<Mailbox>]>) -> Self {
        let (deliveries, requests) = (Spill::new(boxes.len()), Spill::new(boxes.len()));
        Self { boxes, deliveries, requests, touched: 0 }
    }

    /// Sends `mail` to `shard`, or keeps it back behind what already waits there of its kind.
    pub fn send(&mut self, shard: u8, mail: Mail) {
        self.touched |= 1 << shard;
        let mailbox = &self.boxes[usize::from(shard)];
        let spill = match mail {
            Mail::Delivery(_) => &mut self.deliveries,
            Mail::Request(_) => &mut self.requests,
        };
        spill.send(usize::from(shard), mailbox, mail);
    }

    /// Ends a turn: tries again what was kept back, and wakes each sleeper that got mail, once.
    pub fn flush(&mut self) {
        for spill in [&mut self.deliveries, &mut self.requests] {
            if spill.mails > 0 {
                self.touched |= spill.retry(&self.boxes);
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        while touched != 0 {
            self.boxes[touched.trailing_zeros() as usize].notify();
            touched &= touched - 1;
        }
    }

    /// Mails kept back for full mailboxes.
    pub fn spilled(&self) -> usize {
        self.deliveries.mails + self.requests.mails
    }

    /// Asserts that the counts are those of the queues.
    pub(crate) fn check(&self) {
        for spill in [&self.deliveries, &self.requests] {
            assert_eq!(spill.queues.iter().map(VecDeque::len).sum::<usize>(), spill.mails);
        }
    }

    /// Whether so much is kept back that clients must not be read.
    pub fn congested(&self) -> bool {
        self.spilled() >= SPILL_MAILS_MAX
    }

    /// Whether requests may be taken. Only deliveries count here: they always go away in the end,
    /// while two shards could wait with requests for each other.
    pub fn takes_requests(&self) -> bool {
        self.deliveries.mails < SPILL_MAILS_MAX
    }
}

impl Spill {
    fn new(shards: usize) -> Self {
        Self { queues: (0..shards).map(|_| VecDeque::new()).collect(), mails: 0 }
    }

    fn send(&mut self, shard: usize, mailbox: &Mailbox, mail: Mail) {
        let queue = &mut self.queues[shard];
        let kept = if queue.is_empty() { mailbox.push(mail).err() } else { Some(mail) };
        if let Some(mail) = kept {
            queue.push_back(mail);
            self.mails += 1;
        }
    }

    /// Sends what goes now; says to which shards, a bit each.
    fn retry(&mut self, boxes: &[Arc<Mailbox>]) -> u64 {
        let mut touched = 0;
        for (shard, queue) in self.queues.iter_mut().enumerate() {
            while let Some(mail) = queue.pop_front() {
                if let Err(mail) = boxes[shard].push(mail) {
                    queue.push_front(mail);
                    break;
                }
                touched |= 1 << shard;
                self.mails -= 1;
            }
            if queue.is_empty() {
                queue.shrink_to_fit();
            }
        }
        touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    struct Count(Arc<AtomicUsize>);

    impl Wake for Count {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn numbered(ticket: u64) -> Mail {
        Delivery::Delivered { ticket, count: 0, more: None, position: None }.into()
    }

    fn number(mailbox: &Mailbox) -> Option<u64> {
        mailbox.delivery().map(|delivery| match delivery {
            Delivery::Delivered { ticket, .. } => ticket,
            other => unreachable!("{other:?} was not sent"),
        })
    }

    #[test]
    fn what_a_full_mailbox_refuses_comes_later_and_in_order() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let mailbox = Mailbox::with_capacity(2, Box::new(Count(Arc::clone(&wakes))));
        let mut post = Post::new(Arc::from([Arc::clone(&mailbox)]));
        for n in 0..5 {
            post.send(0, numbered(n));
        }
        post.flush();
        assert_eq!(post.spilled(), 3);
        let mut taken = Vec::new();
        while let Some(n) = number(&mailbox) {
            taken.push(n);
            post.flush();
        }
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        assert_eq!(post.spilled(), 0);
        assert_eq!(wakes.load(Ordering::SeqCst), 0, "nobody slept");
    }

    #[test]
    fn a_sleeper_is_woken_once() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let mailbox = Mailbox::with_capacity(8, Box::new(Count(Arc::clone(&wakes))));
        let mut post = Post::new(Arc::from([Arc::clone(&mailbox)]));
        assert!(mailbox.sleep(true));
        post.send(0, numbered(1));
        post.send(0, numbered(2));
        post.flush();
        post.send(0, numbered(3));
        post.flush();
        assert_eq!(wakes.load(Ordering::SeqCst), 1);
        assert!(!mailbox.sleep(true), "there is mail");
    }
}

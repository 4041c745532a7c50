//! The control thread: what waits on the outside waits here, and no shard with it.
//!
//! It has a runtime of its own. Shards hand questions over without waiting, bounded; each is put to
//! the webhook in its connection's turn and its answer mailed to the shard that asked. What finds
//! no room is refused where it stands. A new webhook takes the place of the old one for questions to come. Other work of the
//! outside, a scrape's listener, runs here as tasks.

use std::future::Future;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::auth::{Asked, Webhook};
use crate::limits::{
    CONTROL_QUESTIONS_MAX, CONTROL_RESOLVERS_MAX, CONTROL_TURNS_MAX, CONTROL_WAITING_MAX, RETRY_MS,
};
use crate::mail::{Mail, Request, Unanswered};
use crate::mailbox::Mailbox;
use crate::node::turns::Turns;

/// The shards' side of the control thread.
#[derive(Debug)]
pub(super) struct Control {
    questions: mpsc::Sender<Asked>,
    shared: Arc<Shared>,
    runtime: Handle,
}

#[derive(Debug)]
struct Shared {
    webhook: RwLock<Option<Arc<Webhook>>>,
    over: Notify,
}

impl Control {
    /// Starts the thread; answers go to `mailboxes`, by the number of the shard that asked.
    ///
    /// # Errors
    /// The system refuses a thread or descriptors.
    pub(super) fn start(
        mailboxes: Arc<[Arc<Mailbox>]>,
        webhook: Option<Webhook>,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            // Only names are looked up on threads; each may hang for as long as the system likes.
            .max_blocking_threads(CONTROL_RESOLVERS_MAX)
            .thread_name("control-dns")
            .build()?;
        let (questions, asked) = mpsc::channel(CONTROL_WAITING_MAX);
        let webhook = RwLock::new(webhook.map(Arc::new));
        let shared = Arc::new(Shared { webhook, over: Notify::new() });
        let control =
            Self { questions, shared: Arc::clone(&shared), runtime: runtime.handle().clone() };
        let thread = std::thread::Builder::new()
            .name("control".into())
            .spawn(move || run(runtime, asked, &shared, &mailboxes))?;
        Ok((control, thread))
    }

    /// Hands a question over; never waits. Its answer comes as mail.
    ///
    /// # Errors
    /// The question itself, when there is no room for it: to be refused.
    pub(super) fn ask(&self, asked: Asked) -> Result<(), Asked> {
        self.questions.try_send(asked).map_err(mpsc::error::TrySendError::into_inner)
    }

    /// Puts another webhook, or none, in place of the one there is; what was asked is still
    /// answered by that one. The same one stays, with what it remembers.
    pub(super) fn set_webhook(&self, webhook: Option<Webhook>) {
        if self.has_webhook(webhook.as_ref()) {
            return;
        }
        let mut place = self.shared.webhook.write().unwrap_or_else(PoisonError::into_inner);
        *place = webhook.map(Arc::new);
    }

    /// Whether this is the webhook that there is, or there is none and this is none.
    pub(super) fn has_webhook(&self, webhook: Option<&Webhook>) -> bool {
        let place = self.shared.webhook.read().unwrap_or_else(PoisonError::into_inner);
        match (place.as_deref(), webhook) {
            (Some(one), Some(other)) => one.is_as(other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// Lets a task run on the control thread until the thread ends.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Tells the thread to end, whatever still waits; its handle can be joined then.
    pub(super) fn end(&self) {
        self.shared.over.notify_one();
    }
}

fn run(
    runtime: Runtime,
    asked: mpsc::Receiver<Asked>,
    shared: &Arc<Shared>,
    mailboxes: &Arc<[Arc<Mailbox>]>,
) {
    runtime.block_on(answer_all(asked, shared, mailboxes));
    // A name that is still looked up is not waited for.
    runtime.shutdown_background();
}

/// Answers questions until the end, so many at a time.
async fn answer_all(
    mut questions: mpsc::Receiver<Asked>,
    shared: &Arc<Shared>,
    mailboxes: &Arc<[Arc<Mailbox>]>,
) {
    let (mut turns, mut tasks) = (Turns::default(), JoinSet::new());
    loop {
        tokio::select! {
            biased;
            () = shared.over.notified() => return,
            Some(_) = tasks.join_next() => {}
            asked = questions.recv(), if turns.len() < CONTROL_TURNS_MAX => {
                let Some(asked) = asked else { return };
                turns.push(asked);
            }
        }
        while tasks.len() < CONTROL_QUESTIONS_MAX
            && let Some(asked) = turns.pop()
        {
            let webhook = shared.webhook.read().unwrap_or_else(PoisonError::into_inner).clone();
            let mailbox = Arc::clone(&mailboxes[usize::from(asked.shard)]);
            tasks.spawn(answer(asked, webhook, mailbox));
        }
    }
}

/// Puts one question and mails the answer; without a webhook it is a denial.
async fn answer(asked: Asked, webhook: Option<Arc<Webhook>>, mailbox: Arc<Mailbox>) {
    let answer = match webhook {
        Some(webhook) => webhook.ask(&asked.question, asked.connection).await,
        None => None,
    };
    let answer = answer.ok_or(Unanswered::Failed);
    let mut mail = Mail::from(Request::Answered { ticket: asked.ticket, answer });
    while let Err(refused) = mailbox.push(mail) {
        mail = refused;
        mailbox.notify();
        tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
    }
    mailbox.notify();
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::auth::Question;
    use crate::config::{Action, WebhookSettings};
    use crate::connection::{Address, ConnKey, ConnectionId};
    use crate::mail::{Answer, QuestionTicket};
    use crate::mailbox::Wake;
    use crate::node::clock;

    #[derive(Debug)]
    struct Woken(Sender<()>);

    impl Wake for Woken {
        fn wake(&self) {
            let _ = self.0.send(());
        }
    }

    fn mailbox(mails: usize) -> (Arc<Mailbox>, Receiver<()>) {
        let (sender, woken) = channel();
        let mailbox = Mailbox::with_capacity(mails, Box::new(Woken(sender)));
        assert!(mailbox.sleep(true));
        (mailbox, woken)
    }

    fn asked(shard: u8, number: u32) -> Asked {
        let conn = ConnKey { index: 5, generation: 6 };
        let question = Question {
            action: Action::Subscribe,
            topic: "a".into(),
            user: None,
            tenant: None,
            roles: Box::new([]),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        Asked {
            ticket: QuestionTicket { conn, number, place: 0 },
            shard,
            question: Arc::new(question),
            connection: ConnectionId { node: 1, at: Address { shard, conn } },
        }
    }

    fn take(mailbox: &Mailbox) -> Option<(u32, Result<Answer, Unanswered>)> {
        match mailbox.request()? {
            Request::Answered { ticket, answer } => Some((ticket.number, answer)),
            other => panic!("{other:?}"),
        }
    }

    /// A webhook at a port.
    fn webhook(port: u16, timeout_ms: u64) -> Webhook {
        let settings = WebhookSettings {
            url: format!("http://127.0.0.1:{port}/"),
            secret: None,
            timeout_ms,
            cache_ttl_s: 0,
            signed_timestamp: false,
        };
        Webhook::new(&settings, clock::now).unwrap()
    }

    /// A webhook that nobody runs.
    fn silent() -> (Webhook, std::net::TcpListener) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        (webhook(listener.local_addr().unwrap().port(), 60_000), listener)
    }

    #[test]
    fn the_same_webhook_stays_with_what_it_remembers() {
        let (mailbox, _woken) = mailbox(1);
        let (control, thread) =
            Control::start(Arc::from([mailbox]), Some(webhook(1, 1000))).unwrap();
        let place = || Arc::clone(control.shared.webhook.read().unwrap().as_ref().unwrap());
        let first = place();
        control.set_webhook(Some(webhook(1, 1000)));
        assert!(Arc::ptr_eq(&first, &place()));
        assert!(!control.has_webhook(Some(&webhook(1, 1001))) && !control.has_webhook(None));
        control.set_webhook(Some(webhook(2, 1000)));
        assert!(!Arc::ptr_eq(&first, &place()));
        control.end();
        thread.join().unwrap();
    }

    #[test]
    fn an_answer_goes_to_the_shard_that_asked() {
        let (zero, _) = mailbox(4);
        let (one, woken) = mailbox(4);
        let mailboxes = Arc::from([Arc::clone(&zero), Arc::clone(&one)]);
        let (control, thread) = Control::start(mailboxes, None).unwrap();
        control.ask(asked(1, 7)).unwrap();
        woken.recv().unwrap();
        assert_eq!(take(&one), Some((7, Err(Unanswered::Failed))));
        assert!(zero.is_empty());
        control.end();
        thread.join().unwrap();
        assert!(control.ask(asked(1, 8)).is_err());
    }

    #[test]
    fn a_full_mailbox_gets_its_answers_when_it_has_room() {
        let (mailbox, woken) = mailbox(1);
        let (control, thread) = Control::start(Arc::from([Arc::clone(&mailbox)]), None).unwrap();
        for number in 0..5 {
            control.ask(asked(0, number)).unwrap();
        }
        woken.recv().unwrap();
        let mut numbers = Vec::new();
        while numbers.len() < 5 {
            match take(&mailbox) {
                Some((number, _)) => numbers.push(number),
                None => std::thread::yield_now(),
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        control.end();
        thread.join().unwrap();
    }

    #[test]
    fn a_webhook_that_hangs_holds_nobody_up() {
        let (mailbox, woken) = mailbox(4);
        let (webhook, listener) = silent();
        let (control, thread) =
            Control::start(Arc::from([Arc::clone(&mailbox)]), Some(webhook)).unwrap();
        control.ask(asked(0, 1)).unwrap();
        let _connection = listener.accept().unwrap();
        let (done, is_done) = channel();
        control.spawn(async move { done.send(()).unwrap() });
        is_done.recv().unwrap();
        // The next question is for the webhook of then, which is none.
        assert!(!control.has_webhook(None));
        control.set_webhook(None);
        assert!(control.has_webhook(None));
        control.ask(asked(0, 2)).unwrap();
        woken.recv().unwrap();
        assert_eq!(take(&mailbox).map(|(number, _)| number), Some(2));
        // The end does not wait for what hangs.
        control.end();
        thread.join().unwrap();
    }
}

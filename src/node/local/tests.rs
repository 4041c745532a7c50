//! A shard turned by hand: what comes to it between its turns and beside its sockets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{OnceLock, RwLock};

use futures_util::FutureExt as _;

use super::*;
use crate::announcement;
use crate::audience::Audience;
use crate::auth::{Identity, IdentityParts, Rules};
use crate::config::{Action, Decision, Dialect, RuleSetting};
use crate::interest::Interest;
use crate::limits::{OPERATOR_REQUESTS_MAX, TURN_BYTES_MAX};
use crate::node::Setup;
use crate::node::census::Census;
use crate::node::control::Control;
use crate::node::crossings::{Crossing, Crossings, Errand};
use crate::node::live::Renewal;
use crate::node::remembered::Remembered;
use crate::node::sockets::{Waker, Wire};
use crate::polling::{Asked, Fault, HttpReply};
use crate::shard::{Arrival, Endpoint, Parts, Policy};
use crate::sid::{NotSecret, Secret, Sid};
use crate::topic::TopicBounds;

const TOPICS: u8 = 0;
const ADMIN: u8 = 1;
const TURNS: usize = 10;

/// One shard of a node whose control thread has ended: it takes no question.
fn local(flush_delay: Duration) -> Rc<Local> {
    let asks = RuleSetting {
        topic: "**".into(),
        allow: Action::ALL.into(),
        role: None,
        decide: Decision::Webhook,
    };
    let rules = Rules::compile(&[asks], true).unwrap();
    let mut policy = Policy::new(vec![
        Endpoint::new("/ws", Dialect::Topics, false, rules),
        Endpoint::new("/ws/admin", Dialect::Admin, true, Rules::open()),
    ]);
    policy.webhook_timeout_ms = Some(60_000);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (_, live) = Setup { flush_delay, ..Setup::bare(address, 1, policy) }.live();
    let (waker, watched) = Waker::new().unwrap();
    let mailboxes: Arc<[_]> = Arc::from([Mailbox::new(Box::new(waker))]);
    let (control, thread) = Control::start(Arc::clone(&mailboxes), None).unwrap();
    control.end();
    thread.join().unwrap();
    let common = Arc::new(Common {
        node: 1,
        next: [Renewal::default()].into(),
        crossings: [Crossings::default()].into(),
        live: RwLock::new(Arc::new(live)),
        mailboxes: Arc::clone(&mailboxes),
        metrics: Arc::from([ShardMetrics::new()]),
        control,
        census: Arc::new(Census::new(10, 0)),
        remembered: Remembered::new(),
        scraped_elsewhere: false,
        requests: AtomicUsize::new(0),
        draining: AtomicBool::new(false),
        over: AtomicBool::new(false),
        barrier: OnceLock::new(),
    });
    let parts = Parts {
        id: 0,
        mailboxes,
        interest: Interest::new(),
        policy: Arc::clone(&common.live().policy),
        metrics: Arc::clone(&common.metrics[0]),
        seed: 1,
        node: 1,
        all_metrics: Arc::clone(&common.metrics),
        secrets: Box::new(NotSecret(1)),
    };
    let sockets = Sockets::new(watched, Arc::clone(&common.census)).unwrap();
    Local::new(Shard::new(parts, clock::now()), sockets, 0, common)
}

/// Lets a client in; its end of the socket.
fn enter(local: &Local, endpoint: u8) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let who = IdentityParts { user_id: "1", roles: &["admin"], ..Default::default() };
    let identity = Identity::new(&who, TopicBounds::default()).unwrap();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let arrival = Arrival { identity: Some(identity), ..Arrival::new(endpoint, address) };
    local.admit(arrival, Wire { fd: ours.into(), tls: None }, Vec::new());
    theirs
}

fn say(client: &mut UnixStream, text: &str) {
    assert!(text.len() < 126, "short texts only");
    let head = [0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    client.write_all(&[&head, text.as_bytes()].concat()).unwrap();
}

fn heard(client: &mut UnixStream) -> String {
    let mut bytes = vec![0; 64 << 10];
    match client.read(&mut bytes) {
        Ok(read) => String::from_utf8_lossy(&bytes[..read]).into_owned(),
        Err(error) if error.kind() == ErrorKind::WouldBlock => String::new(),
        Err(error) => panic!("{error}"),
    }
}

fn turn(local: &Local) -> bool {
    local.turn(&mut vec![0; READ_BUFFER_BYTES])
}

#[test]
fn what_is_said_between_two_turns_is_flushed_at_the_bound() {
    let local = local(Duration::ZERO);
    let _client = enter(&local, TOPICS);
    let audience = Arc::new(Audience::Everyone);
    let topic = announcement::topic_of(&audience);
    let message = format!("\"{}\"", "x".repeat(TURN_BYTES_MAX / 8));
    for _ in 0..2 * 8 {
        let publication = announcement::publication(&topic, &message, clock::now().wall);
        local.announce(&publication, &audience).unwrap();
        assert!(!local.shard.borrow().is_full());
    }
}

#[test]
fn a_question_without_room_is_denied_in_its_own_turn() {
    let local = local(Duration::ZERO);
    let mut client = enter(&local, TOPICS);
    turn(&local);
    say(&mut client, r#"{"type":"subscribe","topic":"a"}"#);
    turn(&local);
    let heard = heard(&mut client);
    assert!(heard.contains(r#""type":"error""#), "{heard:?}");
}

#[test]
fn an_operators_question_keeps_nobody_awake_while_output_gathers() {
    let local = local(Duration::from_hours(1));
    let mut client = enter(&local, TOPICS);
    let mut operator = enter(&local, ADMIN);
    turn(&local);
    say(&mut client, r#"{"type":"ping"}"#);
    say(&mut operator, r#"{"type":"stats"}"#);
    let follow: Vec<bool> = (0..TURNS).map(|_| turn(&local)).collect();
    assert_eq!(follow.last(), Some(&false), "{follow:?}");
    assert!(heard(&mut client).is_empty() && heard(&mut operator).is_empty(), "it gathers");
    let shard = &mut *local.shard.borrow_mut();
    shard.flush(clock::now(), &mut *local.sockets.borrow_mut());
    assert!(heard(&mut client).contains("pong") && heard(&mut operator).contains("stats"));
}

#[test]
fn an_operators_requests_beyond_the_bound_are_counted() {
    let local = local(Duration::ZERO);
    let mut operator = enter(&local, ADMIN);
    turn(&local);
    // One is carried out, so many wait.
    for _ in 0..1 + OPERATOR_REQUESTS_MAX + 3 {
        say(&mut operator, r#"{"type":"stats"}"#);
    }
    turn(&local);
    assert_eq!(local.metrics().operator_requests_refused_total.get(), 3);
    assert_eq!(local.metrics().refusals_total.get(), 3);
}

/// A session that is not there, on a shard.
fn nobody(shard: u8) -> Sid {
    Sid::new(shard, 7, Secret::new(&mut NotSecret(1)))
}

#[test]
fn a_session_that_is_not_there_is_answered_for_in_the_next_turn() {
    let local = local(Duration::ZERO);
    for sid in [nobody(0), nobody(1)] {
        for asked in [Asked::Look, Asked::Poll, Asked::Post(Box::default())] {
            let mut asking = pin!(local.ask(sid, asked));
            assert_eq!(asking.as_mut().now_or_never(), None);
            turn(&local);
            assert_eq!(asking.now_or_never(), Some(Some(HttpReply::Bad(Fault::Session))));
        }
    }
    assert!(!local.polls.tells());
}

#[test]
fn a_session_hears_of_a_poll_that_went_away_before_it_took_its_answer() {
    let local = local(Duration::ZERO);
    drop(local.ask(nobody(0), Asked::Poll));
    assert!(local.polls.tells());
    // Before whatever is asked next.
    let next = local.ask(nobody(0), Asked::Poll);
    assert!(!local.polls.tells());
    // A refusal that it does not take carries nothing that is lost; records do.
    turn(&local);
    drop(next);
    assert!(!local.polls.tells());
    let next = local.ask(nobody(0), Asked::Poll);
    local.polls.reply_to_last(HttpReply::Body(b"4a".to_vec()));
    drop(next);
    assert!(local.polls.tells());
    turn(&local);
    assert!(!local.polls.tells());
    // What was posted stays so, and who only looked took nothing.
    drop(local.ask(nobody(0), Asked::Post(Box::default())));
    drop(local.ask(nobody(0), Asked::Look));
    assert!(!local.polls.tells());
    turn(&local);
}

#[test]
fn a_socket_without_a_session_is_closed_wherever_it_came_to() {
    let local = local(Duration::ZERO);
    for (sid, comes_from_another) in [(nobody(0), true), (nobody(0), false), (nobody(1), false)] {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let arrival = Arrival::new(TOPICS, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let wire = Wire { fd: ours.into(), tls: None };
        let early = b"early".to_vec();
        if comes_from_another {
            let errand = Errand::TakeOver { sid, arrival };
            local.common.crossings[0].put(Crossing { errand, wire, early }).unwrap();
            turn(&local);
        } else {
            local.bring(sid, arrival, wire, early);
        }
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0, "it is closed");
    }
}

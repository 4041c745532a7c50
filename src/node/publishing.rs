//! `POST /api/publish` carried out: items to the shard in their order, counts awaited, one reply.
//!
//! Called by `serve/` for a request that may publish. What an item is and how a result reads is
//! `http/publish`; an `id` that was seen of late is answered from `remembered.rs`.

use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tokio::sync::oneshot;

use crate::close::Refusal;
use crate::http::publish::{self, Body, Checked, Published, result};
use crate::http::{self, Answer};
use crate::limits::{BATCH_BODY_FACTOR, BATCH_ITEMS_PER_TURN, RETRY_MS};
use crate::node::body::{body, too_large};
use crate::node::clock;
use crate::node::local::Local;
use crate::node::remembered::{Claim, Outcome};
use crate::shard::Settled;

/// What came of one publish.
pub(super) type Results = Result<Published, Refusal>;

/// Answers a request that may publish.
pub(super) async fn answer(local: &Rc<Local>, request: Request<Incoming>) -> Answer {
    let body = match read(local, request).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    // All are published, in their order, before the first count is awaited.
    let mut begun = Vec::with_capacity(body.items.len());
    for (number, item) in body.items.iter().enumerate() {
        // The shard's connections, and other shards' mailboxes, get their turn in between.
        while (number + 1) % BATCH_ITEMS_PER_TURN == 0 || local.is_crowded() {
            local.wake.notify_one();
            tokio::task::yield_now().await;
            if !local.is_crowded() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
        }
        begun.push(begin(local, item));
    }
    local.wake.notify_one();
    let mut results = Vec::with_capacity(begun.len());
    for (item, begun) in body.items.iter().zip(begun) {
        let id = item.as_ref().ok().and_then(|item| item.id.as_deref());
        results.push((begun.finish().await, id));
    }
    if body.is_batch {
        let all = publish::results(results.iter().map(|(outcome, id)| result(outcome, *id)));
        return http::json(StatusCode::OK, &all);
    }
    let Some((outcome, id)) = results.pop() else {
        unreachable!("a body that is no batch has one item")
    };
    match outcome {
        Ok(_) => http::json(StatusCode::OK, &result(&outcome, id)),
        Err(refusal) => http::refused(refusal),
    }
}

async fn read(local: &Local, request: Request<Incoming>) -> Result<Body, Answer> {
    let live = local.common.live();
    let policy = &live.policy;
    let bytes_max = policy.message_bytes_max;
    let body = body(&live, request, bytes_max * BATCH_BODY_FACTOR).await?;
    let read = Body::read(&body, policy.topic_bounds, bytes_max)
        .map_err(|error| http::error(StatusCode::BAD_REQUEST, &error))?;
    if !read.is_batch && body.len() > bytes_max {
        return Err(too_large());
    }
    Ok(read)
}

/// An item on its way.
enum Begun {
    Refused(Refusal),
    Counting(oneshot::Receiver<Settled>),
    Remembered(Outcome),
}

fn begin(local: &Rc<Local>, item: &Result<Checked, Refusal>) -> Begun {
    let item = match item {
        Ok(item) => item,
        Err(refusal) => return Begun::Refused(*refusal),
    };
    let Some(name) = item.name() else {
        return publish(local, item).map_or_else(Begun::Refused, Begun::Counting);
    };
    match local.common.remembered.claim(item.topic(), name, clock::now().mono_ms) {
        Claim::Theirs(outcome) => Begun::Remembered(outcome),
        Claim::Full => {
            local.metrics().publishes_refused_total.add(1);
            Begun::Refused(Refusal::Overloaded)
        }
        Claim::Ours(settle, outcome) => {
            match publish(local, item) {
                Err(refusal) => {
                    local.common.remembered.forget(item.topic(), name);
                    settle.send_replace(Some(Err(refusal)));
                }
                // A task of its own: the outcome is kept though whoever asked goes away.
                Ok(counting) => {
                    tokio::task::spawn_local(async move {
                        settle.send_replace(Some(settled(counting).await));
                    });
                }
            }
            Begun::Remembered(outcome)
        }
    }
}

fn publish(local: &Local, item: &Checked) -> Result<oneshot::Receiver<Settled>, Refusal> {
    local.publish(&item.publication(clock::now().wall))
}

/// Awaits what came of a publish.
pub(super) async fn settled(counting: oneshot::Receiver<Settled>) -> Results {
    let settled = counting.await.map_err(|_| Refusal::ShuttingDown)?;
    Ok(Published { delivered: settled.delivered, position: settled.position })
}

impl Begun {
    async fn finish(self) -> Results {
        match self {
            Self::Refused(refusal) => Err(refusal),
            Self::Counting(counting) => settled(counting).await,
            Self::Remembered(mut outcome) => {
                let known = outcome.wait_for(Option::is_some).await;
                known.ok().and_then(|known| *known).unwrap_or(Err(Refusal::ShuttingDown))
            }
        }
    }
}

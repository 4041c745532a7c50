//! Who asks what at the same time: one question is on the way once, and only so many are.

use std::future::Future;

use futures_util::future::join_all;

use super::*;

/// Puts so many askers of one question on the way.
fn crowd<'a>(
    webhook: &'a Webhook,
    topic: &'a str,
    askers: u32,
) -> impl Future<Output = Vec<Option<Answer>>> + 'a {
    let each = move |index| async move { webhook.ask(&question(topic), connection(index)).await };
    join_all((0..askers).map(each))
}

#[tokio::test]
async fn the_same_question_is_on_the_way_once() {
    let open = r#"{"allow":true,"ttl":1}"#;
    let server = Server::held(move |seen| {
        if seen.body.contains("open") { Reply::Ok(open) } else { Reply::Status(500, "") }
    })
    .await;
    let (webhook, clock) = webhook(&settings(&server.url));
    let answers =
        async { tokio::join!(crowd(&webhook, "open", 50), crowd(&webhook, "broken", 50)) };
    let release = async {
        server.asked(2).await;
        server.release(2);
    };
    let ((open, broken), ()) = tokio::join!(answers, release);
    assert_eq!(open, vec![answer(true, 1000); 50]);
    // They share the failure, and it is not remembered.
    assert_eq!(broken, vec![None; 50]);
    assert_eq!(server.count(), 2);
    assert!(server.seen()[0].body.contains(&connection(0).to_string()));
    assert!(webhook.lock().open.is_empty());
    server.release(2);
    assert_eq!(crowd(&webhook, "open", 10).await.len(), 10);
    assert_eq!(server.count(), 2);
    assert_eq!(crowd(&webhook, "broken", 10).await, vec![None; 10]);
    assert_eq!(server.count(), 3);
    clock.advance(1000);
    assert_eq!(crowd(&webhook, "open", 10).await, vec![answer(true, 1000); 10]);
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn who_goes_away_takes_nobody_along() {
    let server = Server::held(|_| Reply::Ok(r#"{"allow":true}"#)).await;
    let (webhook, _) = webhook(&settings(&server.url));
    let spawn = |index| {
        let webhook = Arc::clone(&webhook);
        tokio::spawn(async move { webhook.ask(&question("a"), connection(index)).await })
    };
    let first = spawn(1);
    server.asked(1).await;
    let second = spawn(2);
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    // The second asks in its place.
    server.asked(2).await;
    server.release(2);
    assert_eq!(second.await.unwrap(), answer(true, 30_000));
    assert!(webhook.lock().open.is_empty());
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_is_given_up() {
    let server = Server::held(|_| Reply::Ok(r#"{"allow":true}"#)).await;
    let (webhook, _) = webhook(&settings(&server.url));
    let asker = Arc::clone(&webhook);
    let only = tokio::spawn(async move { asker.ask(&question("b"), connection(3)).await });
    server.asked(1).await;
    assert_eq!(webhook.lock().open.len(), 1);
    only.abort();
    assert!(only.await.unwrap_err().is_cancelled());
    assert!(webhook.lock().open.is_empty());
}

#[tokio::test]
async fn only_so_many_requests_are_on_the_way() {
    let server = Server::held(|_| Reply::Ok(r#"{"allow":true}"#)).await;
    let (webhook, _) = webhook(&settings(&server.url));
    let all = WEBHOOK_REQUESTS_MAX + 20;
    let topics: Vec<String> = (0..all).map(|number| format!("t{number}")).collect();
    let answers = join_all(topics.iter().map(|topic| ask(&webhook, topic)));
    let release = async {
        server.asked(WEBHOOK_REQUESTS_MAX).await;
        server.release(all);
    };
    let (answers, ()) = tokio::join!(answers, release);
    assert!(answers.iter().flatten().all(|answer| answer.allowed));
    assert_eq!(server.count(), all);
    assert_eq!(server.most(), WEBHOOK_REQUESTS_MAX);
}

#[tokio::test]
async fn who_waits_for_room_waits_no_longer_than_the_time() {
    let server = Server::held(|_| Reply::Ok(r#"{"allow":true}"#)).await;
    let limited = WebhookSettings { timeout_ms: SHORT_MS, ..settings(&server.url) };
    let (webhook, _) = webhook(&limited);
    let topics: Vec<String> =
        (0..WEBHOOK_REQUESTS_MAX + 20).map(|number| format!("t{number}")).collect();
    let answers = join_all(topics.iter().map(|topic| ask(&webhook, topic))).await;
    assert!(answers.iter().all(Option::is_none));
    assert!(webhook.lock().open.is_empty());
}

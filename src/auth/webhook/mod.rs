//! The webhook: questions out over HTTP, answers back, remembered and never asked twice at once.
//!
//! The one part of `auth` that meets the outside. It lives on the control thread's runtime; shards
//! know it by mail alone. The same question asked while its answer is on the way waits for that
//! answer, a failure too, and a good answer is remembered for the process. Whatever is not an
//! answer in time denies and is not remembered. No secret, no signature and nothing of the URL
//! comes into a log. Specification: protocols.md section 6, section 11 "Rules".

mod client;
mod form;
mod settings;

use std::collections::HashMap;
use std::fmt;
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ahash::RandomState;
use aws_lc_rs::hmac;
use tokio::sync::{OnceCell, Semaphore};

use super::answers::Answers;
use super::question::Question;
use crate::connection::ConnectionId;
use crate::limits::{WEBHOOK_REMARK_MS, WEBHOOK_REQUESTS_MAX};
use crate::mail::Answer;
use crate::secret::Secret;
use crate::time::Now;
use client::{Client, Failure, Signed};
pub use client::{WebhookError, check_url};
pub use settings::WebhookSettings;

/// The webhook of a running node.
pub struct Webhook {
    settings: WebhookSettings,
    client: Client,
    key: Option<hmac::Key>,
    timeout: Duration,
    clock: Box<dyn Fn() -> Now + Send + Sync>,
    /// A permit for each request at a time.
    room: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answers: Answers,
    /// Questions on the way, whoever asked them.
    open: HashMap<Arc<Question>, Cell, RandomState>,
    /// When the last failure of each kind was said.
    remarked_ms: Vec<(Discriminant<Failure>, u64)>,
    /// Failures since, of which nothing was said.
    unsaid: u64,
}

/// Where all who wait for one answer find it.
type Cell = Arc<OnceCell<Option<Answer>>>;

impl Webhook {
    /// Makes ready; asks nobody. `clock` says the time whenever it is wanted.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(
        settings: &WebhookSettings,
        clock: impl Fn() -> Now + Send + Sync + 'static,
    ) -> Result<Self, WebhookError> {
        let key = match settings.secret.as_ref().map(Secret::expose) {
            Some("") => return Err(WebhookError::EmptySecret),
            secret => secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())),
        };
        Ok(Self {
            settings: settings.clone(),
            client: Client::new(&settings.url)?,
            key,
            timeout: Duration::from_millis(settings.timeout_ms),
            clock: Box::new(clock),
            room: Semaphore::new(WEBHOOK_REQUESTS_MAX),
            state: Mutex::default(),
        })
    }

    /// Whether the other is the same one, asked in the same way.
    pub fn is_as(&self, other: &Self) -> bool {
        self.settings == other.settings
    }

    /// The answer to a question, from memory, from another's asking or from the webhook; within
    /// the time limit of a request, or twice that where whoever asked first has given up. `None`: a
    /// failure, which is a denial that is not to be remembered. Needs tokio's runtime with time and
    /// I/O.
    pub async fn ask(&self, question: &Arc<Question>, connection: ConnectionId) -> Option<Answer> {
        let open = match self.open(question) {
            Ok(answer) => return Some(answer),
            Err(open) => open,
        };
        *open.cell.get_or_init(|| self.settle(&open, connection)).await
    }

    /// The remembered answer, or the place where it will be found.
    fn open<'a>(&'a self, question: &'a Arc<Question>) -> Result<Answer, Open<'a>> {
        let mono_ms = (self.clock)().mono_ms;
        let mut state = self.lock();
        if let Some(answer) = state.answers.get_question(question, mono_ms) {
            return Ok(answer);
        }
        let cell = Arc::clone(state.open.entry(Arc::clone(question)).or_default());
        Err(Open { webhook: self, question, cell })
    }

    /// Asks for all who wait, remembers the answer and takes the question off the way.
    async fn settle(&self, open: &Open<'_>, connection: ConnectionId) -> Option<Answer> {
        let answer = self.request(open.question, connection).await;
        let mono_ms = (self.clock)().mono_ms;
        let mut state = self.lock();
        state.close(open);
        match answer {
            Ok(answer) => {
                state.answers.keep(Arc::clone(open.question), answer, mono_ms);
                Some(answer)
            }
            Err(failure) => {
                state.remark(failure, mono_ms);
                None
            }
        }
    }

    async fn request(&self, question: &Question, by: ConnectionId) -> Result<Answer, Failure> {
        let whole = async {
            // The time that it waits here is its own.
            let _permit = self.room.acquire().await.map_err(|_| Failure::Unreachable)?;
            let body = form::question_body(question, by);
            let signed = self.sign(&body);
            self.client.post(body, signed).await
        };
        let body = tokio::time::timeout(self.timeout, whole).await;
        let body = body.map_err(|_| Failure::TimedOut)??;
        let cache_ttl_ms = self.settings.cache_ttl_s.saturating_mul(1000);
        form::read_answer(&body, cache_ttl_ms).ok_or(Failure::Malformed)
    }

    fn sign(&self, body: &str) -> Signed {
        let is_dated = self.settings.signed_timestamp;
        let timestamp = is_dated.then(|| (self.clock)().wall.secs().to_string());
        let signature =
            self.key.as_ref().map(|key| form::signature(key, timestamp.as_deref(), body));
        Signed { signature, timestamp }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two halves of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a question off the way, unless it is on the way anew.
    fn close(&mut self, open: &Open<'_>) {
        if self.open.get(open.question).is_some_and(|cell| Arc::ptr_eq(cell, &open.cell)) {
            self.open.remove(open.question);
        }
    }

    /// Says in the log why a question got no answer; not each time when many do.
    fn remark(&mut self, failure: Failure, mono_ms: u64) {
        if self.is_due(failure, mono_ms) {
            tracing::warn!(unsaid = self.unsaid, "denied, for the webhook failed: {failure}");
            self.unsaid = 0;
        } else {
            self.unsaid += 1;
        }
    }

    /// Whether a failure of this kind was not said of late; it is then.
    fn is_due(&mut self, failure: Failure, mono_ms: u64) -> bool {
        let kind = discriminant(&failure);
        let late = |said: u64| mono_ms.saturating_sub(said) < WEBHOOK_REMARK_MS;
        match self.remarked_ms.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, said)) if late(*said) => return false,
            Some((_, said)) => *said = mono_ms,
            None => self.remarked_ms.push((kind, mono_ms)),
        }
        true
    }
}

/// One who waits for an answer. When all have gone away before it came, the question goes too.
struct Open<'a> {
    webhook: &'a Webhook,
    question: &'a Arc<Question>,
    cell: Cell,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut state = self.webhook.lock();
        // The table's and ours.
        if Arc::strong_count(&self.cell) <= 2 {
            state.close(self);
        }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("signed", &self.key.is_some())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

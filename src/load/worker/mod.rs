//! One process of the load: takes orders, drives its clients, tells what came of it.
//!
//! | file | what |
//! |---|---|
//! | `work` | orders, one after the other, and the loop of turns |
//! | `half` | the connections to one server: who is to be connected when, who leaves and comes back |
//! | `clients`, `seat` | what each connection waits for and hears: the swarm's audience |
//! | `comings` | how connections become ready, and how they go |
//! | `talk` | publishing in a window |
//! | `refusals` | publishes that the server refused, and publishers that stop |
//! | `waiting` | until everyone has what was published, and what to say of those who have not |
//! | `unrest` | churn, storm, slow readers: who and when |
//! | `figures` | counts and latencies of samples and windows |
//! | `token`, `words` | tokens; a server's words, without them |
//!
//! One thread with one epoll for each half; a second thread only reads orders.

mod clients;
mod comings;
mod figures;
mod half;
mod refusals;
mod seat;
mod talk;
#[cfg(test)]
mod tests;
mod token;
mod unrest;
mod waiting;
mod words;
mod work;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use thiserror::Error;

use crate::load::orders::{Order, Tidings};

use work::Worker;

/// Why a worker cannot go on.
#[derive(Debug, Error)]
enum Trouble {
    #[error("an order that is none: {0}")]
    Garbled(#[from] serde_json::Error),
    #[error("an order out of turn: {0}")]
    OutOfTurn(&'static str),
    #[error("{0}: {1}")]
    System(&'static str, #[source] io::Error),
    #[error(
        "in a closed loop a message is on its way until the subscribers of its publisher's own load \
         process have it, and in process {worker} nobody hears {topic}, to which its publisher \
         {publisher} publishes: give a rate, one process, or more subscribers for each topic"
    )]
    Unpaced { worker: u32, publisher: u32, topic: String },
    #[error("every message of every publisher was refused: {0}")]
    Refused(String),
    /// Nobody listens any more.
    #[error("cannot tell: {0}")]
    Unheard(#[source] io::Error),
}

/// Carries out what comes by standard input and tells on standard output, until it is told to
/// leave or either ends.
pub fn run() -> ExitCode {
    let (sender, orders) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(serde_json::from_str(&line)).is_err() {
                return;
            }
        }
    });
    match serve(&orders, io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Orders as they are read; the channel's end is that of the run.
type Orders = Receiver<Result<Order, serde_json::Error>>;

/// The same over any way of getting orders and telling.
fn serve(orders: &Orders, mut out: impl Write) -> Result<(), Trouble> {
    let worked = match orders.recv() {
        Ok(Ok(Order::Begin(begin))) => {
            Worker::new(*begin, &mut out).and_then(|worker| worker.work(orders))
        }
        Ok(Ok(_)) => Err(Trouble::OutOfTurn("the first is to begin")),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Ok(()),
    };
    if let Err(trouble) = &worked {
        // Where nobody listens there is nothing more to be done.
        let _ = tell(&mut out, &Tidings::Failed(trouble.to_string()));
    }
    worked
}

fn tell(out: &mut impl Write, tidings: &Tidings) -> Result<(), Trouble> {
    let mut line = serde_json::to_vec(tidings)?;
    line.push(b'\n');
    out.write_all(&line).and_then(|()| out.flush()).map_err(Trouble::Unheard)
}

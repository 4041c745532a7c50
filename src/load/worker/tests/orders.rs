//! A whole worker that nobody is connected to: which orders follow which.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::super::{Trouble, serve};
use super::*;
use crate::load::clock::now_us;
use crate::load::orders::{Order, Tidings};

type Ordered = Result<Order, serde_json::Error>;

/// What is written, line by line.
struct Told(Sender<Tidings>);

impl Write for Told {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A test that has failed listens no more.
        let _ = self.0.send(serde_json::from_slice(line)?);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What comes next that is no progress.
fn next(told: &Receiver<Tidings>) -> Tidings {
    loop {
        match told.recv_timeout(Duration::from_secs(30)).unwrap() {
            Tidings::Progress(_) => {}
            tidings => return tidings,
        }
    }
}

/// The second of two workers, which has its part: what orders it, what it tells, what it ends with.
fn second_of_two(
    scenario: Scenario,
) -> (Sender<Ordered>, Receiver<Tidings>, thread::JoinHandle<Result<(), Trouble>>) {
    let ((orders, ordered), (tell, told)) = (channel(), channel());
    let worker = thread::spawn(move || serve(&ordered, Told(tell)));
    let begin = Begin { scenario, worker: 1, workers: 2 };
    orders.send(Ok(Order::Begin(Box::new(begin)))).unwrap();
    (orders, told, worker)
}

#[test]
fn a_window_ends_in_two_steps() {
    let mut scenario = scenario((0, 1, 1), Interest::Exact, Some((1, false)));
    scenario.times.drain_ms = 1_000_000;
    // The publisher is the first worker's.
    let (orders, told, worker) = second_of_two(scenario);
    let order = |order| orders.send(Ok(order)).unwrap();
    order(Order::Connect);
    assert!(matches!(next(&told), Tidings::Connected(_)));
    for _ in 0..2 {
        let from_us = now_us();
        let (side, until_us) = (Side::Target, from_us + 1000);
        order(Order::Window(Window { side, from_us, until_us, counted: true, per_s: None }));
        let Tidings::Said { published } = next(&told) else { panic!("it has said all") };
        assert_eq!(published, [0]);
        assert!(now_us() >= until_us);
        order(Order::Finish { published: vec![7] });
        // Nobody here waits for them.
        assert!(matches!(next(&told), Tidings::Window(_)));
    }
    order(Order::Settle { published: vec![7] });
    assert!(matches!(next(&told), Tidings::Settled(_)));
    order(Order::Finish { published: vec![7] });
    let Tidings::Failed(words) = next(&told) else { panic!("there is no window") };
    assert!(words.contains("no window"), "{words}");
    assert!(worker.join().unwrap().is_err());
}

#[test]
fn a_closed_loop_that_nothing_paces_is_refused() {
    // Connection 1 of 2 is this worker's, and does not hear the topic of the other.
    let mut scenario = scenario((2, 2, 1), Interest::Exact, Some((2, false)));
    scenario.talk.as_mut().unwrap().pace = Pace::Closed { in_flight: 4, batch: 1 };
    let (_orders, told, worker) = second_of_two(scenario);
    let Tidings::Failed(words) = next(&told) else { panic!("it cannot be") };
    assert!(words.contains("in process 1 nobody hears bench.t0"), "{words}");
    assert!(worker.join().unwrap().is_err());
}

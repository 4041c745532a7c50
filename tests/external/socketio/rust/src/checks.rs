//! Named checks: each prints `ok NAME` or `not ok NAME: why`, and the sum ends the program.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A check that hangs is given up; its thread is left alone.
const LIMIT: Duration = Duration::from_secs(20);

/// A check's outcome; the error is why it failed.
pub type Done = Result<(), String>;

#[derive(Default)]
pub struct Checks {
    passed: u32,
    failed: u32,
}

impl Checks {
    pub fn check(&mut self, name: &str, run: impl FnOnce() -> Done + Send + 'static) {
        let (sender, outcome) = channel();
        thread::spawn(move || sender.send(run()));
        let late = |_| Err(format!("not done after {} s", LIMIT.as_secs()));
        match outcome.recv_timeout(LIMIT).unwrap_or_else(late) {
            Ok(()) => {
                self.passed += 1;
                println!("ok rust_socketio, {name}");
            }
            Err(why) => {
                self.failed += 1;
                println!("not ok rust_socketio, {name}: {why}");
            }
        }
    }

    /// Prints the sum and ends the program.
    pub fn finish(self) -> ! {
        println!("# {} passed, {} failed", self.passed, self.failed);
        std::process::exit(i32::from(self.failed > 0 || self.passed == 0));
    }
}

pub fn must(is: bool, text: impl FnOnce() -> String) -> Done {
    if is {
        Ok(())
    } else {
        Err(text())
    }
}

pub fn same(is: &Value, ought: &Value, what: &str) -> Done {
    must(is == ought, || format!("{what} is {is}, not {ought}"))
}

//! `shardwire bench` from outside: every profile against the broker, and servers that lose,
//! double, swap, mislead, stall, hang up and die, each of which it has to tell exactly.

mod liar;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use liar::Fault;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Runs `shardwire bench` with these words; its output and the JSON that it wrote.
fn bench(name: &str, words: &str) -> (Output, Value) {
    let json = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}.json"));
    let _ = std::fs::remove_file(&json);
    let output = Command::new(env!("CARGO_BIN_EXE_shardwire"))
        .arg("bench")
        .args(words.split_whitespace())
        .args(["--quiet", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    let text = std::fs::read_to_string(&json).unwrap_or_else(|error| {
        panic!("{name}: {error}\n{}", String::from_utf8_lossy(&output.stderr));
    });
    (output, serde_json::from_str(&text).unwrap())
}

fn count(outcome: &Value, of: &str) -> u64 {
    outcome["deliveries"][of].as_u64().unwrap_or_else(|| panic!("{of} in {outcome}"))
}

fn fine(name: &str, words: &str) -> Value {
    let (output, outcome) = bench(name, words);
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    for fault in ["lost", "duplicated", "out_of_order", "astray"] {
        assert_eq!(count(&outcome, fault), 0, "{name}: {fault}");
    }
    assert_eq!(count(&outcome, "expected"), count(&outcome, "received"), "{name}");
    outcome
}

#[test]
fn every_profile_runs_and_loses_nothing() {
    for (profile, flags) in [
        ("fanout", "--connections 50"),
        ("fanout-burst", "--connections 50"),
        ("rooms", "--connections 60 --topics 6"),
        ("wildcard", "--connections 60 --topics 40"),
        ("chat", "--connections 40 --topics 8"),
        ("churn", "--connections 60 --with churn.per_s=40"),
        ("reconnect", "--connections 100 --with storm.connections=60 --with storm.at=500ms"),
    ] {
        let short = "--warm-up 200ms --measure 1500ms";
        let outcome = fine(profile, &format!("{profile} {flags} {short}"));
        assert!(count(&outcome, "received") > 100, "{profile}: {outcome}");
        assert!(outcome["latency_us"]["p50"].as_u64() > Some(0), "{profile}");
        assert!(outcome["server"]["cpu_us_per_delivery"].as_f64() > Some(0.0), "{profile}");
    }
}

#[test]
fn connections_are_held_and_weighed() {
    let outcome = fine("idle", "idle --connections 500 --measure 500ms");
    assert_eq!(outcome["connecting"]["subscribed"], 500);
    assert_eq!(count(&outcome, "received"), 0);
    let weight = outcome["server"]["rss_bytes_per_connection"].as_f64().unwrap();
    assert!((1.0..20_000.0).contains(&weight), "{weight}");
    let outcome = fine("storm", "storm --connections 300");
    assert!(outcome["server"]["cpu_us_per_connection"].as_f64() > Some(0.0));
    assert!(outcome["connecting"]["latency_us"]["p50"].as_u64() > Some(0));
}

#[test]
fn slow_readers_are_no_loss_of_others() {
    // 300 KB a second for each, of which a slow one reads one.
    let words = "slow --connections 20 --with slow.readers=5 --with slow.bytes_per_s=1024 \
                 --warm-up 100ms --measure 1s";
    let (output, outcome) = bench("slow", words);
    assert!(output.status.success(), "{outcome}");
    assert_eq!(count(&outcome, "lost"), 0);
    let published = count(&outcome, "published");
    assert!(published > 100, "{outcome}");
    // The other 15 get everything; of the five each misses most of it.
    assert!(count(&outcome, "received") >= 15 * published, "{outcome}");
    assert!(count(&outcome, "withheld") > 5 * published / 2, "{outcome}");
    let all = count(&outcome, "received") + count(&outcome, "withheld");
    assert_eq!(count(&outcome, "expected"), all, "{outcome}");
}

#[test]
fn several_processes_are_one_load() {
    let words = "rooms --connections 60 --topics 6 --workers 3 --warm-up 100ms --measure 1s";
    let outcome = fine("workers", words);
    assert_eq!(outcome["load"]["workers"], 3);
    assert!(count(&outcome, "received") > 100);
}

#[test]
fn the_floor_runs_beside_it() {
    let words = "fanout --connections 50 --warm-up 200ms --measure 2s --floor=2";
    let outcome = fine("floor", words);
    let ratio = outcome["floor"]["ratio"][1].as_f64().unwrap();
    assert!((0.2..20.0).contains(&ratio), "{ratio}");
    assert_eq!(outcome["floor"]["pairs"].as_array().unwrap().len(), 2);
}

#[test]
fn compression_and_tokens_are_spoken() {
    let words = "fanout --connections 20 --compression --payload 2048 --measure 500ms";
    let outcome = fine("compression", words);
    let frame_bytes = outcome["deliveries"]["frame_bytes"].as_f64().unwrap();
    assert!((1.0..1000.0).contains(&frame_bytes), "{outcome}");
    let secret = "a-secret-of-32-bytes-or-more-please";
    fine("tokens", &format!("fanout --connections 20 --measure 500ms --secret {secret}"));
}

/// The fault of a server, what it comes to in the account, and for each wrong how many.
#[test]
fn faults_are_told_exactly() {
    for (fault, told) in [
        (Fault::None, "lost"),
        (Fault::Loses(37), "lost"),
        (Fault::Doubles(37), "duplicated"),
        (Fault::Swaps(37), "out_of_order"),
        (Fault::Misleads(5), "astray"),
    ] {
        let (address, wrongs) = liar::start(fault);
        let words = format!(
            "rooms --url ws://{address}/ws --connections 12 --topics 3 --subscriptions 1 \
             --publishers 1 --rate 200 \
             --warm-up 100ms --measure 1s --drain 500ms"
        );
        let (output, outcome) = bench(told, &words);
        let wrongs = wrongs.load(Ordering::Relaxed);
        for of in ["lost", "duplicated", "out_of_order", "astray"] {
            let due = if of == told { wrongs } else { 0 };
            assert_eq!(count(&outcome, of), due, "{fault:?}: {of} of {outcome}");
        }
        assert_eq!(wrongs > 0, fault != Fault::None, "{fault:?}");
        assert_eq!(output.status.code(), Some(i32::from(wrongs > 0)), "{fault:?}");
        let table = String::from_utf8_lossy(&output.stdout);
        assert!(table.contains("lost"), "{table}");
    }
}

/// A subscriber that is hung up on does not hear the rest: not lost, but not fine either.
#[test]
fn a_connection_that_the_server_ends_is_told() {
    for (code, told) in [(Some(1011), 1011), (None, 1006)] {
        let (address, wrongs) = liar::start(Fault::Closes(400, code));
        let words = format!(
            "rooms --url ws://{address}/ws --connections 12 --topics 3 --subscriptions 1 \
             --publishers 1 --rate 200 --warm-up 100ms --measure 1s --drain 500ms"
        );
        let (output, outcome) = bench(&format!("closes-{told}"), &words);
        assert_eq!(wrongs.load(Ordering::Relaxed), 1, "{outcome}");
        assert_eq!(outcome["deliveries"]["closes"], json!([[told, 1]]), "{outcome}");
        assert_eq!(count(&outcome, "lost"), 0, "{outcome}");
        assert!(count(&outcome, "withheld") > 0, "{outcome}");
        assert_eq!(output.status.code(), Some(1), "{told}");
    }
}

#[test]
fn a_server_that_dies_is_told() {
    let (address, wrongs) = liar::start(Fault::Dies(400));
    let words = format!(
        "rooms --url ws://{address}/ws --connections 12 --topics 3 --subscriptions 1 \
         --publishers 1 --rate 200 --warm-up 100ms --measure 1s --drain 500ms"
    );
    let (output, outcome) = bench("dies", &words);
    assert_eq!(wrongs.load(Ordering::Relaxed), 1, "{outcome}");
    let closes = outcome["deliveries"]["closes"].as_array().unwrap();
    let ended: u64 = closes.iter().map(|close| close[1].as_u64().unwrap()).sum();
    assert!(ended >= 12, "all of the crowd: {outcome}");
    assert_eq!(output.status.code(), Some(1));
}

/// Coordinated omission: while the server stands still for a second, messages come due all the same,
/// and each of them has waited. A load that counts from its own sends would see one slow message.
#[test]
fn a_stall_is_counted_by_every_message_that_was_due() {
    let (address, _) = liar::start(Fault::Stalls(300, Duration::from_secs(1)));
    let words = format!(
        "fanout --url ws://{address}/ws --connections 2 --rate 200 --warm-up 100ms --measure 4s"
    );
    let outcome = fine("stall", &words);
    let latency = &outcome["latency_us"];
    assert!(latency["max"].as_u64() > Some(900_000), "{latency}");
    // 200 of 800 messages waited, half a second on average.
    assert!(latency["p90"].as_u64() > Some(300_000), "{latency}");
    assert!(latency["p50"].as_u64() < Some(300_000), "{latency}");
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_shardwire"))
        .args(["bench", "fanout", "--url", "ws://127.0.0.1:9/ws", "--connections", "3", "--quiet"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("127.0.0.1:9"), "{words}");
}

/// Who may not subscribe must not publish against the server either: nothing is measured then.
#[test]
fn a_crowd_that_is_refused_floods_nobody() {
    let broker = "a-secret-of-32-bytes-or-more-please";
    let mut served = Command::new(env!("CARGO_BIN_EXE_shardwire"))
        .args(["serve", "--host", "127.0.0.1", "--port", "0", "--until-input-ends"])
        .env("JWT_SECRET", broker)
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(served.stderr.take().unwrap());
    let address = std::io::BufRead::lines(lines)
        .map_while(Result::ok)
        .find_map(|line| line.split_once("listening on http://").map(|(_, it)| it.to_owned()))
        .unwrap();
    let url = format!("ws://{address}/ws");
    let output = Command::new(env!("CARGO_BIN_EXE_shardwire"))
        .args(["bench", "fanout", "--url", &url, "--connections", "10", "--quiet"])
        .output()
        .unwrap();
    drop(served.stdin.take());
    served.wait().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("nobody could connect and subscribe"), "{words}");
    assert!(words.contains("401"), "{words}");
}

#[test]
fn a_rate_that_is_held_is_found() {
    let words =
        "fanout --connections 20 --find-rate=500ms --rate 50 --warm-up 100ms --measure 300ms";
    let (_, outcome) = bench("search", words);
    let search = &outcome["search"];
    let steps = search["steps"].as_array().unwrap();
    let rate = |step: &Value| step["per_s"].as_f64().unwrap();
    assert!(steps.len() > 1 && (rate(&steps[0]) - 50.0).abs() < f64::EPSILON, "{search}");
    for step in steps.iter().filter(|step| step["held"] == true) {
        assert!(step["latency_us"]["p99"].as_u64() <= Some(500_000), "{step}");
        assert!(step["delivered_per_s"].as_f64() > Some(10.0 * rate(step)), "{step}");
    }
    // How high it comes is the machine's matter; that it tells the highest is not.
    let held = steps.iter().filter(|step| step["held"] == true).map(rate).reduce(f64::max);
    assert_eq!(search["held_per_s"].as_f64(), held, "{search}");
    assert_eq!(outcome["deliveries"]["lost"], 0);
}

#[test]
fn what_was_measured_until_an_interrupt_is_told() {
    let json = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-interrupted.json");
    let _ = std::fs::remove_file(&json);
    let mut run = Command::new(env!("CARGO_BIN_EXE_shardwire"))
        .args(["bench", "fanout", "--connections", "20", "--warm-up", "0s", "--measure", "60s"])
        .arg("--json")
        .arg(&json)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What it says on the way tells when it measures.
    let mut says = BufReader::new(run.stderr.take().unwrap()).lines();
    says.find(|line| line.as_ref().unwrap().starts_with("measure")).unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(800));
    let pid = Pid::from_child(&run);
    kill_process(pid, Signal::INT).unwrap();
    says.for_each(drop);
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let outcome: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(outcome["interrupted"], true);
    assert!(count(&outcome, "measured") > 0, "{outcome}");
    assert_eq!(outcome["deliveries"]["lost"], Value::Null, "not judged");
}

//! Whole runs against workers and servers that are shell scripts: they say what a worker would.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::load::outcome::Outcome;
use crate::load::scenario::{
    Credentials, Crowd, Interest, Mode, Pace, Search, Spoken, Talk, Target, Times as ScenarioTimes,
};

/// A scenario as small as can be.
pub(super) fn scenario() -> Scenario {
    Scenario {
        name: "test".into(),
        target: Target {
            address: ([127, 0, 0, 1], 1).into(),
            host: "localhost".into(),
            path: "/ws".into(),
            tls: None,
            dialect: Spoken::Topics,
            compression: false,
            credentials: Credentials::None,
        },
        crowd: Crowd {
            connections: 10,
            topics: 1,
            subscriptions: 1,
            interest: Interest::Exact,
            connect_per_s: 0,
            connecting_max: 10,
            per_address: 1000,
            workers: 2,
            processors: Vec::new(),
        },
        talk: Some(Talk {
            publishers: 1,
            members: false,
            pace: Pace::Closed { in_flight: 16, batch: 16 },
            payload_bytes: 128,
        }),
        churn: None,
        slow: None,
        storm: None,
        times: ScenarioTimes {
            warm_up_ms: 20,
            settle_ms: 20,
            measure_ms: 60,
            drain_ms: 100,
            sample_ms: 10,
        },
        floor_pairs: 0,
        floor_mode: Mode::Together,
        search: None,
    }
}

/// Answers each order at once; `$0` may say more.
const WORKER: &str = r#"
while read -r order; do
    case $order in
    '{"begin"'*) ;;
    '"connect"' | '{"floor"'*)
        echo '{"progress":{"at_us":99999999999999,"open":5,"subscribed":5,"published":0,
            "delivered":0,"window_delivered":0,"latency":[],"cpu_us":1}}' | tr -d '\n '; echo
        echo '{"connected":{"subscribed":5,"publishers":0,"failed":0,"reasons":[],
            "latency":[[100,5]],"took_us":1000,"resident_bytes":[0,500]}}' | tr -d '\n '; echo ;;
    '{"window"'*) echo '{"said":{"published":[3]}}' ;;
    '{"finish":{"published":[6]}}')
        echo '{"window":{"published":1,"delivered":50,"delivered_bytes":5000,
            "latency":[[70,50]],"returned":[],"last_us":0,"overdue":0,"owed":0,"unsent":0,"unread":0,"refused":0,"late":[],"spun_us":0,
            "published_by_stream":[3]}}' | tr -d '\n '; echo ;;
    '{"settle":{"published":[6]}}')
        echo '{"settled":{"expected":50,"received":50,"lost":0,"unarrived":0,"duplicated":0,"out_of_order":0,
            "astray":0,"early":0,"withheld":0,"closes":[],"closes_slow":[],"refused":0,"publishes_refused":0,
            "replaced":0,"away":0,"unjudged":0,"troubles":[]}}' | tr -d '\n '; echo ;;
    '"leave"') exit ;;
    *) echo "{\"failed\":\"what is $order\"}" | tr '[]' '()' ;;
    esac
done
"#;

/// Listens, so to say, until its input ends.
const BROKER: &str = "echo listening on http://127.0.0.1:7 >&2; cat >/dev/null";

/// Tells that it has sent so much more each time.
const FLOOR: &str = r#"
echo 127.0.0.1:9
while read -r _; do
    echo "{\"sends\":$((n += 10)),\"deliveries\":0,\"cpu_ns\":${n}000,\"waits\":0,\"lost\":0}"
done
"#;

fn programs(worker: &str) -> Programs {
    let shell = |script: &str| ["sh", "-c", script, "sh"].map(PathBuf::from).to_vec();
    Programs { worker: shell(worker), floor: shell(FLOOR), broker: shell(BROKER) }
}

#[derive(Default)]
struct Watched {
    phases: Vec<Phase>,
    samples: usize,
    remarks: Vec<String>,
    last: Live,
    /// Raised when something measured has been delivered.
    interrupt: Option<Arc<AtomicBool>>,
}

impl Watch for Watched {
    fn sample(&mut self, _sample: &Sample, totals: &Live) {
        if let Some(flag) = self.interrupt.as_ref().filter(|_| totals.delivered > 0) {
            flag.store(true, Ordering::SeqCst);
        }
        self.samples += 1;
        self.last = *totals;
    }

    fn phase(&mut self, phase: Phase, _length: Duration) {
        self.phases.push(phase);
    }

    fn remark(&mut self, remark: &str) {
        self.remarks.push(remark.to_owned());
    }
}

fn run_of(scenario: Scenario, worker: &str) -> (Result<Outcome, Problem>, Watched) {
    let mut watched = Watched::default();
    let outcome = run_and_watch(scenario, worker, &mut watched, Interrupt::default());
    (outcome, watched)
}

fn run_and_watch(
    scenario: Scenario,
    worker: &str,
    watched: &mut Watched,
    interrupt: Interrupt,
) -> Result<Outcome, Problem> {
    run_with(&programs(worker), plan(scenario), watched, interrupt)
}

fn plan(scenario: Scenario) -> Plan {
    Plan {
        scenario,
        command: "typed".into(),
        pid: None,
        metrics: None,
        own: Some(OwnBroker::default()),
    }
}

#[test]
fn a_run_goes_through_its_phases() {
    let (outcome, watched) = run_of(scenario(), WORKER);
    let outcome = outcome.unwrap();
    assert_eq!(watched.phases, [Phase::Connect, Phase::WarmUp, Phase::Measure, Phase::Drain]);
    assert_eq!((outcome.deliveries.measured, outcome.deliveries.published), (100, 2));
    assert_eq!(outcome.deliveries.account().received, 100);
    assert_eq!(outcome.connecting.subscribed, 10);
    assert_eq!(outcome.load.workers, 2);
    assert_eq!(outcome.scenario.target.address, ([127, 0, 0, 1], 7).into());
    assert_eq!((watched.last.connected, watched.last.wanted), (10, 10));
    assert!(watched.samples > 0 && watched.samples == outcome.samples.len());
    let server = outcome.server.unwrap();
    assert!(server.rss_bytes.unwrap()[1] > 0, "{server:?}");
    assert_eq!(server.processes, 2, "the shell and what it started");
    // 100 deliveries in 60 ms, whatever the clock says besides.
    assert!((outcome.deliveries.per_second.unwrap() - 100.0 / 0.06).abs() < 1.0);
    assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
    assert_eq!(watched.remarks, outcome.remarks);
}

#[test]
fn a_run_in_which_nothing_goes_well_is_unsound() {
    let script = WORKER
        .replace(r#""published":1,"#, r#""published":0,"#)
        .replace(r#""closes":[]"#, r#""closes":[[1001,2]]"#)
        .replace(r#""away":0"#, r#""away":1"#)
        .replace(r#""failed":0"#, r#""failed":3"#);
    let (outcome, watched) = run_of(scenario(), &script);
    let outcome = outcome.unwrap();
    let faults = [
        "4 connections were ended by the server (1001)",
        "2 did not come back",
        "6 of 11 connections failed",
        "nothing was published",
    ];
    assert_eq!(outcome.faults, faults);
    assert_eq!(watched.remarks[..4], faults);
    assert!(!crate::load::judge::is_sound(&outcome));
}

#[test]
fn the_floor_is_measured_in_turns() {
    let mut scenario = scenario();
    scenario.floor_pairs = 3;
    let (outcome, watched) = run_of(scenario, WORKER);
    let outcome = outcome.unwrap();
    let before = [Phase::Connect, Phase::WarmUp, Phase::Connect, Phase::WarmUp];
    let (target, floor) = (Phase::Measure, Phase::Floor);
    assert_eq!(watched.phases[..4], before);
    assert_eq!(watched.phases[4..10], [target, floor, floor, target, target, floor]);
    assert_eq!(watched.phases[10..], [Phase::Drain]);
    assert_eq!(outcome.deliveries.measured, 300);
    let floor = outcome.floor.unwrap();
    assert_eq!(floor.pairs.len(), 3);
    // Ten sends in 10 µs in each window, for 100 deliveries.
    assert_eq!((floor.cpu_us_per_send, floor.cpu_us_per_delivery), (1.0, 0.1));
}

/// Talks in a window, once that has begun, and never says that it is over.
const ENDLESS: &str = r#"
    '{"window"'*)
        sleep 0.05
        for at in 1 2 3; do
            echo '{"progress":{"at_us":99999999999999'$at',"open":5,"subscribed":5,"published":1,
                "delivered":25,"window_delivered":20,"latency":[[70,20]],"cpu_us":1}}' | tr -d '\n '; echo
        done ;;
"#;

#[test]
fn an_interrupted_run_tells_what_was_measured() {
    let mut scenario = scenario();
    scenario.times.warm_up_ms = 0;
    scenario.times.measure_ms = 600_000;
    let said = r#"    '{"window"'*) echo '{"said":{"published":[3]}}' ;;"#;
    assert!(WORKER.contains(said));
    let interrupt = Interrupt::default();
    let mut watched = Watched { interrupt: Some(interrupt.flag()), ..Watched::default() };
    let worker = WORKER.replace(said, ENDLESS);
    let from = Instant::now();
    let outcome = run_and_watch(scenario, &worker, &mut watched, interrupt).unwrap();
    assert!(from.elapsed() < Duration::from_mins(1), "the window is not waited for");
    assert!(outcome.interrupted);
    // Some of what two workers have told, at whole samples.
    let deliveries = &outcome.deliveries;
    assert!((1..=6).contains(&deliveries.published), "{deliveries:?}");
    assert_eq!(deliveries.measured, 20 * deliveries.published);
    assert!(deliveries.per_second.unwrap() > 0.0);
    assert_eq!(outcome.latency_us.unwrap().p99, 70);
    assert_eq!(outcome.connecting.subscribed, 10);
    assert!(outcome.remarks[0].starts_with("interrupted: "), "{:?}", outcome.remarks);
    assert!(outcome.server.unwrap().cpu_us.is_some());
}

#[test]
fn interrupted_in_the_drain_the_time_of_late_deliveries_counts() {
    let mut scenario = scenario();
    scenario.times.warm_up_ms = 0;
    // The same progress, when the window is over and what is on its way is waited for.
    let late = ENDLESS.replace(r#"{"window"'*"#, r#"{"finish"'*"#).replace("0.05", "0.3");
    let finish = r#"    '{"finish":{"published":[6]}}')"#;
    assert!(WORKER.contains(finish));
    let worker = WORKER.replace(finish, &format!("{late}{finish}"));
    let interrupt = Interrupt::default();
    let mut watched = Watched { interrupt: Some(interrupt.flag()), ..Watched::default() };
    let outcome = run_and_watch(scenario, &worker, &mut watched, interrupt).unwrap();
    assert!(outcome.interrupted);
    let deliveries = &outcome.deliveries;
    // Of 25 deliveries each time 20 were of the window, which lasted 60 ms; they came 280 ms after it began.
    assert_eq!(deliveries.measured, 20 * deliveries.published);
    assert!(deliveries.measured > 0);
    assert!(deliveries.per_second.unwrap() * 0.2 < deliveries.measured as f64, "{deliveries:?}");
    assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
}

#[test]
fn interrupted_before_anybody_connects_there_is_no_outcome() {
    let interrupt = Interrupt::default();
    interrupt.flag().store(true, Ordering::SeqCst);
    let problem = run_and_watch(scenario(), WORKER, &mut Watched::default(), interrupt);
    assert!(matches!(problem, Err(Problem::Interrupted)), "{problem:?}");
}

/// Answers a window: as slow as can be told when it is of 800 messages a second.
const SLOW_AT_800: &str = r#"    '{"window"'*'"per_s":800.0'*) us=5000; echo '{"said":{"published":[3]}}' ;;
    '{"window"'*) us=70; echo"#;

#[test]
fn the_highest_rate_that_is_held_is_found() {
    let mut scenario = scenario();
    scenario.talk.as_mut().unwrap().pace = Pace::Open { per_s: 200.0 };
    scenario.search = Some(Search { p99_us: 1000, within_percent: 10 });
    let said = r#"    '{"window"'*) echo"#;
    let worker = WORKER.replace(said, SLOW_AT_800).replace("[[70,50]]", "[['$us',50]]");
    let (outcome, watched) = run_of(scenario.clone(), &worker);
    let outcome = outcome.unwrap();
    let search = outcome.search.unwrap();
    let rates: Vec<_> = search.steps.iter().map(|step| (step.per_s as u32, step.held)).collect();
    let held = |per_s| (per_s, true);
    assert_eq!(rates, [held(200), held(400), (800, false), held(600), held(700), held(750)]);
    assert_eq!((search.held_per_s, search.failed_per_s), (Some(750.0), Some(800.0)));
    assert!(search.steps[2].because.starts_with("p99 5.0 ms"), "{:?}", search.steps[2]);
    assert_eq!((outcome.latency_us.unwrap().p99, outcome.deliveries.measured), (70, 100));
    let drains = watched.phases.iter().filter(|phase| **phase == Phase::Drain);
    assert_eq!(drains.count(), 2, "what failed drains, and all in the end");

    scenario.talk.as_mut().unwrap().pace = Pace::Closed { in_flight: 1, batch: 1 };
    let (outcome, _) = run_of(scenario, WORKER);
    assert!(matches!(outcome, Err(Problem::NothingToSearch)), "{outcome:?}");
}

/// A server that accepts and never answers.
#[test]
fn connecting_does_not_last_for_ever() {
    let mut watched = Watched::default();
    let programs = programs("while read -r order; do :; done");
    let run = Run::start(&programs, plan(scenario()), &mut watched, Interrupt::default());
    let mut run = run.unwrap();
    let least = Duration::from_mins(1);
    assert!(run.connects_within(least) > 2 * least);
    let problem = run.connect_all(&Order::Connect, Duration::from_millis(50)).unwrap_err();
    assert_eq!(problem.fault(), Fault::Server);
    let words =
        "connecting to 127.0.0.1:7 takes too long: 0 of 10 connections subscribed within 0 s";
    assert_eq!(problem.to_string(), words);
}

#[test]
fn a_worker_that_fails_ends_the_run() {
    for (script, words) in [
        ("echo gone astray >&2; read -r order; exit 1", "gone astray"),
        ("echo '{\"failed\":\"no port is left\"}'; cat", "cannot go on: no port is left"),
        ("echo nonsense; cat", "says what it should not"),
        ("echo '{\"settled\":null}'; cat", "says what it should not"),
        (
            "read -r b; read -r c; echo '{\"connected\":{\"subscribed\":0,\"publishers\":0,\
             \"failed\":5,\"reasons\":[\"429\"],\"latency\":[],\"took_us\":1,\
             \"resident_bytes\":[0,0]}}'; cat",
            ": 429",
        ),
    ] {
        let (outcome, _) = run_of(scenario(), script);
        let problem = outcome.unwrap_err().to_string();
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn a_server_that_ends_ends_the_run() {
    let mut watched = Watched::default();
    let mut programs = programs(WORKER);
    let plan =
        |pid, own| Plan { scenario: scenario(), command: String::new(), pid, metrics: None, own };
    programs.broker[2] = "echo 'error: port taken' >&2; exit 1".into();
    let own = plan(None, Some(OwnBroker::default()));
    let problem = run_with(&programs, own, &mut watched, Interrupt::default()).unwrap_err();
    assert_eq!(problem.fault(), Fault::Server);
    assert!(problem.to_string().contains("port taken"), "{problem}");

    let nobody = plan(Some(1 << 30), None);
    let problem = run_with(&programs, nobody, &mut watched, Interrupt::default()).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "the server cannot be measured: there is no process 1073741824"
    );

    let mut compared = plan(None, None);
    compared.scenario.floor_pairs = 1;
    let problem = run_with(&programs, compared, &mut watched, Interrupt::default()).unwrap_err();
    assert_eq!(problem.fault(), Fault::Asker);
}

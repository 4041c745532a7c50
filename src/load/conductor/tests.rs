//! Whole runs against workers and servers that are shell scripts: they say what a worker would.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::load::outcome::Outcome;
use crate::load::scenario::{
    Credentials, Crowd, Interest, Pace, Spoken, Talk, Target, Times as ScenarioTimes,
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
        times: ScenarioTimes { warm_up_ms: 20, measure_ms: 60, drain_ms: 100, sample_ms: 10 },
        floor_pairs: 0,
        floor_mode: crate::load::floor::Mode::Together,
    }
}

/// Answers each order at once; `$0` may say more.
const WORKER: &str = r#"
while read -r order; do
    case $order in
    '{"begin"'*) ;;
    '"connect"' | '{"floor"'*)
        echo '{"progress":{"at_us":99999999999999,"open":5,"subscribed":5,"published":0,
            "delivered":0,"bytes_in":0,"latency":[],"cpu_us":1}}' | tr -d '\n '; echo
        echo '{"connected":{"subscribed":5,"publishers":0,"failed":0,"reasons":[],
            "latency":[[100,5]],"took_us":1000,"resident_bytes":[0,500]}}' | tr -d '\n '; echo ;;
    '{"window"'*) echo '{"said":{"published":[3]}}' ;;
    '{"finish":{"published":[6]}}')
        echo '{"window":{"published":1,"delivered":50,"delivered_bytes":5000,
            "latency":[[70,50]],"returned":[],"last_us":0,"overdue":0,"late":[],
            "published_by_stream":[3]}}' | tr -d '\n '; echo ;;
    '{"settle":{"published":[6]}}')
        echo '{"settled":{"expected":50,"received":50,"lost":0,"duplicated":0,"out_of_order":0,
            "astray":0,"withheld":0,"closes":[],"refused":0,"replaced":0}}' | tr -d '\n '; echo ;;
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
}

impl Watch for Watched {
    fn sample(&mut self, _sample: &Sample, totals: &Live) {
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
    let plan = Plan {
        scenario,
        command: "typed".into(),
        pid: None,
        metrics: None,
        own: Some(OwnBroker::default()),
    };
    let outcome = run_with(&programs(worker), plan, &mut watched);
    (outcome, watched)
}

#[test]
fn a_run_goes_through_its_phases() {
    let (outcome, watched) = run_of(scenario(), WORKER);
    let outcome = outcome.unwrap();
    assert_eq!(watched.phases, [Phase::Connect, Phase::WarmUp, Phase::Measure, Phase::Drain]);
    assert_eq!((outcome.deliveries.measured, outcome.deliveries.published), (100, 2));
    assert_eq!(outcome.deliveries.account.received, 100);
    assert_eq!(outcome.connecting.subscribed, 10);
    assert_eq!(outcome.load.workers, 2);
    assert_eq!(outcome.scenario.target.address, ([127, 0, 0, 1], 7).into());
    assert_eq!((watched.last.connected, watched.last.wanted), (10, 10));
    assert!(watched.samples > 0 && watched.samples == outcome.samples.len());
    let server = outcome.server.unwrap();
    assert!(server.rss_bytes.unwrap()[1] > 0, "{server:?}");
    assert_eq!(server.processes, 2, "the shell and what it started");
    // 100 deliveries in 60 ms, whatever the clock says besides.
    assert!((outcome.deliveries.per_second - 100.0 / 0.06).abs() < 1.0);
    assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
    assert_eq!(watched.remarks, outcome.remarks);
}

#[test]
fn a_run_in_which_nothing_goes_well_is_unsound() {
    let script = WORKER
        .replace(r#""published":1,"#, r#""published":0,"#)
        .replace(r#""closes":[]"#, r#""closes":[[1001,2]],"away":1"#)
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
    assert!(!crate::load::report::faults::is_sound(&outcome));
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
    let problem = run_with(&programs, own, &mut watched).unwrap_err();
    assert_eq!(problem.fault(), Fault::Server);
    assert!(problem.to_string().contains("port taken"), "{problem}");

    let problem = run_with(&programs, plan(Some(1 << 30), None), &mut watched).unwrap_err();
    assert_eq!(
        problem.to_string(),
        "the server cannot be measured: there is no process 1073741824"
    );

    let mut compared = plan(None, None);
    compared.scenario.floor_pairs = 1;
    let problem = run_with(&programs, compared, &mut watched).unwrap_err();
    assert_eq!(problem.fault(), Fault::Asker);
}

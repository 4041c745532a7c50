use clap::Parser;

use super::*;
use crate::load::scenario::Mode;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    bench: BenchFlags,
}

fn parse(words: &str) -> BenchFlags {
    Line::try_parse_from(words.split_whitespace()).unwrap_or_else(|error| panic!("{error}")).bench
}

fn settled(words: &str) -> Settled {
    let flags = parse(words);
    let (file, name, text) = profile_of(flags.profile.as_deref().unwrap_or(USUAL)).unwrap();
    let source = Source { file: &file, name: &name, text: &text };
    let around = Surroundings { resolve: &resolve, processors: &[0, 1], exists: &|_| true };
    profile::settle(source, &flags.given(), &around).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_flag_is_a_key_of_a_profile() {
    let words = "bench rooms --url wss://127.0.0.1:1/x --dialect events --compression \
         --token t --insecure --pid 7 --metrics http://127.0.0.1:1/metrics --connections 50 \
         --topics 9 --subscriptions 3 --interest exact --connect-rate 10 --connecting 5 \
         --workers 1 --cpu 1 --publishers 2 --members=false --rate 1.5 --payload 99 \
         --warm-up 1s --measure 20s --drain 3s --with times.sample=50ms --with times.settle=2s \
         --json a --html b -q";
    let scenario = settled(words).scenario;
    let text = serde_json::to_string(&scenario).unwrap();
    for part in [
        r#""name":"rooms""#,
        r#""dialect":"events","compression":true,"credentials":{"Token":"t"}"#,
        r#""tls":"Any""#,
        r#""connections":50,"topics":9,"subscriptions":3,"interest":"exact""#,
        r#""connect_per_s":10,"connecting_max":5,"per_address":20000,"workers":1"#,
        r#""processors":[1]"#,
        r#""publishers":2,"members":false,"pace":{"Open":{"per_s":1.5}},"payload_bytes":99"#,
        r#""warm_up_ms":1000,"settle_ms":2000,"measure_ms":20000,"drain_ms":3000,"sample_ms":50"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_broker_of_its_own_gets_its_settings() {
    let settled = settled(
        "bench --shards 2 --server-cpu 1 --set websocket.flush_delay_us=5 \
         --in-flight 9 --batch 3 --floor --floor-sends each",
    );
    assert_eq!(settled.scenario.floor_pairs, 10);
    assert_eq!(settled.scenario.floor_mode, Mode::Each);
    let own = own::broker(&settled).unwrap().unwrap();
    assert_eq!(own.processor, Some(1));
    let line = own.arguments.join(" ");
    for part in
        ["--set server.shards=2", "--set log.level=warn", "--set websocket.flush_delay_us=5"]
    {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[test]
fn its_secret_is_in_no_list_of_processes() {
    for words in ["bench --secret SECV", "bench --secret other --set auth.secret=SECV"] {
        let own = own::broker(&settled(words)).unwrap().unwrap();
        assert_eq!(own.environment, [("JWT_SECRET".to_owned(), "SECV".to_owned())]);
        assert!(!own.arguments.join(" ").contains("auth.secret"), "{:?}", own.arguments);
    }
    assert_eq!(own::broker(&settled("bench")).unwrap().unwrap().environment, []);
}

#[test]
fn wrong_settings_of_it_are_told_before_the_start() {
    let problems = own::broker(&settled("bench --set nonsense=1 --set a.b=2")).unwrap_err();
    assert!(problems.contains("nonsense") && problems.contains("2 errors"), "{problems}");
    for (name, _) in BUILT_IN {
        assert!(own::broker(&settled(&format!("bench {name}"))).is_ok(), "{name}");
    }
}

#[test]
fn usage_errors() {
    for words in [
        "bench --nonsense",
        "bench a b",
        "bench --pid 7",
        "bench --metrics http://127.0.0.1:1/metrics",
        "bench --with novalue",
        "bench --list --show",
        "bench --pid x --url ws://h",
        "bench --fail-if p99",
        "bench --fail-if p98>5ms",
        "bench --fail-if p99>5",
    ] {
        assert!(Line::try_parse_from(words.split_whitespace()).is_err(), "{words}");
    }
    let own = std::process::id();
    for pid in ["0".to_owned(), "-1".to_owned(), own.to_string()] {
        let words = ["bench", "--url", "ws://h", "--pid", &pid];
        assert!(Line::try_parse_from(words).is_err(), "{pid}");
    }
    for what in ["/dev/zero", "/dev/null", "/"] {
        let irregular = profile_of(what).unwrap_err();
        assert!(irregular.contains("no regular file"), "{irregular}");
    }
    let missing = profile_of("no-such-profile").unwrap_err();
    assert!(missing.contains("fanout, fanout-burst, rooms"), "{missing}");
}

#[test]
fn bounds_are_judged_before_the_run() {
    let flags = parse("bench --fail-if p99>5ms --fail-if=lost>0");
    assert_eq!(flags.fail_if.len(), 2);
    let error = Line::try_parse_from(["bench", "--fail-if", "speed>1"]).err().unwrap();
    assert!(error.to_string().contains("allowed: lost, unarrived"), "{error}");
    assert_eq!(error.exit_code(), i32::from(EXIT_USAGE));
}

#[test]
fn a_broken_bound_is_a_fault() {
    let outcome = || {
        let text = r#"{"format":1,"started":"","command":"","version":"","machine":{"processor":"",
            "processors":1,"memory_bytes":1,"kernel":""},"scenario":SCENARIO,"deliveries":
            {"published":0,"measured":0},"connecting":{"subscribed":0,"failed":3,"reasons":[]},
            "load":{"workers":1},"samples":[],"latency_curve":[],"remarks":[]}"#;
        let scenario = serde_json::to_string(&settled("bench").scenario).unwrap();
        serde_json::from_str::<Outcome>(&text.replace("SCENARIO", &scenario)).unwrap()
    };
    let bounds = parse("bench --fail-if failed>2 --fail-if failed>3").fail_if;
    let mut broken = outcome();
    bounded(&mut broken, &bounds);
    assert_eq!(broken.faults, ["--fail-if failed>2: failed is 3"]);
    assert!(
        !judge::is_sound(&broken) && report::page::of(&broken).contains("--fail-if failed&gt;2")
    );
    let mut interrupted = outcome();
    interrupted.interrupted = true;
    bounded(&mut interrupted, &bounds);
    assert!(interrupted.faults.is_empty(), "nothing is judged");
}

#[test]
fn what_is_built_in_is_called_so() {
    let (file, ..) = profile_of("reconnect").unwrap();
    assert_eq!(file, "built-in profile reconnect");
    assert_eq!(settled("bench fanout --measure 100ms").scenario.times.sample_ms, 25);
}

#[test]
fn a_search_is_a_flag() {
    let search = |words| settled(words).scenario.search.unwrap();
    assert_eq!(search("bench --find-rate").p99_us, 10_000);
    assert_eq!(search("bench rooms --find-rate=5ms").p99_us, 5000);
    assert_eq!(search("bench --find-rate --with search.within=3").within_percent, 3);
    assert_eq!(settled("bench --connections 1.5k").scenario.crowd.connections, 1500);
}

#[test]
fn an_earlier_outcome_is_read() {
    let missing = earlier(Path::new("no-such-outcome")).unwrap_err();
    assert!(missing.starts_with("no-such-outcome cannot be read"), "{missing}");
    let irregular = earlier(Path::new("/dev/zero")).unwrap_err();
    assert!(irregular.contains("no regular file"), "{irregular}");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let wrong = earlier(Path::new(file)).unwrap_err();
    assert!(wrong.contains("not an outcome of --json"), "{wrong}");
}

#[test]
fn the_list_tells_what_each_is_for() {
    let list = list();
    assert_eq!(list.lines().count(), BUILT_IN.len());
    assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
    assert!(list.starts_with("fanout        one topic, "), "{list}");
}

/// Command lines of `bench` in a text: in spans and blocks of code, without `shardwire` or `cargo`.
fn command_lines(text: &str) -> Vec<String> {
    // Between an odd backtick and the next; three of them are odd, too.
    let code = text.split('`').skip(1).step_by(2);
    let lines = code.flat_map(|code| match code.split_once('\n') {
        Some(("sh", block)) => block.lines().map(str::to_owned).collect(),
        // A span may go over the end of a line.
        _ => vec![code.replace('\n', " ")],
    });
    let begin = |line: String| {
        let line = line.split(" #").next().unwrap_or_default();
        let at = ["shardwire bench", "-- bench ", "bench "].into_iter().find_map(|stem| {
            let at = line.find(stem).filter(|at| *at == 0 || stem != "bench ")?;
            Some(at + stem.find("bench")?)
        })?;
        Some(line[at..].trim().to_owned())
    };
    lines.filter_map(begin).collect()
}

#[test]
fn every_command_line_that_is_told_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = std::fs::read_dir(root.join("tuning")).unwrap().map(|it| it.unwrap().path());
    let told = told.filter(|path| path.extension().is_some_and(|it| it == "md"));
    let mut found = 0;
    for path in told.chain([root.join("README.md")]) {
        for line in command_lines(&std::fs::read_to_string(&path).unwrap()) {
            // What a shell or a reader puts in.
            let line = line.replace("\"$(pidof shardwire)\"", "7").replace(" … ", " ");
            settled(&line.replace('\'', ""));
            found += 1;
        }
    }
    assert!(found >= 10, "only {found}");
    let text =
        "`cargo bench --bench a`, `shardwire bench rooms\n--floor`\n```sh\na -- bench b # c\n```";
    assert_eq!(command_lines(text), ["bench rooms --floor", "bench b"]);
}

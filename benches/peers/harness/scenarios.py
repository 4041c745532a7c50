"""What is measured: the load generator's command lines, and what is read from its reports.

`shardwire bench` sits on a processor of its own, takes the server's pid, and writes one JSON file
a run. All knowledge of that file is in `figures`, of the command line in `command`.
"""

from dataclasses import dataclass

IN_FLIGHT = 16
PAYLOAD_BYTES = 128


@dataclass(frozen=True)
class Scenario:
    """One way to load a server; `timed`: publishes at a rate (`rates`), whatever comes back."""

    name: str
    profile: str
    pace: tuple = ()
    timed: bool = False


UNTIMED = [
    Scenario("idle", "idle"),
    Scenario("single", "fanout", ("--in-flight", "1", "--batch", "1")),
    Scenario("pipelined", "fanout", ("--in-flight", str(IN_FLIGHT), "--batch", str(IN_FLIGHT))),
]
TIMED = [Scenario("half", "fanout", timed=True), Scenario("common", "fanout", timed=True)]
# The common rate is half that of the slowest of so many of the best.
BEST = 3

FIGURES = {
    "rss_bytes": "server.rss_bytes_per_connection",
    "cpu_us": "server.cpu_us_per_delivery",
    "per_cpu_second": "server.deliveries_per_cpu_second",
    "per_second": "deliveries.per_second",
    "expected": "deliveries.expected",
    "received": "deliveries.received",
    "lost": "deliveries.lost",
    "duplicated": "deliveries.duplicated",
    "out_of_order": "deliveries.out_of_order",
    "astray": "deliveries.astray",
    "away": "deliveries.away",
    "p50_us": "latency_us.p50",
    "p99_us": "latency_us.p99",
    "p99_9_us": "latency_us.p99_9",
    "max_us": "latency_us.max",
    "load_busiest": "load.busiest",
    "load_starved": "load.starved",
    "server_starved": "server.starved",
}


def connections(scenario, options):
    """Idle ones are cheap to hold, and few would show what is made once more than their own cost."""
    return options.idle_connections if scenario.profile == "idle" else options.connections


def command(generator, contestant, server, scenario, rate, options, report):
    """The load generator's command line for one run."""
    pace = ["--rate", str(rate)] if scenario.timed else [*scenario.pace]
    publishers = [] if scenario.profile == "idle" else ["--publishers", "1", *pace]
    payload = [] if scenario.profile == "idle" else ["--payload", str(PAYLOAD_BYTES)]
    pids = [argument for pid in server.pids for argument in ("--pid", str(pid))]
    return [
        *(str(generator), "bench", scenario.profile),
        *("--url", server.url, "--dialect", contestant.dialect, *pids),
        *("--connections", str(connections(scenario, options)), *publishers, *payload),
        *("--warm-up", "1s", "--measure", f"{options.seconds}s"),
        *("--cpu", str(options.client_cpu), "--json", str(report), "--quiet"),
    ]


def trial(generator, contestant, server, report):
    """The command line of a short load; in two topics, but for those whose paths are topics."""
    topics = "1" if contestant.dialect == "nchan" else "2"
    return [
        *(str(generator), "bench", "fanout", "--url", server.url, "--dialect", contestant.dialect),
        *("--connections", "20", "--topics", topics, "--publishers", "2", "--rate", "100"),
        *("--warm-up", "100ms", "--measure", "1s", "--json", str(report), "--quiet"),
    ]


def fault_of_trial(report):
    """What is wrong with a trial that the load generator itself was content with."""
    found = figures(report)
    if report["connecting"]["subscribed"] != 20:
        return f"{report['connecting']['subscribed']} of 20 connections: {report['connecting']}"
    if found.get("received", 0) < 500 or found["received"] != found["expected"]:
        return f"received {found.get('received')} of {found.get('expected')}"
    return ""


def figures(report):
    """The figures of a report that it has, under this harness's names."""
    found = {}
    for name, path in FIGURES.items():
        value = report
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            found[name] = value
    if found.get("per_cpu_second") and "per_second" in found:
        found["server_busy"] = found["per_second"] / found["per_cpu_second"]
    closes = report.get("deliveries", {}).get("closes")
    if closes is not None:
        found["closed"] = sum(times for _, times in closes)
    return found


def kept(report):
    """The report without the points of its plots, for two hundred reports go into one file, and
    without the machine, which that file has once."""
    left_out = ("samples", "latency_curve", "machine")
    return {key: part for key, part in report.items() if key not in left_out}


def rates(summary, connections, common=None):
    """Publishes a second of the timed scenarios, by scenario and contestant.

    The saturating rate is what would fill a server's processor, each message sent by itself:
    reckoned from the processor time of a delivery (the median of all rounds), not from what came
    through, which may have been as much as the load generator could take.
    """
    saturating = {
        name: scenarios["single"]["per_cpu_second"]["median"] / connections
        for name, scenarios in summary.items()
        if "per_cpu_second" in scenarios.get("single", {})
    }
    half = {name: max(round(rate / 2), 1) for name, rate in saturating.items()}
    best = sorted(half.values(), reverse=True)[:BEST]
    if common is None and best:
        common = best[-1]
    return {
        "saturating": {name: round(rate, 1) for name, rate in saturating.items()},
        "half": half,
        "common": dict.fromkeys(summary, common),
    }

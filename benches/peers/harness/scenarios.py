"""What is measured: the load generator's command lines, and what is read from its reports.

`shardwire bench` sits on a processor of its own, takes the server's pid, and writes one JSON file
a run. All knowledge of that file is in `figures`, of the command line in `command`.
"""

from dataclasses import dataclass

IN_FLIGHT = 16
PAYLOAD_BYTES = 128


@dataclass(frozen=True)
class Scenario:
    """One way to load a server. `rate` is how publishes a second come about, if they are timed."""

    name: str
    profile: str
    pace: tuple = ()
    rate: str = ""


SCENARIOS = [
    Scenario("idle", "idle"),
    Scenario("single", "fanout", ("--in-flight", "1", "--batch", "1")),
    Scenario("pipelined", "fanout", ("--in-flight", str(IN_FLIGHT), "--batch", str(IN_FLIGHT))),
    Scenario("half", "fanout", rate="half"),
    Scenario("common", "fanout", rate="common"),
]

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
}


def connections(scenario, options):
    """Idle ones are cheap to hold, and few would show what is made once more than their own cost."""
    return options.idle_connections if scenario.profile == "idle" else options.connections


def command(generator, contestant, server, scenario, rate, options, report):
    """The load generator's command line for one run."""
    pace = ["--rate", str(rate)] if scenario.rate else [*scenario.pace]
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
    closes = report.get("deliveries", {}).get("closes")
    if closes is not None:
        found["closed"] = sum(times for _, times in closes)
    return found


def kept(report):
    """The report without the points of its plots: two hundred reports go into one file."""
    return {key: part for key, part in report.items() if key not in ("samples", "latency_curve")}


def saturating_rate(single, connections):
    """Publishes a second that would fill a server's processor, each sent by itself.

    Reckoned from the processor time of a delivery, not from what came through: that may have been
    as much as the load generator could take.
    """
    return single["per_cpu_second"] / connections

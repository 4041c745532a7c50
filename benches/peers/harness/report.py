"""From single runs to the table: medians over the rounds, with the least and the greatest."""

import os
import platform
import statistics
import subprocess

COLUMNS = [
    ("CPU µs a delivery, one at a time", "single", "cpu_us", "{:.2f}"),
    ("CPU µs a delivery, 16 in flight", "pipelined", "cpu_us", "{:.2f}"),
    ("deliveries a CPU second, 16 in flight", "pipelined", "per_cpu_second", "{:,.0f}"),
    ("deliveries a second, 16 in flight", "pipelined", "per_second", "{:,.0f}"),
    ("RSS bytes an idle connection", "idle", "rss_bytes", "{:,.0f}"),
]
LATENCY = ["p50_us", "p99_us", "p99_9_us"]
FAULTS = ["lost", "duplicated", "out_of_order", "astray", "closed", "away"]
# Share of its processor from which the load generator, not the server, is what is measured.
LOAD_FULL = 0.95


def summary(runs, names):
    """`{contestant: {scenario: {figure: {median, least, greatest, runs}}}}` of the runs that worked."""
    values = {}
    for run in runs:
        for figure, value in run.get("figures", {}).items():
            key = (run["contestant"], run["scenario"], figure)
            values.setdefault(key, []).append(value)
    result = {name: {} for name in names}
    for (contestant, scenario, figure), seen in values.items():
        result[contestant].setdefault(scenario, {})[figure] = {
            "median": statistics.median(seen),
            "least": min(seen),
            "greatest": max(seen),
            "runs": len(seen),
        }
    return result


def table(result, common_rate):
    """The whole as Markdown: throughput and memory, latency, versions are the caller's."""
    costs = [[name, *_costs(scenarios)] for name, scenarios in result.items()]
    titles = ["", *(title for title, *_ in COLUMNS)]
    latencies = [[name, *_latencies(scenarios)] for name, scenarios in result.items()]
    percentiles = "p50 / p99 / p99.9 ms"
    latency_titles = [
        "",
        f"{percentiles}, {common_rate:g} publishes a second",
        "publishes a second at half load",
        f"{percentiles}, half load",
        "lost, doubled, out of order, astray; connections ended by the server, not come back"
        " (worst round of each scenario)",
    ]
    return f"{_markdown(titles, costs)}\n\n{_markdown(latency_titles, latencies)}"


def saturated(result):
    """Where the load generator had no time left: throughput and latency are its own there."""
    return [
        f"{contestant} {scenario}"
        for contestant, scenarios in result.items()
        for scenario, figures in scenarios.items()
        if figures.get("load_busiest", {}).get("median", 0) >= LOAD_FULL
    ]


def _costs(scenarios):
    return [
        _cell(scenarios.get(scenario, {}).get(figure), form) for _, scenario, figure, form in COLUMNS
    ]


def _latencies(scenarios):
    half = scenarios.get("half", {})
    faults = [
        sum(figures[fault]["greatest"] for figures in scenarios.values() if fault in figures)
        for fault in FAULTS
    ]
    return [
        _percentiles(scenarios.get("common", {})),
        _cell(half.get("rate"), "{:.0f}"),
        _percentiles(half),
        ", ".join(str(fault) for fault in faults) if any(faults) else "none",
    ]


def _percentiles(figures):
    """Medians of each; the spread of the p99 behind them."""
    if any(name not in figures for name in LATENCY):
        return "–"
    medians = " / ".join(f"{figures[name]['median'] / 1000:.2f}" for name in LATENCY)
    p99 = figures["p99_us"]
    return f"{medians} (p99 {p99['least'] / 1000:.2f}–{p99['greatest'] / 1000:.2f})"


def _cell(figure, form):
    if figure is None:
        return "–"
    median, least, greatest = (form.format(figure[part]) for part in ("median", "least", "greatest"))
    return median if least == greatest else f"{median} ({least}–{greatest})"


def _markdown(titles, rows):
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine():
    """What the figures depend on beside the contestants."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    with open("/proc/meminfo", encoding="utf-8") as lines:
        memory = int(next(line for line in lines if line.startswith("MemTotal")).split()[1])
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_kib": memory,
        "kernel": platform.release(),
        "load_at_start": os.getloadavg(),
        "node": _version("node", "--version"),
        "rustc": _version("rustc", "--version"),
    }


def _version(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "none"

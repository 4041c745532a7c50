"""From single runs to the table: medians over the rounds, with the least and the greatest."""

import os
import platform
import statistics
import subprocess

# Title, scenario, figure, form.
COSTS = [
    ("CPU µs a delivery", "single", "cpu_us", "{:.2f}"),
    ("deliveries a CPU second", "single", "per_cpu_second", "{:,.0f}"),
    ("deliveries a second", "single", "per_second", "{:,.0f}"),
    ("load busy", "single", "load_busiest", "{:.0%}"),
    ("16 in flight: CPU µs a delivery", "pipelined", "cpu_us", "{:.2f}"),
    ("deliveries a CPU second", "pipelined", "per_cpu_second", "{:,.0f}"),
    ("deliveries a second", "pipelined", "per_second", "{:,.0f}"),
    ("load busy", "pipelined", "load_busiest", "{:.0%}"),
    ("RSS bytes an idle connection", "idle", "rss_bytes", "{:,.0f}"),
]
LATENCIES = ["p50_us", "p99_us", "p99_9_us"]
FAULTS = ["lost", "duplicated", "out_of_order", "astray", "closed", "away"]
# Share of its processor beyond which the load generator may be what bounds these figures, not the
# server. The server's processor time it does not bound.
LOAD_FULL = 0.9
BOUNDED = {"per_second", "load_busiest", *LATENCIES}
MARK = "†"


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


def table(result, rates):
    """The whole as Markdown: what it costs; latency at half of each one's own rate; at one rate."""
    costs = [[name, *_row(scenarios, COSTS)] for name, scenarios in result.items()]
    parts = [_markdown(["one at a time:", *(title for title, *_ in COSTS)], costs)]
    common = next(iter(rates["common"].values()), None)
    for scenario, title in [
        ("half", "half of its own rate"),
        ("common", f"{common:g} publishes a second" if common else "the common rate"),
    ]:
        columns = [
            ("publishes a second", scenario, "rate", "{:.0f}"),
            *((name.removesuffix("_us").replace("_", ".") + " ms", scenario, name, "ms")
              for name in LATENCIES),
            ("server's CPU busy", scenario, "server_busy", "{:.0%}"),
            ("load busy", scenario, "load_busiest", "{:.0%}"),
        ]
        rows = [[name, *_row(scenarios, columns)] for name, scenarios in result.items()]
        parts.append(_markdown([title + ":", *(column[0] for column in columns)], rows))
    faults = [[name, _faults(scenarios)] for name, scenarios in result.items()]
    title = (
        "lost, doubled, out of order, astray; connections ended by the server, not come back"
        " (worst round of each scenario)"
    )
    parts.append(_markdown(["", title], faults))
    return "\n\n".join(parts)


def saturated(result):
    """Where the load generator had no time left: throughput and latency may be its own there."""
    return [
        f"{contestant} {scenario}"
        for contestant, scenarios in result.items()
        for scenario, figures in scenarios.items()
        if _is_full(figures)
    ]


def _is_full(figures):
    """Whether the load generator had no time left in the rounds of a scenario."""
    return figures.get("load_busiest", {}).get("median", 0) > LOAD_FULL


def _row(scenarios, columns):
    return [
        _cell(figures.get(figure), form) + _mark(figures, figure)
        for _, scenario, figure, form in columns
        for figures in [scenarios.get(scenario, {})]
    ]


def _mark(figures, figure):
    """For a figure of a scenario that the load generator may have bounded."""
    return f" {MARK}" if figure in BOUNDED and figure in figures and _is_full(figures) else ""


def _faults(scenarios):
    faults = [
        sum(figures[fault]["greatest"] for figures in scenarios.values() if fault in figures)
        for fault in FAULTS
    ]
    return ", ".join(str(fault) for fault in faults) if any(faults) else "none"


def _cell(figure, form):
    if figure is None:
        return "–"
    parts = (figure[part] for part in ("median", "least", "greatest"))
    if form == "ms":
        median, least, greatest = (f"{part / 1000:.2f}" for part in parts)
    else:
        median, least, greatest = (form.format(part) for part in parts)
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
        # What follows the version may name a host's provider.
        "kernel": platform.release().split("-")[0],
        "load_at_start": os.getloadavg(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "python": f"Python {platform.python_version()}",
        "node": _version("node", "--version"),
        "rustc": _version("rustc", "--version"),
    }


def _version(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "none"

"""Draws a results file: `plot.py RESULTS.json PICTURE.svg`.

A dot a contestant and figure, a line from the least to the greatest round, logarithmic scales. No
background and text of a middle grey, to be read on white and on black. Runs in the harness's own
environment (it needs matplotlib).
"""

import json
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.fonttype": "none",
    "svg.hashsalt": "shardwire",
    "font.family": "sans-serif",
    "font.size": 10,
})

from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import LogLocator, NullLocator  # noqa: E402

GREY, LINE, OURS, THEIRS = "#7d858e", "#80889140", "#e0632b", "#4a86c5"
PANELS = [
    ("CPU µs a delivery\none at a time", "single", "cpu_us", 1),
    ("CPU µs a delivery\n16 in flight", "pipelined", "cpu_us", 1),
    ("RSS KB an idle\nsubscribed connection", "idle", "rss_bytes", 1e-3),
    ("p99.9 latency, ms\nat half of its own rate", "half", "p99_9_us", 1e-3),
    ("p99.9 latency, ms\nall at {rate:g} publishes a second", "common", "p99_9_us", 1e-3),
]


def main(results, picture):
    with open(results, encoding="utf-8") as file:
        document = json.load(file)
    summary = document["summary"]
    names = list(reversed(summary))
    common = next(iter(document["rates"]["common"].values()), None)
    height = 1.3 + 0.34 * len(names)
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(13.5, height), sharey=True)
    for axis, (title, scenario, name, unit) in zip(axes, PANELS):
        dots = [(row, summary[who].get(scenario, {}).get(name)) for row, who in enumerate(names)]
        draw(axis, [(row, dot) for row, dot in dots if dot], names, unit)
        axis.set_title(title.format(rate=common or 0), color=GREY, fontsize=10)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(-0.6, len(names) - 0.4)
    connections = document["connections"]
    note = (f"fan-out to {connections:,} connections, 128-byte payload, one core; less is better, "
            "scales are logarithmic")
    figure.text(0.995, 0.012, note, ha="right", color=GREY, fontsize=9)
    figure.tight_layout(rect=(0, 0.05, 1, 1), w_pad=1.5)
    figure.savefig(picture, transparent=True, metadata={"Date": None})


def draw(axis, dots, names, unit):
    """One panel."""
    for row, dot in dots:
        colour = OURS if names[row].startswith("shardwire") else THEIRS
        parts = ("least", "median", "greatest")
        least, median, greatest = (max(dot[part] * unit, 1e-3) for part in parts)
        axis.plot([least, greatest], [row, row], color=colour, linewidth=3, alpha=0.45)
        axis.plot([median], [row], "o", color=colour, markersize=7)
        axis.annotate(f"{median:.3g}", (median, row), (0, 6), textcoords="offset points",
                      ha="center", color=GREY, fontsize=8)
    axis.set_xscale("log")
    axis.margins(x=0.18)
    least, greatest = axis.get_xlim()
    steps = (1, 2, 5) if greatest / least < 300 else (1,)
    axis.xaxis.set_major_locator(LogLocator(subs=steps))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_xlim(least, greatest)
    axis.grid(color=LINE, linewidth=0.7)
    axis.tick_params(colors=GREY, length=0, which="both")
    axis.set_frame_on(False)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Results as bars, in an SVG that can be read on a light page and on a dark one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS, OURS
from benchmarks.report import Column, number
from benchmarks.results import Results

GREY = "#797979"
"""Stands out as much from white as from the near-black of dark pages: 4.3 to 1."""
OUR = "#e8590c"
THEIR = "#4c8dbd"
PANELS = (
    Column(
        "1000 readers: million deliveries/s\n(more is better)",
        "saturated1000",
        "deliveries_per_second",
        1e-6,
    ),
    Column("10 readers: CPU µs a delivery\n(less is better)", "saturated10", "cpu_us"),
    Column("1000 readers, 20 messages/s: CPU µs\na delivery (less is better)", "rate20", "cpu_us"),
    Column("KiB an idle connection\n(less is better)", "connections", "kib"),
)


def plot(results: Results, path: Path) -> None:
    """Draw *results* to *path*. Raises `ImportError` without matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    measured = {run.server for run in results.runs}
    rows = [one for one in reversed(CONTESTANTS) if one.key in measured]
    titles = [one.title.translate(str.maketrans("", "", "*`¹")) for one in rows]
    colours = [OUR if one.key in OURS else THEIR for one in rows]
    style: Any = {
        "svg.hashsalt": "chatroom",
        "font.size": 11,
        "text.color": GREY,
        "axes.labelcolor": GREY,
        "xtick.color": GREY,
        "ytick.color": GREY,
    }
    with pyplot.rc_context(style):
        figure, grid = pyplot.subplots(2, 2, figsize=(11, 7.5), sharey=True)
        for axes, panel in zip(grid.flat, PANELS, strict=True):
            values = [results.median(panel.scenario, one.key, panel.figure) for one in rows]
            widths = [max(value * panel.scale, 1e-3) if value else 0.0 for value in values]
            axes.barh(titles, widths, color=colours)
            positive = [width for width in widths if width]
            if positive:
                axes.set_xscale("log")
                axes.set_xlim(min(positive) / 2, max(positive) * 4)
            for row, width in enumerate(widths):
                if width:
                    axes.text(width * 1.1, row, number(width), va="center", color=GREY)
            axes.set_title(panel.title, fontsize=11, color=GREY)
            axes.set_xticks([], minor=False)
            axes.set_xticks([], minor=True)
            axes.tick_params(length=0)
            for spine in axes.spines.values():
                spine.set_visible(False)
        figure.supxlabel("All scales are logarithmic.", fontsize=10, color=GREY)
        figure.tight_layout()
        figure.savefig(path, transparent=True, metadata={"Date": None})
        pyplot.close(figure)

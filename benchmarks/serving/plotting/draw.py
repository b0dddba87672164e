"""Draws curves as SVG, such as latency against load: the plot as JSON on standard input, the file as the only argument."""

import json
import sys
from itertools import cycle

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.fonttype"] = "none"  # text stays text: small, and the reader's own font
mpl.rcParams["svg.hashsalt"] = "benchmarks"

from matplotlib import pyplot as plt  # noqa: E402  # the backend is chosen first

LATENCY = "milliseconds (line p50, dashed p99)"


def main() -> None:
    """Draw each curve's median as a line, and its 99th percentile, where it has one, dashed."""
    plot = json.load(sys.stdin)
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    axes.set_prop_cycle(color=mpl.colormaps["tab20"].colors)
    markers = cycle("os^Dv<>PXp*h")
    for curve, marker in zip(plot["curves"], markers, strict=False):
        (line,) = axes.plot(curve["load"], curve["p50"], marker=marker, markersize=4, label=curve["label"])
        if "p99" in curve:
            axes.plot(
                curve["load"], curve["p99"], "--", marker=marker, markersize=3, linewidth=0.8, color=line.get_color()
            )
    axes.set(title=plot["title"], xlabel=plot["load_label"], ylabel=plot.get("value_label", LATENCY))
    axes.set(xscale="log", yscale="log")
    axes.grid(visible=True, which="both", linewidth=0.3)
    axes.legend(fontsize="small", ncols=2)
    figure.savefig(sys.argv[1], metadata={"Date": None})


if __name__ == "__main__":
    main()

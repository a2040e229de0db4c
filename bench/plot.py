"""Draws a sweep as small multiples: one row for each parameter, one column for each measure.

    hydrant-bench sweep --hydrant target/release/hydrant --out sweep.csv && python3 bench/plot.py sweep.csv [DIRECTORY]

writes sweep.svg into DIRECTORY, docs/performance by default. Needs matplotlib.
"""

import csv
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

PANELS = [
    ("CPU s/GB", ["CPU s/GB"], False),
    ("records/s", ["records/s"], True),
    ("latency, ms", ["p50 ms", "p99 ms"], True),
    ("resident memory, MB", ["median RSS MB", "peak RSS MB"], False),
]


def read(path: str) -> dict[str, list[dict[str, str]]]:
    """The points of each parameter."""
    found: dict[str, list[dict[str, str]]] = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["parameter"], []).append(row)
    return found


def draw(parameters: dict[str, list[dict[str, str]]]):
    plt.rcParams.update({"font.size": 8, "svg.hashsalt": "hydrant", "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(len(parameters), len(PANELS), figsize=(11, 2.1 * len(parameters)), squeeze=False, layout="constrained")
    for line, (parameter, points) in zip(axes, parameters.items()):
        x = [float(point["value"]) for point in points]
        for panel, (title, columns, wide) in zip(line, PANELS):
            values = {column: [float(point[column]) for point in points] for column in columns}
            for column in columns:
                panel.plot(x, values[column], marker="o", markersize=3, linewidth=1, label=column)
            panel.set_xscale("log", base=2)
            # Where no power of ten would be among them, the labels are of a linear axis.
            every = [value for found in values.values() for value in found]
            if wide and max(every) > 20 * min(every):
                panel.set_yscale("log")
            else:
                panel.set_ylim(bottom=0)
            panel.set_xticks(x, [tick(value) for value in x], rotation=45)
            panel.minorticks_off()
            panel.set_xlabel(parameter)
            panel.set_title(title)
            if len(columns) > 1:
                panel.legend(frameon=False)
    return figure


def tick(value: float) -> str:
    return f"{value / 1024:.0f}K" if value >= 1024 else f"{value:.0f}"


def main() -> None:
    directory = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).resolve().parents[1] / "docs" / "performance")
    directory.mkdir(parents=True, exist_ok=True)
    draw(read(sys.argv[1])).savefig(directory / "sweep.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()

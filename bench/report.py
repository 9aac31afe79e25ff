"""What compare.py shows: a line a row, the table of ratios, the picture."""

from pathlib import Path

OURS = "fastcnn"


def spread(row: dict) -> str:
    return f"{row['ratio']:.2f}x ({row['ratio_low']:.2f}-{row['ratio_high']:.2f})"


def row_line(row: dict) -> str:
    line = f"  {row['peer']:<20}{row['milliseconds']:10.3f} ms{row['images_per_second']:12,.0f} images/s"
    if row["peer"] == OURS:
        return line
    what = "costs" if row["mode"] == "train" else "outputs"
    return f"{line}   {spread(row)}, {row['rounds']} rounds · first {what} agree to {row['difference']:.0e}"


def joined(reports: list[dict]) -> dict:
    """Several runs on one machine as one, in order; of a row that is in two, the last counts."""
    if any(report["machine"]["CPU"] != reports[0]["machine"]["CPU"] for report in reports):
        raise SystemExit("these runs are of different machines: a table of both would compare nothing")
    # Those held to a lesser instruction set first: what the machine has is said by those that use it.
    reports = sorted(reports, key=lambda report: all(row["isa"] == "best" for row in report["rows"]))
    rows = {(*case(row), row["peer"]): row for report in reports for row in report["rows"]}
    versions = {name: version for report in reports for name, version in report["versions"].items()}
    missing = {name: why for report in reports for name, why in report["missing"].items() if name not in versions}
    networks, peers = (list(dict.fromkeys(row[key] for row in rows.values())) for key in ("network", "peer"))

    def place(row: dict) -> tuple:
        held, mode = row["isa"] != "best", ("train", "infer").index(row["mode"])
        who = (networks.index(row["network"]), mode, peers.index(row["peer"]))
        return (*who[:2], held, row["batch"], -row["threads"], who[2])

    return reports[-1] | {"rows": sorted(rows.values(), key=place), "versions": versions, "missing": missing}


def case(row: dict) -> tuple:
    return (row["network"], row["mode"], row["batch"], row["threads"], row["isa"])


def title(key: tuple) -> list[str]:
    """Cells of a table's row: the number of threads with the instruction set, if they were held to one."""
    network, mode, batch, threads, isa = key
    return [network, mode, str(batch), f"{threads}" if isa == "best" else f"{threads}, {isa}"]


def table(report: dict, markdown: bool) -> str:
    """Machine and versions, then for each case our images a second and each peer's ratio with its spread."""
    names = [name for name in report["versions"] if name != OURS]
    cases: dict[tuple, dict[str, dict]] = {}
    for row in report["rows"]:
        cases.setdefault(case(row), {})[row["peer"]] = row
    header = ["network", "", "batch", "threads", "fastcnn, images/s", *names]
    body = []
    for key, peers in cases.items():
        ratios = [spread(peers[name]) if name in peers else "-" for name in names]
        body.append([*title(key), f"{peers[OURS]['images_per_second']:,.0f}", *ratios])
    facts = [f"{key}: {value}" for key, value in report["machine"].items()]
    facts += [f"{name}: {version}" for name, version in report["versions"].items()]
    facts += [f"{name}: left out, {why}" for name, why in report["missing"].items()]
    explained = "A ratio above 1: fastcnn is faster. In brackets the smallest and largest of the rounds."
    if markdown:
        lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *body)]
        return "\n".join([*(f"- {fact}" for fact in facts), "", explained, "", *lines])
    widths = [max(len(cells[column]) for cells in (header, *body)) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) for cells in (header, *body)
    ]
    return "\n".join([*facts, "", explained, "", *(line.rstrip() for line in lines)])


# Apart for those who see few colours, too; a library keeps its colour whatever it is drawn beside.
COLOURS = {
    "torch": "#1f5fa8",
    "torch-channels-last": "#5b93d1",
    "torch-bf16": "#a9cbee",
    "torch-compile": "#14375f",
    "onnxruntime": "#d95f02",
    "jax": "#7a5195",
    "mxnet": "#4d9221",
}


WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 0.3}


def draw(report: dict, path: Path) -> None:
    """How much longer each peer takes, a panel for each network and mode, a group of bars for each case."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("a picture needs matplotlib: pip install 'fastcnn[plot]'") from None
    rows = [row for row in report["rows"] if row["peer"] != OURS]
    if not rows:
        raise SystemExit("there is no ratio to draw: no peer was timed")
    networks = list(dict.fromkeys(row["network"] for row in rows))
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    panels = {(network, mode): [] for network in networks for mode in modes}
    for row in rows:
        panels[row["network"], row["mode"]].append(row)
    heights = [max(_height(panels[network, mode]) for mode in modes) for network in networks]
    figure = Figure(figsize=(6.5 * len(modes), 0.19 * sum(heights) + 0.75 * len(networks) + 1), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(networks), len(modes), squeeze=False, height_ratios=heights)
    for axes, (key, drawn) in zip(grid.flat, panels.items(), strict=True):
        _panel(axes, " · ".join(key), drawn)
    versions = [version for name, version in report["versions"].items() if name in COLOURS]
    against = ", ".join(dict.fromkeys(versions))
    figure.suptitle(f"How many times as long as fastcnn each library takes\n{report['machine']['CPU']}", fontsize=11)
    figure.supxlabel(f"{report['versions'][OURS]} against {against}", fontsize=8, color="#555555")
    figure.savefig(path, dpi=130, metadata={"Software": None})


def _height(rows: list[dict]) -> int:
    """In bars: one each, and one between two groups."""
    return len(rows) + len({case(row) for row in rows})


def _panel(axes, name: str, rows: list[dict]) -> None:
    if not rows:
        axes.set_axis_off()
        return
    ticks, labels, place, before = [], [], 0, None
    end = 1.5 * max(row["ratio"] for row in rows)  # a round gone wrong may reach beyond
    axes.set_title(name, loc="left", fontsize=10)
    for row in rows:
        if case(row) != before:
            before, place = case(row), place + (before is not None)
            _, _, batch, threads = title(before)
            ticks.append(place)
            labels.append(f"batch {batch}\nthreads: {threads}")
        low, high = row["ratio"] - row["ratio_low"], row["ratio_high"] - row["ratio"]
        axes.barh(place, row["ratio"], 0.85, xerr=[[low], [high]], color=COLOURS[row["peer"]], ecolor="#555555")
        text = f" {row['ratio']:.1f}x  {row['peer']}"
        axes.text(min(row["ratio_high"], 0.75 * end), place, text, va="center", fontsize=7, color="#333333", bbox=WHITE)
        place += 1
    axes.axvline(1, color="#222222", linewidth=0.8)
    axes.set_xlim(0, end)
    axes.set_yticks(ticks, labels, fontsize=7, va="top")
    axes.tick_params(axis="x", labelsize=7)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e6e6e6")
    axes.set_axisbelow(True)

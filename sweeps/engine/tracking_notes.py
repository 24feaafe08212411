"""The descriptions that people read in MLflow first, as Markdown, and links between its pages."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from sweeps.engine.formats import escape_markdown, markdown_table
from sweeps.engine.protocol import footnotes
from sweeps.engine.records import RunRecord
from sweeps.engine.report import Grid, state_text
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.selection_words import cautions

_MODE = "workflowType=machine_learning"
"""Else MLflow shows its pages for language models around the run."""
LONGEST_NOTE = 7900
"""Characters; MLflow cuts a run's description at 8000 without a word."""


def run_link(experiment: str, run: str, artifact: str | None = None) -> str:
    """Relative, so that it holds behind every host name."""
    page = "" if artifact is None else f"/artifacts/{artifact}"
    return f"#/experiments/{experiment}/runs/{run}{page}?{_MODE}"


def runs_link(experiment: str, where: str, best: str | None = None) -> str:
    """The runs of an experiment that a filter finds, as a flat list; those with the best value of a metric first."""
    order = "" if best is None else f"&orderByKey={quote(f'metrics.`{best}`')}&orderByAsc=false"
    query = f"searchFilter={quote(where)}{order}&startTime=ALL&lifecycleFilter=Active&{_MODE}"
    return f"#/experiments/{experiment}/runs?{query}"


def cells_link(experiment: str, launch: str, column: str, *, charts: bool = False) -> str:
    """The cells of a launch as a flat grid, best first, or as charts."""
    where = f"tags.`fsar.launch` = '{launch}' AND tags.`fsar.kind` = 'cell' AND tags.`column` = '{column}'"
    return runs_link(experiment, where, "accuracy") + ("&compareRunsMode=CHART" if charts else "")


def table_note(result: TableResult, words: Grid, experiment: str, run: str, launch: str) -> str:
    """Title, table, links, protocol. Rows that MLflow would cut are left out, and the note says so."""
    done = sum(cell.state == "done" for cell in result.cells)
    head = f"### {escape_markdown(words.title)} ({done} of {len(result.cells)} cells complete)\n\n"
    links = [f"[{name}]({run_link(experiment, run, name)})" for name in ("table.html", "plot.png")]
    for column in result.table.columns():
        if "'" not in column:  # MLflow's search has no way to write it
            flat, charts = (cells_link(experiment, launch, column, charts=charts) for charts in (False, True))
            links += [f"[{escape_markdown(column)}: cells, best first]({flat})", f"[as charts]({charts})"]
    tail = f"\n\n{' · '.join(links)}\n\n" + "\n".join(f"- {escape_markdown(line)}" for line in footnotes(result)) + "\n"
    return head + _rows_that_fit(words, LONGEST_NOTE - len(head) - len(tail)) + tail


def cell_note(result: TableResult, alone: Grid, cell: CellResult, links: Mapping[int, str]) -> str:
    """One number in words, after links to the trainings behind it, by seed. ``alone``: the table's grid, cut to it."""
    row, column, title = map(escape_markdown, (cell.cell.row, cell.cell.column, result.table.title))
    beware = [escape_markdown(line) for line in cautions([cell.cell.run])]
    trainings = " · ".join(f"[training, seed {seed}]({link})" for seed, link in links.items())
    lines = [
        f"**{row}, {column}** of {title}. {trainings}",
        spaced(markdown_table(alone)),
        *beware,
        f"This cell: {state_text(cell) or 'complete'}. The metrics of this run are fractions, differences too.",
    ]
    return "\n\n".join(lines)[:LONGEST_NOTE]


def run_note(record: RunRecord, metrics: Mapping[str, float]) -> str:
    """What a training reached, in per cent."""
    device = escape_markdown(record.environment.device)
    lines = [
        f"Accuracy on {record.run.selection.on} **{100 * record.val_accuracy:.2f} %** with the weights of step "
        f"{record.best_step} of {record.run.training.steps}; {record.train_seconds:.0f} s of training on {device}."
    ]
    lines += [line for caution in cautions([record.run]) for line in ("", escape_markdown(caution))]
    tests = [place for place in map(_measured, metrics) if place and f"{'/'.join(place)}/ci95" in metrics]
    if tests:
        lines += ["", "| test | accuracy % |", "| :-- | --: |"]
    for split, name in sorted(tests):
        accuracy, ci95 = (100 * metrics[f"{split}/{name}/{part}"] for part in ("accuracy", "ci95"))
        text = name if split == "test" else f"{name} on {split}"
        lines.append(f"| {escape_markdown(text)} | {accuracy:.2f} ± {ci95:.2f} |")
    return "\n".join(lines)[:LONGEST_NOTE]


def _measured(metric: str) -> tuple[str, str] | None:
    """Split and name of a measurement, if the metric is its accuracy."""
    match metric.split("/"):
        case [("test" | "val") as split, name, "accuracy"]:
            return split, name
        case _:
            return None


def _rows_that_fit(words: Grid, room: int) -> str:
    text = spaced(markdown_table(words))
    if len(text) <= room:
        return text

    def cut(kept: int) -> str:
        shown = spaced(markdown_table(replace(words, rows=words.rows[:kept])))
        return f"{shown}\n\n{len(words.rows) - kept} more rows: see table.html."

    kept = bisect_right(range(1, len(words.rows)), room, key=lambda rows: len(cut(rows)))
    return cut(kept)


def spaced(table: str) -> str:
    """A pipe table with room between its columns, which MLflow draws without any."""
    head, rule, *rows = (line.replace(" | ", " | &emsp;") for line in table.splitlines())
    return "\n".join([head, rule.replace("&emsp;", ""), *rows])

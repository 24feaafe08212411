"""The descriptions that people read in MLflow first, as Markdown, and links between its pages."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from sweeps.engine.formats import escape_markdown, markdown_table
from sweeps.engine.protocol import protocol
from sweeps.engine.records import RunRecord
from sweeps.engine.report import Grid, state_text
from sweeps.engine.results import CellResult, TableResult

LONGEST_NOTE = 7900
"""Characters; MLflow cuts a run's description at 8000 without a word."""


def run_link(experiment: str, run: str) -> str:
    """Relative, so that it holds behind every host name."""
    return f"#/experiments/{experiment}/runs/{run}"


def cells_link(experiment: str, launch: str, column: str, *, charts: bool = False) -> str:
    """The cells of a launch as a flat grid, best first, or as charts."""
    where = f"tags.`fsar.launch` = '{launch}' AND tags.`fsar.kind` = 'cell' AND tags.`column` = '{column}'"
    mode = "&compareRunsMode=CHART" if charts else ""
    return (
        f"#/experiments/{experiment}/runs?searchFilter={quote(where)}&orderByKey={quote('metrics.`accuracy`')}"
        f"&orderByAsc=false&startTime=ALL&lifecycleFilter=Active{mode}"
    )


def table_note(result: TableResult, words: Grid, experiment: str, run: str, launch: str) -> str:
    """Title, table, links, protocol. Rows that MLflow would cut are left out, and the note says so."""
    head = f"### {escape_markdown(result.table.title)}\n\n"
    columns = [name for name in result.table.columns() if "'" not in name]
    links = " · ".join(
        [
            *(f"[{escape_markdown(c)}: cells, best first]({cells_link(experiment, launch, c)})" for c in columns),
            *(f"[{name}]({run_link(experiment, run)}/artifacts/{name})" for name in ("table.html", "plot.png")),
        ]
    )
    tail = f"\n\n{links}\n\n" + "\n".join(f"- {escape_markdown(line)}" for line in protocol(result)) + "\n"
    return head + _rows_that_fit(words, LONGEST_NOTE - len(head) - len(tail)) + tail


def cell_note(result: TableResult, words: Grid, cell: CellResult, links: Mapping[int, str]) -> str:
    """One number in words, and links to the trainings behind it, by seed."""
    words = replace(words, rows=tuple(row for row in words.rows if row[0] == cell.cell.row))
    state = state_text(cell)
    row, column, title = map(escape_markdown, (cell.cell.row, cell.cell.column, result.table.title))
    lines = [
        f"**{row}, {column}** of {title}",
        markdown_table(words),
        f"This cell: {state or 'complete'}. The metrics of this run are fractions, differences too.",
        " · ".join(f"[training, seed {seed}]({link})" for seed, link in links.items()),
    ]
    return "\n\n".join(line for line in lines if line)[:LONGEST_NOTE]


def run_note(record: RunRecord, metrics: Mapping[str, float]) -> str:
    """What a training reached, in per cent."""
    device = escape_markdown(record.environment.device)
    lines = [
        f"Accuracy on val **{100 * record.val_accuracy:.2f} %** with the weights of step {record.best_step} "
        f"of {record.run.training.steps}; {record.train_seconds:.0f} s of training on {device}."
    ]
    tests = [name.removeprefix("test/").removesuffix("/accuracy") for name in metrics if name.endswith("/accuracy")]
    tests = [name for name in tests if f"test/{name}/ci95" in metrics]
    if tests:
        lines += ["", "| test | accuracy % |", "| :-- | --: |"]
    for name in sorted(tests):
        accuracy, ci95 = (100 * metrics[f"test/{name}/{part}"] for part in ("accuracy", "ci95"))
        lines.append(f"| {escape_markdown(name)} | {accuracy:.2f} ± {ci95:.2f} |")
    return "\n".join(lines)[:LONGEST_NOTE]


def _rows_that_fit(words: Grid, room: int) -> str:
    text = markdown_table(words)
    kept = len(words.rows)
    while len(text) > room and kept > 0:
        kept -= 1
        left = len(words.rows) - kept
        text = f"{markdown_table(replace(words, rows=words.rows[:kept]))}\n\n{left} more rows: see table.html."
    return text

"""A table for a terminal, as Markdown and as CSV. All but the CSV show the same grid, and the protocol below it."""

import csv
import io
import re
from html import escape

from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from sweeps.engine.protocol import footnotes, protocol
from sweeps.engine.report import Entry, Grid, grid, places, state_text
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.selection_words import CHOSEN_ON, MARK, chosen_on

_ANY_WIDTH = 10_000
_RICH = {"best": "bold", "second": "underline", None: ""}


def markdown(result: TableResult) -> str:
    """A pipe table, best in bold, second best in italics, then notes and protocol as a list."""
    words = grid(result)
    return "\n".join([markdown_table(words), "", *(f"- {escape_markdown(line)}" for line in footnotes(result)), ""])


def markdown_table(words: Grid) -> str:
    """The pipe table alone."""
    heads = [
        f"{column.name}: {heading}" if i == 0 else heading
        for column in words.columns
        for i, heading in enumerate(column.headings())
    ]
    marks = {"best": "**", "second": "*", None: ""}

    def ours(entry: Entry) -> str:
        mark = marks[entry.rank]
        return f"{mark}{escape_markdown(entry.value)}{mark}{entry.spread}"

    lines = [["row", *map(escape_markdown, heads)], [":--", *("--:" for _ in heads)]]
    lines += [
        [escape_markdown(row), *places(words, entries, ours, escape_markdown, "–")] for row, entries in words.rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape_markdown(text: str) -> str:
    """No mark-up and no line break comes from a name.

    ``<`` becomes an entity: MLflow's pages know no escape for it, and lose the mark-up of a table that stands below.
    """
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", escape(" ".join(text.split()), quote=False))


def terminal(result: TableResult, width: int) -> Group:
    """For a console of so many characters: best bold, second best underlined; one table per column if not all fit."""
    words = grid(result)
    tables = [_rich(words)]
    if Console(width=_ANY_WIDTH).measure(tables[0]).maximum > width:
        alone = range(len(words.columns))
        tables = [_rich(Grid(words.title, words.columns[i : i + 1], _only(words, i))) for i in alone]
    notes = map(Text, result.table.notes)
    return Group(
        *tables, *notes, *(Text(line, style="bold" if line.startswith(MARK) else "dim") for line in protocol(result))
    )


def _only(words: Grid, i: int) -> tuple[tuple[str, tuple[Entry | None, ...]], ...]:
    return tuple((row, entries[i : i + 1]) for row, entries in words.rows)


def _rich(words: Grid) -> RichTable:
    table = RichTable(title=Text(words.title), title_justify="left", header_style="bold")
    table.add_column("row")
    for column in words.columns:
        for i, heading in enumerate(column.headings()):
            table.add_column(Text(f"{column.name}\n{heading}" if i == 0 else f"\n{heading}"), justify="right")
    for row, entries in words.rows:
        cells = places(words, entries, lambda e: Text.assemble((e.value, _RICH[e.rank]), e.spread), Text, Text("–"))
        table.add_row(Text(row), *cells)
    return table


def csv_text(result: TableResult) -> str:
    """A line per cell, for programs: accuracies are fractions, printed values per cent, what is missing is empty."""
    out = io.StringIO()
    names = sorted({name for cell in result.cells for name in cell.cell.settings})
    writer = csv.DictWriter(
        out, [*_csv_line(result, result.cells[0]), *(f"setting.{name}" for name in names)], lineterminator="\n"
    )
    writer.writeheader()
    for cell in result.cells:
        settings = {f"setting.{name}": value for name, value in cell.cell.settings.items()}
        writer.writerow({**_csv_line(result, cell), **settings})
    return out.getvalue()


def _csv_line(result: TableResult, cell: CellResult) -> dict[str, object]:
    mean, ci95, covers, p = result.difference(cell) or (None, None, None, None)
    printed, evaluation = cell.cell.published, cell.cell.evaluation
    return {
        "table": result.table.name,
        "row": cell.cell.row,
        "column": cell.cell.column,
        "dataset": cell.dataset,
        "split": evaluation.split,
        "max_seconds": evaluation.max_seconds,
        "way": evaluation.way,
        "shot": evaluation.shot,
        "episodes": evaluation.episodes,
        CHOSEN_ON: chosen_on(cell.cell.run),
        "state": state_text(cell) or "done",
        "seeds": " ".join(str(seed.seed) for seed in cell.done),
        "accuracy": cell.accuracy,
        "ci95": cell.ci95,
        "seed_sd": cell.seed_sd,
        "reference": result.table.reference,
        "difference": mean,
        "difference_ci95": ci95,
        "difference_covers": covers,
        "difference_p_holm": p,
        "printed_percent": "; ".join(str(value.percent) for value in printed),
        "printed_dataset": "; ".join(value.dataset for value in printed),
        "printed_source": "; ".join(dict.fromkeys(value.source for value in printed)),
        "printed_minus_ours": cell.printed_minus_ours,
        "train_fingerprint": result.fingerprints[cell.cell.run.data.dataset],
        "test_fingerprint": result.fingerprints[cell.dataset],
    }

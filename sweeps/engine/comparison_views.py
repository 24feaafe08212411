"""A comparison with printed values for a terminal, as Markdown and as CSV."""

import csv
import io

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from sweeps.engine.comparison import ComparedCell, Comparison, Order
from sweeps.engine.formats import escape_markdown
from sweeps.engine.protocol import DAGGER, printed_from
from sweeps.engine.report import decimals, points, state_text
from sweeps.engine.selection_words import cautions, marked, titled

_HEADS = ("row", "printed", "ours", "ours − printed", "verdict")
_WITHOUT_VERDICT = 3
_COLOURS = {"reproduced": "green", "better": "yellow", "worse": "yellow", "failed": "red"}


def terminal(comparison: Comparison, width: int) -> Group:
    """For a console of so many characters: a table per column of the paper, what it adds up to, orders, notes."""
    parts: list[RichTable | Text] = [Text(line, style="bold") for line in _heading(comparison)]
    for column in comparison.result.table.columns():
        table = RichTable(title=Text(column), title_justify="left", header_style="bold")
        heads = _heads(comparison)
        table.add_column(heads[0], max_width=max(16, width - 64), overflow="fold")
        for head in heads[1:]:
            table.add_column(head, justify="left" if head == "verdict" else "right")
        for cell in _of(comparison, column):
            colour = _COLOURS.get(cell.standing, "")
            table.add_row(
                *(Text(text, style=colour if i == 4 else "") for i, text in enumerate(_texts(comparison, cell)))
            )
        parts.append(table)
        parts += [Text(_order_text(order)) for order in comparison.orders if order.column == column]
    return Group(*parts, *(Text(line, style="dim") for line in _below(comparison)))


def markdown(comparison: Comparison) -> str:
    """The same as pipe tables."""
    lines: list[str] = []
    for i, line in enumerate(_heading(comparison)):
        lines += [f"### {escape_markdown(line)}" if i == 0 else escape_markdown(line), ""]
    for column in comparison.result.table.columns():
        heads = _heads(comparison)
        rule = [":--" if head in ("row", "verdict") else "--:" for head in heads]
        lines += [f"**{escape_markdown(column)}**", "", f"| {' | '.join(heads)} |", f"| {' | '.join(rule)} |"]
        for cell in _of(comparison, column):
            lines.append(f"| {' | '.join(map(_in_a_line, _texts(comparison, cell)))} |")
        lines += ["", *(f"- {escape_markdown(_order_text(o))}" for o in comparison.orders if o.column == column), ""]
    lines += [f"- {escape_markdown(line)}" for line in _below(comparison)]
    return "\n".join([*lines, ""])


def _in_a_line(text: str) -> str:
    return escape_markdown(text.replace("\n", " · "))


def csv_text(comparison: Comparison) -> str:
    """A line per cell, for programs: fractions, but printed values in per cent; what is missing is empty."""
    out = io.StringIO()
    lines = [_csv_line(comparison, cell) for cell in comparison.cells]
    writer = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _heading(comparison: Comparison) -> list[str]:
    result = comparison.result
    counts = ", ".join(f"{count} {standing}" for standing, count in comparison.counts().items())
    lines = [
        titled(result.table.title, (cell.cell.run for cell in result.cells)),
        f"{len(result.cells)} cells: {counts}.",
    ]
    if comparison.on_other_data():
        ours = ", ".join(dict.fromkeys(cell.dataset for cell in result.cells))
        lines.append(
            f"Ours are of {ours}, and no printed value is: they are shown, but there is no difference and no verdict. "
            "The order of the rows is what can be compared."
        )
    return lines


def _heads(comparison: Comparison) -> tuple[str, ...]:
    return _HEADS[: _WITHOUT_VERDICT if comparison.on_other_data() else None]


def _of(comparison: Comparison, column: str) -> list[ComparedCell]:
    return [cell for cell in comparison.cells if cell.result.cell.column == column]


def _texts(comparison: Comparison, cell: ComparedCell) -> tuple[str, ...]:
    """What stands under the heads."""
    result, digits = cell.result, decimals(comparison.result)
    ours, difference = state_text(result), ""
    if not ours and result.accuracy is not None and result.ci95 is not None:
        ours = marked(f"{100 * result.accuracy:.{digits}f} ± {100 * result.ci95:.{digits}f}", result.cell.run)
    verdict = "" if cell.standing in ("pending", "failed", "not printed") else cell.standing
    found = cell.reproduction
    if found is not None:
        half = found.difference.half_width()
        difference = f"{points(found.difference.value, 2)} ± {100 * half:.2f}"
        verdict += "" if found.seeds_needed is None else f" (≈{found.seeds_needed} seeds)"
    return (result.cell.row, _printed(cell), ours, difference, verdict)[: len(_heads(comparison))]


def _printed(cell: ComparedCell) -> str:
    values = cell.result.cell.published
    several = len({value.dataset for value in values}) > 1
    return "\n".join(
        f"{value.percent:.2f}"
        + (f" {value.dataset}" if several else "")
        + ("" if value is cell.result.printed else f" {DAGGER}")
        for value in values
    )


def _order_text(order: Order) -> str:
    found = order.agreement
    pairs = found.agree + found.contradict + found.undecided
    tied = f", {found.tied} printed equal" if found.tied else ""
    data = "" if order.comparable else f" {DAGGER}"
    return (
        f"Order of {order.rows} rows against {order.source}, {order.dataset}{data}: "
        f"Kendall's tau {_signed(found.tau)}, 95 % interval {_signed(found.low)} to {_signed(found.high)}; "
        f"of {pairs} pairs {found.agree} confirmed, {found.contradict} contradicted, {found.undecided} undecided{tied}."
    )


def _signed(tau: float) -> str:
    return points(tau / 100, 2)


def _below(comparison: Comparison) -> list[str]:
    result = comparison.result
    lines = list(cautions(cell.cell.run for cell in result.cells))
    if any(cell.reproduction for cell in comparison.cells):
        lines.append(
            "ours ± the 95 % interval over episodes; ours − printed ± 95 %, which covers other seeds where there are "
            f"two. Reproduced: the 90 % interval of the difference lies within {100 * comparison.margin:g} points of "
            "0; better, worse: beyond; undecided: neither."
        )
    reasons: dict[str, list[str]] = {}
    for cell in comparison.cells:
        if cell.reproduction is not None and cell.reproduction.reason:
            reasons.setdefault(cell.reproduction.reason, []).append(
                f"{cell.result.cell.row}, {cell.result.cell.column}"
            )
    lines += [f"Undecided, {reason}: {'; '.join(names)}." for reason, names in reasons.items()]
    return [*lines, *printed_from(result), *result.table.notes]


def _csv_line(comparison: Comparison, cell: ComparedCell) -> dict[str, object]:
    result, found = cell.result, cell.reproduction
    return {
        "table": comparison.result.table.name,
        "row": result.cell.row,
        "column": result.cell.column,
        "dataset": result.dataset,
        "state": state_text(result) or "done",
        "printed_percent": "; ".join(f"{value.percent:g}" for value in result.cell.published),
        "printed_dataset": "; ".join(value.dataset for value in result.cell.published),
        "compared_with_percent": None if result.printed is None else result.printed.percent,
        "accuracy": result.accuracy if result.state == "done" else None,
        "ci95": result.ci95 if result.state == "done" else None,
        "difference": None if found is None else found.difference.value,
        "difference_ci95": None if found is None else found.difference.half_width(),
        "difference_covers": None if found is None else found.difference.covers,
        "low90": None if found is None else found.low,
        "high90": None if found is None else found.high,
        "margin": comparison.margin,
        "standing": cell.standing,
        "seeds_needed": None if found is None else found.seeds_needed,
        "reason": None if found is None else found.reason,
    }

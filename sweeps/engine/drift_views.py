"""A drift report for a terminal and as Markdown."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from sweeps.engine import drift_words as words
from sweeps.engine.drift_report import Report
from sweeps.engine.formats import escape_markdown

_COLOURS = {
    "fine": "green",
    "better": "cyan",
    "insufficient data": "dim",
    "suspicious": "yellow",
    "regression": "bold red",
}
_REST = 72
"""Characters that the columns beside the cell's name take."""


def terminal(report: Report, width: int) -> Group:
    """For a console of so many characters."""
    parts: list[RenderableType] = [Text(words.title(report), style=_COLOURS[report.verdict]), Text(report.says)]
    for name, cells in report.tables().items():
        heads = words.heads(cells)
        table = RichTable(title=Text(name), title_justify="left", header_style="bold")
        table.add_column(heads[0], min_width=12, max_width=max(16, width - _REST), overflow="fold")
        for head in heads[1:]:
            table.add_column(head, justify="left" if head in ("verdict", "printed %") else "right")
        for cell in cells:
            own = words.texts(cell, heads)
            table.add_row(
                *(Text(t, style=_COLOURS[cell.standing] if i == words.VERDICT else "") for i, t in enumerate(own))
            )
        parts.append(table)
    parts.append(Text(words.changes_head(report)))
    if report.changes:
        table = RichTable(show_header=False, box=None, padding=(0, 2, 0, 0))
        for _ in range(4):
            table.add_column(overflow="fold")
        for line in words.changes(report):
            table.add_row(*map(Text, (*line[:2], line[2], f"→ {line[3]}")))
        parts.append(table)
    parts += [Text(words.series(report)), *(Text(line, style="dim") for line in words.below(report))]
    return Group(*parts)


def markdown(report: Report, pictures: Mapping[str, str]) -> str:
    """``pictures``: by table, the file beside it."""
    lines = [f"### {escape_markdown(words.title(report))}", "", escape_markdown(report.says), ""]
    for name, cells in report.tables().items():
        heads = words.heads(cells)
        left = ("cell", "verdict", "printed %")
        lines += [f"**{escape_markdown(name)}**", ""]
        lines += _pipes([heads, *(words.texts(cell, heads) for cell in cells)], [head in left for head in heads])
        lines += [f"![accuracy by rerun]({pictures[name]})", ""] if name in pictures else []
    lines += [escape_markdown(words.changes_head(report)), ""]
    if report.changes:
        lines += _pipes([("kind", "what", "before", "now"), *words.changes(report)], [True] * 4)
    lines += [f"- {escape_markdown(line)}" for line in (words.series(report), *words.below(report))]
    return "\n".join([*lines, ""])


def _pipes(rows: Iterable[Sequence[str]], left: Sequence[bool]) -> list[str]:
    head, *rest = [f"| {' | '.join(map(escape_markdown, row))} |" for row in rows]
    rule = "|".join(":--" if own else "--:" for own in left)
    return [head, f"|{rule}|", *rest, ""]

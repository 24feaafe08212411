"""The ablation path in words, as Markdown and for a terminal."""

from rich.table import Table as RichTable
from rich.text import Text

from sweeps.engine.formats import escape_markdown
from sweeps.engine.report import points as in_points
from sweeps.engine.report import state_text
from sweeps.engine.results import CellResult
from sweeps.engine.search_finals import TEST, VAL
from sweeps.engine.search_path import Step
from sweeps.engine.search_path_run import Path, gains

_HEADS = ("change", "val %", "gain, points", "test %")
_DIGITS = 2


def path_rows(path: Path) -> list[tuple[str, ...]]:
    """A row per point: what changed, accuracy on val, its gain to the row above, accuracy on test."""
    to_before = (None, *gains(path.result))
    rows: list[tuple[str, ...]] = []
    for cell, gain in zip(path.result.column(VAL), to_before, strict=True):
        text = "" if gain is None else f"{in_points(gain.value, _DIGITS)} ± {100 * gain.half_width():.{_DIGITS}f}"
        rows.append((cell.cell.row, _percent(cell), text, _percent(path.result.at(cell.cell.row, TEST))))
    return rows


def path_lines(path: Path) -> list[str]:
    """How the path was found, and what its numbers mean."""
    result = path.result
    episodes = result.column(VAL)[0].cell.evaluation.episodes
    lines = [
        "At each step the change was made that gained most on val, judged by one training (seed 0) of every change "
        f"that was left. Gains are to the row above, over {len(result.seeds)} seeds and {episodes:,} val episodes that "
        "all rows share, ± the 95 % interval of that step alone. Test stands beside for the record.",
        *(_tried(i, step) for i, step in enumerate(path.way.steps, start=1) if step.tried),
    ]
    if path.way.without_effect:
        lines.append(f"Without effect at the best point: {', '.join(path.way.without_effect)}.")
    return lines


def path_markdown(path: Path) -> str:
    """A pipe table, then how it was found."""
    lines = [_HEADS, (":--", "--:", "--:", "--:")]
    lines += [tuple(escape_markdown(text) for text in row) for row in path_rows(path)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([table, "", *(f"- {escape_markdown(line)}" for line in path_lines(path))])


def path_view(path: Path) -> RichTable:
    """For a terminal."""
    table = RichTable(title=Text(path.result.table.title), title_justify="left", header_style="bold")
    for i, head in enumerate(_HEADS):
        table.add_column(head, justify="right" if i else "left", no_wrap=i > 0)
    for row in path_rows(path):
        table.add_row(*map(Text, row))
    return table


def _percent(cell: CellResult | None) -> str:
    if cell is None or cell.accuracy is None or cell.state != "done":
        return "" if cell is None else state_text(cell)
    return f"{100 * cell.accuracy:.{_DIGITS}f}"


def _tried(number: int, step: Step) -> str:
    ranked = sorted(step.tried, key=lambda own: -(own.accuracy or 0.0))
    each = [f"{own.words} {'failed' if own.accuracy is None else f'{100 * own.accuracy:.1f}'}" for own in ranked]
    return f"Step {number} was chosen among: {'; '.join(each)} (% on val, seed 0)."

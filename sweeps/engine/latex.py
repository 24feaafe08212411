"""A table for a paper, for booktabs: wide ones as several tabulars below each other, so that they fit a page."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sweeps.engine.latex_text import escape_latex, stacked, wrapped
from sweeps.engine.protocol import footnotes
from sweeps.engine.report import BETWEEN, Column, Entry, Grid, grid, places
from sweeps.engine.results import TableResult

_PAGE, _COLUMN = 490.0, 236.0
"""Points, of the widths that common templates with two columns leave."""
_LETTER, _BETWEEN = 4.2, 6.0
"""Points, of a letter in \\footnotesize and of the space between columns."""
_LONGEST_ROW = 30
"""Letters; longer names take several lines."""
_MOST_NUMBERS = 9
"""Columns of numbers beside each other."""
_LINES = 60
"""Of a page."""
_HEADING = 12
"""Letters of a line of a heading, at least."""
_MARKS = {"best": r"\textbf{%s}", "second": r"\underline{%s}", None: "%s"}
_BREAK = r"+\allowbreak{}"
"""Names of rows join parts by a plus, without a space."""
_ROWS = tuple[tuple[str, tuple[Entry | None, ...]], ...]


@dataclass(frozen=True)
class _Block:
    """What stays together on a page."""

    text: tuple[str, ...]
    lines: int
    width: float
    """Points."""


def latex(result: TableResult) -> str:
    """One ``table`` where it fits a column of text, else ``table*``, several where it does not fit a page.

    Best bold, second best underlined; notes and protocol below. Every text is escaped.
    """
    words = grid(result)
    blocks = [_tabular(part) for part in _parts(words)]
    narrow = all(block.width <= _COLUMN for block in blocks)
    notes = _notes(footnotes(result), _COLUMN)
    if not narrow or sum(block.lines for block in blocks) + notes.lines > _LINES:
        narrow, notes = False, _notes(footnotes(result), _PAGE)
    floats = list(_pages([*blocks, notes]))
    name = result.table.name
    texts = [_float(words.title, name, page, i, narrow=narrow) for i, page in enumerate(floats)]
    return "\n".join([r"% needs \usepackage{booktabs}", *texts, ""])


def _float(title: str, name: str, blocks: list[_Block], page: int, *, narrow: bool) -> str:
    kind = "table" if narrow else "table*"
    head = escape_latex(title) + (" (continued)" if page else "")
    label = [] if page else [rf"\label{{tab:{name}}}"]
    inner = [line for block in blocks for line in block.text]
    sizes = [r"\centering", r"\footnotesize", r"\setlength{\tabcolsep}{3pt}"]
    return "\n".join(
        [rf"\begin{{{kind}}}[tp]", *sizes, rf"\caption{{{head}}}\smallskip", *label, *inner, rf"\end{{{kind}}}"]
    )


def _pages(blocks: Sequence[_Block]) -> Iterator[list[_Block]]:
    page: list[_Block] = []
    for block in blocks:
        if page and sum(own.lines for own in page) + block.lines > _LINES:
            yield page
            page = []
        page.append(block)
    yield page


def _parts(words: Grid) -> Iterator[Grid]:
    """Columns that fit beside each other, and of them rows that fit a page."""
    row = min(_LONGEST_ROW, max(len(name) for name, _ in words.rows)) * _LETTER
    start = 0
    while start < len(words.columns):
        end = start + 1
        while end < len(words.columns) and _fits(words, start, end + 1, _PAGE - row):
            end += 1
        for rows in _rows_of_a_page(tuple((name, entries[start:end]) for name, entries in words.rows)):
            yield Grid(words.title, words.columns[start:end], rows)
        start = end


def _fits(words: Grid, start: int, end: int, room: float) -> bool:
    numbers = sum(len(column.headings()) for column in words.columns[start:end])
    return numbers <= _MOST_NUMBERS and sum(_width(words, i) for i in range(start, end)) <= room


def _width(words: Grid, i: int) -> float:
    letters = _letters(words.columns[i], [entries[i] for _, entries in words.rows])
    return sum(count * _LETTER + _BETWEEN for count in letters)


def _letters(column: Column, entries: Sequence[Entry | None]) -> list[int]:
    """Of the widest text of every part of a column, with its heading in lines."""
    shown = [entry for entry in entries if entry is not None]
    ours = max((len(entry.value + entry.spread) for entry in shown), default=1)
    other = [
        max(len(part) for text in texts for part in _values(text))
        for texts in zip(*map(column.texts, shown), strict=True)
    ]
    return [max(count, _HEADING) for count in (ours, *(other or [1] * (len(column.headings()) - 1)))]


def _values(text: str) -> list[str]:
    """Printed values of several data sets stand below each other."""
    return text.split(BETWEEN)


def _rows_of_a_page(rows: _ROWS) -> Iterator[_ROWS]:
    page: list[tuple[str, tuple[Entry | None, ...]]] = []
    for row in rows:
        if page and sum(map(_height, page)) + _height(row) > 2 * _LINES // 3:
            yield tuple(page)
            page = []
        page.append(row)
    yield tuple(page)


def _height(row: tuple[str, tuple[Entry | None, ...]]) -> int:
    printed = max((len(_values(entry.printed)) for entry in row[1] if entry is not None), default=1)
    return max(printed, math.ceil(len(row[0]) / _LONGEST_ROW))


def _tabular(words: Grid) -> _Block:
    letters = [_letters(column, [entries[i] for _, entries in words.rows]) for i, column in enumerate(words.columns)]
    flat = [count for counts in letters for count in counts]
    starts = [2 + sum(map(len, letters[:i])) for i in range(len(letters))]
    spans = [
        rf"\multicolumn{{{len(own)}}}{{c}}{{{stacked(wrapped(column.name, sum(own)))}}}"
        for own, column in zip(letters, words.columns, strict=True)
    ]
    rules = [rf"\cmidrule(lr){{{at}-{at + len(own) - 1}}}" for at, own in zip(starts, letters, strict=True)]
    headings = [heading for column in words.columns for heading in column.headings()]
    wrapped_heads = [wrapped(heading, count) for heading, count in zip(headings, flat, strict=True)]
    longest = max(len(name) for name, _ in words.rows)
    first = "l" if longest <= _LONGEST_ROW else f"p{{{_LONGEST_ROW * _LETTER:.0f}pt}}"
    body = [" & ".join(_row(words, name, entries, long=first != "l")) + r" \\" for name, entries in words.rows]
    text = (
        rf"\begin{{tabular}}{{{first}{'r' * len(flat)}}}",
        r"\toprule",
        " & ".join(["", *spans]) + r" \\",
        " ".join(rules),
        " & ".join(["", *(stacked(head, "b") for head in wrapped_heads)]) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}\par\medskip",
    )
    width = min(longest, _LONGEST_ROW) * _LETTER + sum(count * _LETTER + _BETWEEN for count in flat)
    return _Block(text, 3 + max(map(len, wrapped_heads)) + sum(map(_height, words.rows)), width)


def _row(words: Grid, name: str, entries: tuple[Entry | None, ...], *, long: bool) -> list[str]:
    """An empty group keeps a name that starts with a bracket or a star from being an option of the line before."""

    def ours(entry: Entry) -> str:
        return _MARKS[entry.rank].replace("%s", escape_latex(entry.value)) + escape_latex(entry.spread)

    text = escape_latex(name)
    first = rf"\raggedright {text.replace('+', _BREAK)}" if long else f"{{}}{text}"
    return [first, *places(words, entries, ours, lambda text: stacked(_values(text)), "--")]


def _notes(lines: Sequence[str], width: float) -> _Block:
    height = sum(math.ceil(len(line) * 4.0 / width) for line in lines) + 1
    shown = (rf"{escape_latex(line)}\par" for line in lines)
    return _Block((r"\parbox{\linewidth}{\footnotesize\raggedright", *shown, "}"), height, 0.0)

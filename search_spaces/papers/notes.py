"""What stands below a table of a paper that is run again."""

from collections.abc import Iterator, Mapping, Sequence

from search_spaces.papers.places import OUR_NAMES, is_cross_data
from search_spaces.papers.printed import PrintedCell, PrintedTable


def notes(
    printed: PrintedTable, own: Sequence[PrintedCell], refused: Mapping[str, str], substitute: str | None
) -> tuple[str, ...]:
    """``refused``: by row, why it is not run."""
    return (
        *_substituted(own, substitute),
        *_refusals(refused),
        *doubts(own),
        *([printed.note] if printed.note else []),
    )


def doubts(cells: Sequence[PrintedCell]) -> Iterator[str]:
    """A line per printed number that may be wrong."""
    for cell in cells:
        if cell.doubt:
            where = f"{cell.dataset} {cell.shot}-shot" if cell.shot else cell.dataset
            yield f"Doubt about the printed {cell.value} ({cell.row}, {where}): {cell.doubt}"


def _substituted(own: Sequence[PrintedCell], substitute: str | None) -> Iterator[str]:
    if substitute is None:
        return
    theirs = ", ".join(dict.fromkeys(cell.dataset for cell in own if OUR_NAMES[cell.dataset] != substitute))
    if not theirs:
        return
    yield (
        f"Trained and tested on {substitute} instead of {theirs}: printed values are shown, but not compared; what can "
        "be compared is the order of the rows."
    )
    crossed = dict.fromkeys(cell.row for cell in own if is_cross_data(cell))
    if crossed:
        rows = ", ".join(crossed)
        yield f"The paper tests on other data than it trains on, which {substitute} alone cannot show: {rows}."


def _refusals(refused: Mapping[str, str]) -> Iterator[str]:
    for reason in dict.fromkeys(refused.values()):
        rows = ", ".join(row for row, own in refused.items() if own == reason)
        yield f"Not run: {rows}: {reason}."

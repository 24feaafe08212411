"""The report of an import, as tables on a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fsar_core.data.importing import ClassReport, ImportReport, SplitReport

_CLASSES = 10
_UNREADABLE = 20
_SUFFIXES = 8


def print_report(report: ImportReport, manifest: Path, site: str, console: Console) -> None:
    """What was found; the faults are for the caller to show."""
    if report.splits:
        _line(console, "what", report.version)
        _line(console, "split by", report.source)
        console.print(_splits(report.splits, opened=report.opened))
    if report.worst(_CLASSES):
        console.print("Classes that lack videos, worst first:")
        console.print(_classes(report.worst(_CLASSES)))
    if report.readers:
        console.print("Who reads the clips:")
        console.print(_readers(report))
    for name, text in _remarks(report):
        _line(console, name, text)
    if not report.faults:
        _line(console, "print", f"{report.fingerprint}, the fingerprint of the videos; it goes into every result")
        _line(console, "written", str(manifest))
        dataset = f"--dataset {report.dataset} --site {site}"
        _line(console, "next", f"fsar train frame_matching --preset smoke {dataset}")


def _remarks(report: ImportReport) -> Iterator[tuple[str, str]]:
    if report.splits and not report.opened:
        yield "note", "no clip was opened: first see to what follows"
    for name, reason in report.unreadable[:_UNREADABLE]:
        yield "unread", f"{name}: {reason}"
    if len(report.unreadable) > _UNREADABLE:
        yield "unread", f"and {len(report.unreadable) - _UNREADABLE} more"
    for note in report.notes:
        yield "note", note
    if report.unused:
        yield "unused", f"{report.unused:,} clips on disk belong to no class or list of this split"
    if report.passed_over:
        yield "other", _other_files(report.passed_over)


def _line(console: Console, name: str, text: str) -> None:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=9, style="bold")
    table.add_column(overflow="fold")
    table.add_row(name, escape(text))
    console.print(table, highlight=False)


def _splits(splits: Sequence[SplitReport], *, opened: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0)
    table.add_column("split", vertical="bottom")
    known = any(one.published is not None for one in splits)
    headings = ["classes", *(["published"] if known else []), "listed", "found", "missing", "ambiguous"]
    if opened:
        headings += ["unreadable", "8\nframes", "fewer\nthan 8"]
    for heading in headings:
        table.add_column(heading, justify="right")
    for one in splits:
        after = (one.unreadable, one.eight_frames, one.fewer_frames) if opened else ()
        table.add_row(
            one.split,
            str(one.classes),
            *([f"{one.published or 0:,}"] if known else []),
            f"{one.listed:,}",
            f"{one.found:,}",
            *(_count(number) for number in (one.missing, one.ambiguous, *after)),
        )
    return table


def _count(number: int) -> str:
    return f"[bold red]{number:,}[/]" if number else "0"


def _classes(classes: Iterable[ClassReport]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0)
    table.add_column("split")
    table.add_column("class", overflow="fold")
    for heading in ("listed", "usable", "lost"):
        table.add_column(heading, justify="right")
    for one in classes:
        table.add_row(one.split, escape(one.label), str(one.listed), str(one.usable), str(one.lost()))
    return table


def _readers(report: ImportReport) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=0)
    for heading in ("container", "codec", "reader"):
        table.add_column(heading)
    table.add_column("clips", justify="right")
    for one in report.readers:
        table.add_row(escape(one.container), escape(one.codec), _READERS.get(one.reader, one.reader), f"{one.clips:,}")
    return table


_READERS = {
    "decord": "decord, which seeks",
    "pyav": "PyAV, from the start: decord does not seek exactly here",
    "images": "Pillow, images",
}


def _other_files(passed_over: dict[str, int]) -> str:
    most = sorted(passed_over.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{count:,} {suffix}" for suffix, count in most[:_SUFFIXES])
    more = len(most) - _SUFFIXES
    return f"files passed over: {shown}" + (f" and {more} more kinds" if more > 0 else "")

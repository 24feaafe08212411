"""Lists in any of the forms in circulation, to a listing whose classes are those of the data set."""

from pathlib import Path

from fsar_core.data.folder_scan import SPLITS
from fsar_core.data.listing.annotations import Annotations
from fsar_core.data.listing.benchmarks import Benchmark
from fsar_core.data.listing.checks import (
    check_classes,
    check_disjoint,
    check_official_sets,
    check_repeated,
    check_variant,
)
from fsar_core.data.listing.class_names import Classes, by_name, by_number
from fsar_core.data.listing.list_files import find_lists
from fsar_core.data.listing.listed import BadLists, Listed, Listing
from fsar_core.data.listing.rows import Row, Rows, read_class_map, read_rows


def read_lists(path: Path, benchmark: Benchmark | None, annotations: Annotations | None = None) -> Listing:
    """The lists in the folder ``path``, or those that belong to the list ``path``.

    ``benchmark``: None for a data set of one's own, whose lists must be by class name. ``annotations`` tell the classes
    of numbers, and check everything else. Raises BadLists with all faults.
    """
    try:
        found = find_lists(path)
    except OSError as error:
        raise BadLists(f"the lists in {path}", [f"{path}: cannot be read: {error.strerror or error}"]) from error
    rows = read_class_map(found.class_map) if found.class_map else read_rows(found.files, numbers=benchmark is not None)
    whole = bool(rows.rows) and rows.form == "path number"
    if not found.class_map and not rows.faults and not whole:
        for split in SPLITS:
            if split not in found.files:
                there = ", ".join(file.name for file in found.files.values())
                rows.faults.add(str(path), f"no list for {split}; train, val and test are needed, there is {there}")
    _stop(path, rows, benchmark)
    listing = _own(rows) if benchmark is None else _known(rows, benchmark, annotations or Annotations())
    _stop(path, rows, benchmark)
    return listing


def _stop(path: Path, rows: Rows, benchmark: Benchmark | None) -> None:
    if not rows.faults:
        return
    lines = rows.faults.lines()
    if benchmark is not None and benchmark.needs == "nothing":
        lines.append(f"{benchmark.title} needs no lists: its classes say which videos are whose; leave the lists away")
    raise BadLists(f"the lists in {path}", lines)


def _own(rows: Rows) -> Listing:
    for row in rows.rows:
        if not row.line.label:
            message = f"'{row.line.form}' gives a number for a class; lists of a data set of your own give its name"
            rows.faults.add(row.place, f"{message}: class/video")
    listing = _listing(rows, [_listed(row, row.line.label) for row in rows.rows], [], "")
    check_disjoint(rows, listing)
    return listing


def _known(rows: Rows, benchmark: Benchmark, annotations: Annotations) -> Listing:
    resolve = by_name if rows.rows[0].line.number is None else by_number
    classes = resolve(rows.rows, benchmark, annotations, rows.faults)
    if rows.form == "path number":
        return _of_whole_dataset(rows, classes, benchmark)
    if resolve is by_name or not rows.faults:
        check_classes(rows, classes.labels, benchmark)
    videos = [_listed(row, label, benchmark) for row, label in zip(rows.rows, classes.labels, strict=True)]
    listing = _listing(rows, videos, classes.notes, benchmark.name)
    if not rows.faults:
        check_official_sets(rows, listing, benchmark, annotations)
        check_variant(rows, listing, benchmark)
    return listing


def _of_whole_dataset(rows: Rows, classes: Classes, benchmark: Benchmark) -> Listing:
    """A list of all classes, for training and validation of a classifier: the videos that the split takes of it."""
    if benchmark.needs == "lists":
        rows.faults.add(
            rows.rows[0].place, f"a list of the whole data set; {benchmark.title} is a choice of its videos"
        )
    taken: list[Row] = []
    videos: list[Listed] = []
    for row, label in zip(rows.rows, classes.labels, strict=True):
        split = benchmark.split.split_of(label)
        if split is None:
            rows.tolerated["videos of classes that the split does not have"] += 1
        elif benchmark.needs == "annotations" and not benchmark.takes(split, row.split or split):
            rows.tolerated["videos of the official set that the split does not take from"] += 1
        else:
            taken.append(row)
            videos.append(_listed(row, label, benchmark))
    rows.rows[:] = taken
    return _listing(rows, videos, classes.notes, benchmark.name)


def _listed(row: Row, label: str, benchmark: Benchmark | None = None) -> Listed:
    split = benchmark.split.split_of(label) if benchmark else row.split
    return Listed(split or row.split or "train", label, row.line.video, row.line.frames, row.line.hint)


def _listing(rows: Rows, videos: list[Listed], notes: list[str], benchmark: str) -> Listing:
    check_repeated(rows, videos)
    tolerated = {what: count for what, count in rows.tolerated.items() if count}
    return Listing(tuple(videos), benchmark, rows.form, tuple(notes), tolerated)

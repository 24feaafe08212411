"""What must hold of lists once their classes are known."""

from collections import defaultdict

from fsar_core.data.folder_scan import SPLITS, Split
from fsar_core.data.listing.annotations import Annotations
from fsar_core.data.listing.benchmarks import BENCHMARKS, Benchmark
from fsar_core.data.listing.listed import Listed, Listing
from fsar_core.data.listing.names import class_key
from fsar_core.data.listing.rows import Rows

_NAMED = 5


def some(names: list[str], most: int = _NAMED) -> str:
    """The first names, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def check_classes(rows: Rows, labels: list[str], benchmark: Benchmark) -> None:
    """The classes of ``benchmark``, all of them, each in its split."""
    strange: dict[str, str] = {}
    moved: dict[str, str] = {}
    for row, label in zip(rows.rows, labels, strict=True):
        split = benchmark.split.split_of(label)
        if split is None:
            strange.setdefault(label, row.place)
        elif row.split not in (None, split):
            moved.setdefault(f"{label} ({row.split}, should be {split})", row.place)
    title = benchmark.title
    if strange:
        what = f"not classes of {title} ({len(strange)}): {some(list(strange))}"
        rows.faults.add(next(iter(strange.values())), what + _whose(set(labels), benchmark))
    if moved:
        what = f"classes of another split in {title} ({len(moved)}): {some(list(moved))}"
        rows.faults.add(next(iter(moved.values())), what)
    present = set(labels)
    absent = [label for split in SPLITS for label in benchmark.split.labels(split) if label not in present]
    if absent:
        rows.faults.add(title, f"classes without a video in the lists ({len(absent)}): {some(absent)}")


def _whose(labels: set[str], benchmark: Benchmark) -> str:
    found = {class_key(label) for label in labels}
    for other in BENCHMARKS.values():
        if other.file != benchmark.file and found == other.split.by_name.keys():
            return f"; these are the classes of {other.title}: import the lists as {other.name}"
    return "; lists of other classes are imported under a name of your own"


def check_repeated(rows: Rows, videos: list[Listed]) -> None:
    """``videos``: one for each row. Videos of two classes may share a name."""
    first: dict[tuple[str, str], str] = {}
    for row, video in zip(rows.rows, videos, strict=True):
        name = video.label, video.video
        if name in first:
            rows.faults.add(row.place, f"{video.label}/{video.video} is listed twice, before at {first[name]}")
        first.setdefault(name, row.place)


def check_disjoint(rows: Rows, listing: Listing) -> None:
    splits: dict[str, set[Split]] = defaultdict(set)
    for video in listing.videos:
        splits[video.label].add(video.split)
    for label, where in splits.items():
        if len(where) > 1:
            homes = " and ".join(split for split in SPLITS if split in where)
            rows.faults.add(f"class {label!r}", f"is in {homes}; the splits' classes must be disjoint")


def check_official_sets(rows: Rows, listing: Listing, benchmark: Benchmark, annotations: Annotations) -> None:
    """Where the official training and validation sets fix the split."""
    if benchmark.needs != "annotations":
        return
    for row, video in zip(rows.rows, listing.videos, strict=True):
        official = annotations.subsets.get(benchmark.key(video.video))
        if official is not None and not benchmark.takes(video.split, official):
            what = f"{video.split} videos from the official {official} set, from which {benchmark.title} takes none"
            extra = BENCHMARKS["ssv2_full_77k"]
            cure = f"; lists of {extra.title} are imported as {extra.name}" if video.split == "train" else ""
            rows.faults.add(row.place, what + cure)


def check_variant(rows: Rows, listing: Listing, benchmark: Benchmark) -> None:
    """Lists by number look alike, and variants have the same classes: the counts tell the lists of a sister."""
    counts = listing.counts()
    for other in BENCHMARKS.values():
        sister = other.split.dataset == benchmark.split.dataset and other is not benchmark
        if sister and counts == other.expected():
            told = " / ".join(f"{count:,}" for count in counts.values())
            rows.faults.add(
                f"{told} videos",
                f"these are the lists of {other.title}, not of {benchmark.title}; import as {other.name}",
            )

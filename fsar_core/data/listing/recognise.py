"""Which published split a listing is, and which version of its list, as far as classes and counts tell."""

from dataclasses import dataclass

from fsar_core.data.folder_scan import SPLITS, Split
from fsar_core.data.listing.benchmarks import BENCHMARKS, Benchmark
from fsar_core.data.listing.checks import some
from fsar_core.data.listing.listed import Listing

_TA2N_DROPPED: dict[Split, int] = {"train": 13, "val": 0, "test": 3}
"""Clips of CMN's Kinetics list that TA2N's leaves out."""


@dataclass(frozen=True)
class Recognised:
    version: str
    """One line; goes into a record."""
    expected: dict[Split, int] | None
    """Videos of each split where all are there; None for a data set of one's own."""
    absent: tuple[str, ...]
    """Classes of the benchmark of which nothing is listed."""
    lines: tuple[str, ...]
    """What to know besides."""


def which_known(listing: Listing) -> str:
    """As ``recognise``, as text of several lines."""
    known = recognise(listing)
    return "\n".join((known.version, *known.lines))


def recognise(listing: Listing) -> Recognised:
    counts = listing.counts()
    classes = " / ".join(str(len(listing.labels(split))) for split in SPLITS)
    found = f"{classes} classes, {_told(counts)} videos (train / val / test), listed as {listing.format}"
    if not listing.benchmark:
        return Recognised(f"a data set of your own: {found}", None, (), listing.notes)
    benchmark = BENCHMARKS[listing.benchmark]
    expected = benchmark.expected()
    labels = {label for split in SPLITS for label in listing.labels(split)}
    absent = tuple(label for split in SPLITS for label in benchmark.split.labels(split) if label not in labels)
    version = f"{benchmark.title}, split of {benchmark.split.split.upper()}, {_version(listing, benchmark)}: {found}"
    lines = [*listing.notes, *_odd_classes(listing, benchmark)]
    if absent:
        lines.append(f"classes without a video ({len(absent)}): {some(list(absent))}")
    return Recognised(version, expected, absent, tuple(lines))


def _version(listing: Listing, benchmark: Benchmark) -> str:
    counts, expected = listing.counts(), benchmark.expected()
    if benchmark.name == "kinetics100":
        return _kinetics_version(listing, benchmark)
    if counts == expected:
        return "complete"
    return f"not the published counts ({_told(expected)})"


def _kinetics_version(listing: Listing, benchmark: Benchmark) -> str:
    counts, expected = listing.counts(), benchmark.expected()
    if counts == {split: expected[split] - _TA2N_DROPPED[split] for split in SPLITS}:
        return "CMN's list without the clips that TA2N dropped"
    if counts != expected:
        return f"not the counts of a published list ({_told(expected)})"
    if listing.format != "label//path":
        return "complete; CMN's list by its form (the counts of CMN's and the repaired list are the same)"
    shared = benchmark.split.videos_shared_with_repaired_list
    told = f" ({_told(shared.of())} clips are in CMN's too)" if shared else ""
    return f"complete; by its form the repaired list of HyRSM, MoLo and CLIP-FSAR{told}"


def _odd_classes(listing: Listing, benchmark: Benchmark) -> list[str]:
    """Classes with other counts than published, for lists: what is stored may be less."""
    ranges = benchmark.split.videos_per_class
    sizes: dict[tuple[Split, str], int] = {}
    for video in listing.videos:
        sizes[video.split, video.label] = sizes.get((video.split, video.label), 0) + 1
    high = benchmark.train_has_validation
    odd = [
        f"{label} ({size})"
        for (split, label), size in sorted(sizes.items())
        if size < ranges[split].min or (size > ranges[split].max and not (high and split == "train"))
    ]
    if not odd:
        return []
    return [f"classes with fewer or more videos than any of their split as published ({len(odd)}): {some(odd)}"]


def _told(counts: dict[Split, int]) -> str:
    return " / ".join(f"{counts[split]:,}" for split in SPLITS)

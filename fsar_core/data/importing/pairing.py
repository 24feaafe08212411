"""Which clip on disk is which video of the split."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fsar_core.data.folder_scan import SPLITS
from fsar_core.data.importing.asked import Asked
from fsar_core.data.listing import (
    BENCHMARKS,
    BadLists,
    Benchmark,
    Listed,
    Listing,
    Stored,
    listing_from_classes,
    match,
    read_annotations,
    read_lists,
    recognise,
)
from fsar_core.data.listing.names import plain
from fsar_core.data.stores.location import Location
from fsar_core.data.stores.walk import Entry

_SHOWN = 10


@dataclass(frozen=True)
class Paired:
    listing: Listing
    source: str
    """Where the split came from."""
    found: tuple[tuple[Listed, Stored[Location]], ...]
    missing: tuple[Listed, ...] = ()
    ambiguous: tuple[tuple[Listed, tuple[Stored[Location], ...]], ...] = ()
    unused: int = 0
    """Clips on disk that nothing names."""
    ways: dict[str, int] = field(default_factory=dict[str, int])
    """How names were found equal."""


def pair(asked: Asked, entries: Sequence[Entry]) -> Paired:
    """By lists, else by the benchmark's classes, else by the folders train, val and test. Raises BadLists."""
    benchmark = BENCHMARKS.get(asked.dataset)
    if asked.annotations is not None and benchmark is None:
        raise BadLists("--annotations", [f"only known benchmarks have official annotations: {', '.join(BENCHMARKS)}"])
    annotations = (
        None if asked.annotations is None or benchmark is None else read_annotations(benchmark, asked.annotations)
    )
    if asked.lists is not None:
        return _matched(read_lists(asked.lists, benchmark, annotations), f"lists in {asked.lists}", entries)
    needs = "lists" if benchmark is None else benchmark.needs
    if benchmark is not None and (needs == "nothing" or (needs == "annotations" and annotations is not None)):
        listing = listing_from_classes(benchmark, entries, annotations)
        return _matched(listing, "official classes" if annotations is None else "official annotations", entries)
    if {entry.split for entry in entries} >= set(SPLITS):
        return _as_it_is(asked.dataset, benchmark, entries)
    raise BadLists(f"data set {asked.dataset!r}", [_what_it_needs(benchmark)])


def _what_it_needs(benchmark: Benchmark | None) -> str:
    folders = "or a root with the folders train, val and test, each with class folders"
    if benchmark is None:
        known = ", ".join(BENCHMARKS)
        return f"what is train, val and test must come from --lists, {folders}; without either there are: {known}"
    if benchmark.needs == "annotations":
        return f"{benchmark.title} needs --annotations ({benchmark.annotations}), or --lists, {folders}"
    return f"{benchmark.title} is a choice of videos that only lists name: give --lists, {folders}"


def _matched(listing: Listing, source: str, entries: Sequence[Entry]) -> Paired:
    matched = match(listing, entries)
    return Paired(
        listing, source, matched.found, matched.missing, matched.ambiguous, matched.unused, dict(matched.ways)
    )


def _as_it_is(dataset: str, benchmark: Benchmark | None, entries: Sequence[Entry]) -> Paired:
    found: list[tuple[Listed, Stored[Location]]] = []
    for entry in entries:
        if entry.split is not None and entry.folder:
            found.append((Listed(entry.split, _label(entry.folder, benchmark), entry.name), entry))
    listing = Listing(tuple(listed for listed, _ in found), dataset if benchmark else "", "class folders")
    faults = list(_shared_classes(listing))
    if faults:
        raise BadLists(f"data set {dataset!r}", faults)
    return Paired(listing, "folders train, val, test", tuple(found), unused=len(entries) - len(found))


def _label(folder: str, benchmark: Benchmark | None) -> str:
    return folder if benchmark is None else benchmark.split.by_name.get(plain(folder), (folder, ""))[0]


def _shared_classes(listing: Listing) -> Iterator[str]:
    homes: dict[str, set[str]] = defaultdict(set)
    for video in listing.videos:
        homes[video.label].add(video.split)
    for label, where in sorted(homes.items()):
        if len(where) > 1:
            named = " and ".join(split for split in SPLITS if split in where)
            yield f"class {label!r} is in {named}; the splits' classes must be disjoint"


def pairing_faults(paired: Paired, asked: Asked) -> list[str]:
    """What is wrong with the pairs, before any clip is opened."""
    faults: list[str] = []
    if paired.missing and not asked.allow_missing:
        names = [f"{video.label}/{video.video}" for video in paired.missing]
        faults.append(
            f"{len(names)} of {len(paired.listing.videos)} videos are not below {asked.root}: {few(names)}. Give the"
            " root that holds them, or --allow-missing to go on with the others"
        )
    elif not asked.allow_missing:
        faults.extend(_shortfall(paired, asked))
    if paired.ambiguous:
        names = [
            f"{video.label}/{video.video} ({' or '.join(str(one.location.shown()) for one in stored[:2])})"
            for video, stored in paired.ambiguous
        ]
        faults.append(f"{len(names)} videos may each be one of several on disk: {few(names)}. Give a root with one")
    faults.extend(_taken_twice(paired))
    faults.extend(_not_for_files(paired))
    empty = [split for split in SPLITS if not any(video.split == split for video, _ in paired.found)]
    if empty:
        faults.append(f"no video of {' and of '.join(empty)} is below {asked.root}; every split needs classes")
    return faults


def _shortfall(paired: Paired, asked: Asked) -> Iterator[str]:
    """Where the list is what class folders hold, nothing is missing in it: the published counts tell."""
    known = recognise(paired.listing)
    if known.expected is None or paired.listing.format != "class folders":
        return
    counts = paired.listing.counts()
    short = [f"{counts[split]} of {known.expected[split]} in {split}" for split in SPLITS]
    if any(counts[split] < known.expected[split] for split in SPLITS):
        absent = f", nothing of {len(known.absent)} classes ({few(known.absent)})" if known.absent else ""
        yield (
            f"fewer videos than {asked.dataset} has as published: {', '.join(short)}{absent}. Give the root that holds"
            " all, or --allow-missing to go on with these"
        )


def few(names: Sequence[str]) -> str:
    """The first ones, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _taken_twice(paired: Paired) -> Iterator[str]:
    takers: dict[Location, list[str]] = defaultdict(list)
    names: Counter[tuple[str, str]] = Counter()
    for video, stored in paired.found:
        takers[stored.location].append(f"{video.split} {video.label}/{video.video}")
        names[video.label, stored.name] += 1
    shared = [f"{where.shown()} is {' and '.join(who)}" for where, who in takers.items() if len(who) > 1]
    if shared:
        yield f"{len(shared)} clips are taken for several listed videos: {few(shared)}. A video must be listed once"
    twice = [f"{label}/{name}" for (label, name), count in names.items() if count > 1]
    if twice and not shared:
        yield f"{len(twice)} names come twice in a class: {few(twice)}. Rename or remove all but one of each"


def _not_for_files(paired: Paired) -> Iterator[str]:
    """Classes name folders of masks."""
    labels = sorted({video.label for video, _ in paired.found})
    bad = [label for label in labels if label in ("", ".", "..") or any(c in "/\\" or ord(c) < 32 for c in label)]
    if bad:
        shown = few([repr(label) for label in bad])
        yield f"{len(bad)} class names cannot name folders: {shown}. They must have no slash and no control character"

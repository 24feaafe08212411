"""Whether the data sets of a request can give what its runs and evaluations ask for."""

from collections.abc import Iterator, Mapping, Sequence

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.episodes import shortage
from fsar_core.data.folder_scan import Split
from fsar_core.data.subsets import Subset, no_longer_than

Wanted = Sequence[tuple[RunConfig, EvalConfig | None]]
"""Runs and what is measured on them; None: the training alone."""

_Sizes = tuple[tuple[str, ...], tuple[int, ...]]


def datasets_of(wanted: Wanted) -> tuple[str, ...]:
    """All that are trained or tested on, also by the runs that are needed first."""
    found: dict[str, None] = {}
    for run, evaluation in wanted:
        found |= {own.data.dataset: None for own in _with_needs(run)}
        if evaluation is not None and evaluation.dataset is not None:
            found[evaluation.dataset] = None
    return tuple(found)


def data_faults(indices: Mapping[str, ClipIndex], wanted: Wanted) -> list[str]:
    """Every reason once: too few classes or clips, unknown lengths, test classes that a run has been trained on.

    Data sets that are not in ``indices`` are passed over.
    """
    faults: dict[str, None] = {}
    seen: set[tuple[object, ...]] = set()
    sizes: dict[tuple[str, Split], _Sizes] = {}
    for run, evaluation in wanted:
        for own in _with_needs(run):
            faults |= dict.fromkeys(_limit_faults(own))
        shapes = _shapes(run, evaluation)
        for shape in [shape for shape in shapes if shape not in seen and shape[0] in indices]:
            seen.add(shape)
            dataset, split, seconds, way, shot, queries = shape
            index = indices[dataset]
            where = split if dataset == run.data.dataset else f"{split} of {dataset!r}"
            if seconds is not None:
                faults |= dict.fromkeys(_length_faults(index, split, where, seconds, way, shot + queries))
                continue
            if (dataset, split) not in sizes:
                sizes[dataset, split] = _sizes(index, split)
            labels, counts = sizes[dataset, split]
            faults |= dict.fromkeys(shortage(labels, counts, split=where, way=way, shot=shot, queries=queries))
    return [*faults, *_seen_classes(indices, wanted)]


def subset_lines(indices: Mapping[str, ClipIndex], wanted: Wanted) -> list[str]:
    """How large each subset of short clips is, and the classes that are left out of it. None may have faults."""
    lines: dict[str, None] = {}
    for run, evaluation in wanted:
        if evaluation is not None and evaluation.max_seconds is not None:
            dataset, seconds = evaluation.dataset or run.data.dataset, evaluation.max_seconds
            found = _short(indices[dataset], evaluation.split, seconds, evaluation.shot + evaluation.queries)
            lines[
                f"{evaluation.split} clips of {dataset} up to {seconds:g} s, {evaluation.shot}-shot: {found.text()}"
            ] = None
    return list(lines)


_Shape = tuple[str, Split, float | None, int, int, int]
"""Data set, split, longest clip, way, shot, queries."""


def _shapes(run: RunConfig, evaluation: EvalConfig | None) -> list[_Shape]:
    """Of all episodes that are drawn for it."""
    batches, shapes = run.batches, list[_Shape]()
    if batches.kind == "episodes":
        shapes.append((run.data.dataset, "train", None, batches.way, batches.shot, batches.queries))
        shapes.append((run.data.dataset, run.selection.on, None, 2, batches.shot, 1))
    if evaluation is not None:
        where = evaluation.dataset or run.data.dataset
        asked = evaluation.max_seconds, evaluation.way, evaluation.shot, evaluation.queries
        shapes.append((where, evaluation.split, *asked))
    return shapes


def _sizes(index: ClipIndex, split: Split) -> _Sizes:
    labels = index.labels(split)
    counts = dict.fromkeys(labels, 0)
    for clip in index.of(split):
        counts[clip.label] += 1
    return labels, tuple(counts.values())


def _short(index: ClipIndex, split: Split, seconds: float, per_class: int) -> Subset:
    return no_longer_than(index.of(split), seconds, per_class=per_class)


def _length_faults(
    index: ClipIndex, split: Split, where: str, seconds: float, way: int, per_class: int
) -> Iterator[str]:
    try:
        found = _short(index, split, seconds, per_class)
    except ValueError as error:
        yield f"{index.dataset}: {error}"
        return
    if len(found.labels) < way:
        yield (
            f"{way}-way episodes of clips up to {seconds:g} s need {way} classes with {per_class} such clips in "
            f"{where}, which has {found.text()}"
        )


def _limit_faults(run: RunConfig) -> Iterator[str]:
    limit, batches = run.data.limit, run.batches
    if limit is None:
        return
    least, what = 2, "batches of clips, of which some are held out"
    if batches.kind == "episodes":
        least = batches.shot + batches.queries
        what = f"{batches.shot}-shot episodes with {batches.queries} queries per class"
    if limit.per_class < least:
        yield f"data.limit.per_class must be at least {least} for {what}, got {limit.per_class}"


def _seen_classes(indices: Mapping[str, ClipIndex], wanted: Wanted) -> Iterator[str]:
    """An accuracy on classes that were trained on is no few-shot accuracy. What is measured on val is only compared."""
    labels = {
        (dataset, split): {_plain(label): label for label in index.labels(split)}
        for dataset, index in indices.items()
        for split in ("train", "test")
    }
    told: set[tuple[str, str]] = set()
    on_test = ((run, own) for run, own in wanted if own is not None and own.split == "test")
    for run, evaluation in on_test:
        tested = evaluation.dataset or run.data.dataset
        for trained in dict.fromkeys(own.data.dataset for own in _with_needs(run)):
            if not {trained, tested} <= indices.keys() or (trained, tested) in told:
                continue
            told.add((trained, tested))
            old, new = labels[trained, "train"], labels[tested, "test"]
            both = sorted(new[name] for name in old.keys() & new.keys())
            if both:
                yield (
                    f"test classes must be new to a run, but {len(both)} of the {len(new)} test classes of {tested!r} "
                    f"are train classes of {trained!r}: {', '.join(map(repr, both))}; "
                    "test on a data set with other classes, or train on one"
                )


def _with_needs(run: RunConfig) -> Iterator[RunConfig]:
    yield run
    for need in run.needs:
        yield from _with_needs(need.run)


def _plain(label: str) -> str:
    """Spellings differ between releases in case, spaces and punctuation."""
    return "".join(c for c in label.casefold() if c.isalnum()) or label

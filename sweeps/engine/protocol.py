"""How the numbers of a table came about, in sentences: what must stand below a table for it to mean something."""

from collections.abc import Iterable, Iterator

from sweeps.engine.data_words import pixels
from sweeps.engine.import_words import imported_line
from sweeps.engine.once import once
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.selection_words import cautions, weights_line

DAGGER = "†"
"""Marks printed values that come from other data than ours."""
STAR = "*"
"""Marks differences that are significant."""
_ON_VAL = ", on val classes, from which settings and weights are chosen: for comparing rows, no result of a method"
LEVEL = 0.05
"""Of significance."""


@once
def protocol(result: TableResult) -> tuple[str, ...]:
    """What to beware of, data, sampling, selection, seeds, episodes, the meaning of ±, where printed numbers come from;
    a line each."""
    runs = [cell.cell.run for cell in result.cells]
    lines = [
        *cautions(runs),
        _data(result),
        "Frames: "
        + _each(
            f"{run.data.frames} per clip, {run.data.train_sampling} in training, "
            f"{cell.cell.evaluation.frame_sampling or run.data.test_sampling} in tests"
            for cell, run in zip(result.cells, runs, strict=True)
        )
        + ".",
        "Pixels: " + _each(pixels(run.data) for run in runs) + ".",
        "Training: " + _each(map(_training, result.cells)) + _shared(result) + ".",
        weights_line(runs),
        f"Seeds: {', '.join(map(str, result.seeds))}; {_complete(result)}.",
        *_episode_lines(result),
        _meaning(result),
    ]
    seeds = [seed for cell in result.cells for seed in cell.seeds]
    origins = [s.trained.origin for s in seeds if s.trained] + [s.record.origin for s in seeds if s.record]
    if origins:
        commits = ", ".join(sorted({_short_commit(origin.git_commit) for origin in origins}))
        lines.append(f"Code: {commits}; preset {', '.join(sorted({origin.preset for origin in origins}))}.")
    imported = imported_line(result)
    return (*lines, *([imported] if imported else []), *printed_from(result))


def footnotes(result: TableResult) -> tuple[str, ...]:
    """All that stands below a table: its own notes, then the protocol."""
    return (*result.table.notes, *protocol(result))


def printed_from(result: TableResult) -> tuple[str, ...]:
    """Sources of the printed values, and which of them may not be compared with ours."""
    lines: dict[str, None] = {}
    for cell in result.cells:
        for printed in cell.cell.published:
            source = f"rinted values: {printed.source}, printed on {printed.dataset}"
            if printed is cell.printed:
                lines[f"P{source}, the data set of ours."] = None
            else:
                lines[f"{DAGGER} P{source}, not comparable with {cell.dataset}."] = None
    return tuple(lines)


def _data(result: TableResult) -> str:
    datasets = _each(
        run if run == tested else f"{run}, tested on {tested}"
        for run, tested in ((cell.cell.run.data.dataset, cell.dataset) for cell in result.cells)
    )
    prints = ", ".join(f"{name} {fingerprint}" for name, fingerprint in result.fingerprints.items())
    return f"Data: {datasets}; versions of the lists as fingerprints: {prints}."


def _training(cell: CellResult) -> str:
    run, batches = cell.cell.run, cell.cell.run.batches
    if batches.kind == "clips":
        of = f"{batches.size} clips"
    else:
        episodes = "1 episode" if batches.per_step == 1 else f"{batches.per_step} episodes"
        of = f"{episodes} ({batches.way}-way {batches.shot}-shot, {batches.queries} queries per class)"
    text = f"{run.method.backbone.label()}, {run.data.crop} pixels, {run.training.steps:,} steps of {of}"
    limit = run.data.limit
    return text if limit is None else f"{text}, {limit.per_class} videos of each class (drawn with seed {limit.seed})"


def _shared(result: TableResult) -> str:
    several = len(result.seeds) > 1 and any(cell.cell.run.needs for cell in result.cells)
    return "; what a run needs first is trained once, and shared by all seeds" if several else ""


def _short_commit(commit: str) -> str:
    digest, plus, changes = commit.partition("+")
    return digest[:12] + plus + changes


def _complete(result: TableResult) -> str:
    done = sum(cell.state == "done" for cell in result.cells)
    return f"{done} of {len(result.cells)} cells complete"


def _episode_lines(result: TableResult) -> Iterator[str]:
    """Of each split; where val is shown, with the columns that show it."""
    for split, name in (("test", "Test"), ("val", "Val")):
        cells = [cell for cell in result.cells if cell.cell.evaluation.split == split]
        if cells:
            text = f"{name} episodes: {_each(map(_episodes, cells))}; the same for every row"
            columns = ", ".join(dict.fromkeys(f"“{cell.cell.column}”" for cell in cells))
            whole = len(cells) == len(result.cells) and split == "test"
            yield f"{text}." if whole else f"{text}; columns: {columns}{_ON_VAL if split == 'val' else ''}."


def _episodes(cell: CellResult) -> str:
    e = cell.cell.evaluation
    queries = "1 query" if e.queries == 1 else f"{e.queries} queries"
    text = f"{e.episodes:,} {e.way}-way {e.shot}-shot with {queries} per class (episode seed {e.seed})"
    return text if e.max_seconds is None else f"{text} {_short_clips(cell)}"


def _short_clips(cell: CellResult) -> str:
    """Which clips, and what had to be left out; known once a seed is measured."""
    text = f"of clips up to {cell.cell.evaluation.max_seconds:g} s"
    record = next((seed.record for seed in cell.done if seed.record), None)
    if record is None or record.clips is None:
        return text
    text += f" ({record.clips:,} clips"
    if record.too_small:
        left_out = ", ".join(f"{label!r} with {count}" for label, count in record.too_small.items())
        text += f"; classes with too few left out: {left_out}"
    return text + ")"


def _meaning(result: TableResult) -> str:
    text = "± is 1.96 standard errors over episodes"
    if len(result.seeds) > 1:
        text += " of the mean over seeds, in brackets the sample standard deviation over seeds"
    if result.table.reference is not None:
        text += f"; differences, in points, are to “{result.table.reference}”, paired episode by episode"
        text += _covered(result)
    return text + "."


def _covered(result: TableResult) -> str:
    found = [difference for cell in result.cells if (difference := result.difference(cell)) is not None]
    covers = {difference.covers for difference in found}
    text = ", and their ± says nothing about other seeds" if covers else ""
    if "seeds and episodes" in covers:
        text = ", and their ± covers other seeds and episodes, with one spread over seeds for all rows of a column"
    if any(difference.p < LEVEL for difference in found):
        text += f"; {STAR} marks those with p < {LEVEL} by what their ± covers, corrected (Holm) for all of a column"
    return text


def _each(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))

"""Reruns one after the other: each judged by those before it that were found good."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sweeps.engine.drift_band import FALSE_ALARMS, Band, Quantity, Sample, bands, by_seed
from sweeps.engine.drift_measured import Measured, Place, Seen

LEAST_RERUNS, LEAST_SEEDS, LEAST_EPISODES = 3, 3, 100
"""Earlier reruns with their own trainings, different seeds among them, and test episodes, below which nothing is
judged."""

Standing = Literal["fine", "better", "insufficient data", "suspicious", "regression"]
"""Of a cell. ``better``: above its band, which is told and is no alarm. ``suspicious``: below it. ``regression``: below
it in two reruns that follow each other. ``insufficient data``: there is no band yet."""
Verdict = Literal["fine", "insufficient data", "suspicious", "regression"]
"""Of a rerun: the worst of its cells, from good to bad; ``better`` counts as fine."""
_FROM_BAD: tuple[Verdict, ...] = ("regression", "suspicious", "insufficient data")


@dataclass(frozen=True, eq=False)
class Judged:
    """A cell, or the mean over a table, in one rerun."""

    standing: Standing
    sample: Sample
    earlier: tuple[Sample, ...]
    """What it was compared with."""
    band: Band | None
    lacks: tuple[str, ...]
    """Why there is no band."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """A rerun."""

    seen: Seen
    cells: Mapping[Place, Judged]
    """Those that it measured, and the mean over each table of several cells."""

    @property
    def verdict(self) -> Verdict:
        standings = {own.standing for own in self.cells.values()} or {"insufficient data"}
        for bad in _FROM_BAD:
            if bad in standings:
                return bad
        return "fine"

    @property
    def counts(self) -> bool:
        """Whether later reruns are compared with it: nothing of it has left its band, on either side."""
        return not any(own.standing in ("better", "suspicious", "regression") for own in self.cells.values())

    def averaged(self, table: str) -> list[Place]:
        """The cells behind the mean over a table."""
        means = mean_place(table)
        return [p for p, own in self.cells.items() if p.table == table and p != means and own.band is not None]


def judged(reruns: Iterable[Seen], false_alarms: float = FALSE_ALARMS) -> list[Judgement]:
    """Oldest first. A function of the records alone: asked again, it gives the same."""
    reference: list[Seen] = []
    below: dict[Place, bool] = {}
    found: list[Judgement] = []
    for own in reruns:
        judgement = Judgement(own, _cells(own, reference, below, false_alarms))
        below |= {
            place: cell.standing in ("suspicious", "regression")
            for place, cell in judgement.cells.items()
            if cell.band is not None
        }
        if judgement.counts:
            reference.append(own)
        found.append(judgement)
    return found


def mean_place(table: str) -> Place:
    """Where the mean over a table stands among its cells."""
    return Place(table, "mean over the table", "")


def mean_over(rerun: Seen, places: Sequence[Place]) -> Sample | None:
    """Of the seeds that all these cells have in a rerun; None where a cell or such a seed is missing."""
    there = [rerun.cells[place].sample for place in places if place in rerun.cells]
    common = sorted(set[int].intersection(*(set(sample.seeds) for sample in there))) if there else []
    if len(there) < len(places) or not common:
        return None
    lines = [[sample.means[sample.seeds.index(seed)] for seed in common] for sample in there]
    return Sample(tuple(common), np.mean(lines, axis=0))


@dataclass(frozen=True, eq=False)
class _Earlier:
    """What a cell can be compared with."""

    cells: tuple[Measured, ...]
    """The same cell in earlier reruns, each with trainings of its own."""
    repeated: int
    """Earlier reruns that show the records of another one, or of the new one."""
    elsewhere: int
    """Earlier reruns that met other test episodes."""

    def lacks(self, new: Measured) -> tuple[str, ...]:
        reruns, seeds = len(self.cells), len(_seeds(self.cells))
        found: list[str] = []
        if reruns < LEAST_RERUNS:
            why = f"; {self.repeated} more show the same trainings" if self.repeated else ""
            why += f"; {self.elsewhere} more met other test episodes" if self.elsewhere else ""
            found.append(f"{reruns} of {LEAST_RERUNS} earlier reruns{why}")
        if seeds < LEAST_SEEDS:
            found.append(f"{seeds} of {LEAST_SEEDS} different seeds in earlier reruns")
        if new.evaluation.episodes < LEAST_EPISODES:
            found.append(f"{new.evaluation.episodes} of {LEAST_EPISODES} test episodes")
        return tuple(found)


def _cells(
    new: Seen, reference: Sequence[Seen], below: Mapping[Place, bool], false_alarms: float
) -> dict[Place, Judged]:
    found = {place: _earlier(place, cell, reference) for place, cell in new.cells.items()}
    lacks = {place: own.lacks(new.cells[place]) for place, own in found.items()}
    quantities = {
        place: Quantity(_samples(own.cells), cell.sample, cell.numbers[0].run, _resolution(cell))
        for (place, cell), own in zip(new.cells.items(), found.values(), strict=True)
        if not lacks[place]
    }
    quantities |= _means(new, reference, [*quantities])
    made = dict(zip(quantities, bands([*quantities.values()], false_alarms), strict=True))
    cells = {
        place: Judged("insufficient data", cell.sample, _samples(found[place].cells), None, lacks[place])
        for place, cell in new.cells.items()
    }
    for place, band in made.items():
        own = quantities[place]
        cells[place] = Judged(_standing(band, again=below.get(place, False)), own.new, own.earlier, band, ())
    return cells


def _standing(band: Band, *, again: bool) -> Standing:
    if band.left == "below":
        return "regression" if again else "suspicious"
    return "fine" if band.left is None else "better"


def _earlier(place: Place, new: Measured, reference: Sequence[Seen]) -> _Earlier:
    cells: list[Measured] = []
    taken = set(new.trainings)
    repeated = elsewhere = 0
    for own in reference:
        cell = own.cells.get(place)
        if cell is None:
            continue
        if cell.episodes_met != new.episodes_met:
            elsewhere += 1
        elif taken & {*cell.trainings}:
            repeated += 1
        else:
            taken |= {*cell.trainings}
            cells.append(cell)
    return _Earlier(tuple(cells), repeated, elsewhere)


def _means(new: Seen, reference: Sequence[Seen], places: Sequence[Place]) -> dict[Place, Quantity]:
    """Of tables with several cells, over the seeds that all of them have; where enough reruns measured all of them."""
    found: dict[Place, Quantity] = {}
    for table in dict.fromkeys(place.table for place in places):
        cells = {place: new.cells[place] for place in places if place.table == table}
        means = [mean_over(own, [*cells]) for own in (new, *_met_by_all(cells, reference))]
        mine, earlier = means[0], tuple(mean for mean in means[1:] if mean is not None)
        enough = len(earlier) >= LEAST_RERUNS and len(by_seed(earlier)) >= LEAST_SEEDS
        if mine is not None and len(cells) > 1 and enough:
            resolution = min(map(_resolution, cells.values())) / len(cells)
            found[mean_place(table)] = Quantity(earlier, mine, None, resolution)
    return found


def _met_by_all(cells: Mapping[Place, Measured], reference: Sequence[Seen]) -> list[Seen]:
    """Reruns in which every one of the cells is a comparable one with trainings of its own."""
    compared = {place: {*_earlier(place, cell, reference).cells} for place, cell in cells.items()}
    return [own for own in reference if all(own.cells.get(place) in met for place, met in compared.items())]


def _samples(cells: Sequence[Measured]) -> tuple[Sample, ...]:
    return tuple(cell.sample for cell in cells)


def _seeds(cells: Sequence[Measured]) -> set[int]:
    return {seed for cell in cells for seed in cell.seeds}


def _resolution(cell: Measured) -> float:
    """One query answered otherwise."""
    return 1 / (cell.asked * cell.evaluation.episodes)

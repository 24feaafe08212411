"""The ablation path trained and measured: choices from one training each, gains from all seeds of the finals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from search_spaces.space import Point, Space
from search_spaces.table import Table
from sweeps.engine.request import Prepared
from sweeps.engine.results import TableResult
from sweeps.engine.search_finals import LEAST_SEEDS, PAPER, VAL, points_table, val_way
from sweeps.engine.search_path import MOST, Ends, Measure, Way, changes, greedy
from sweeps.engine.statistics.intervals import Estimate, difference, pooled_spread
from sweeps.engine.sweep import Ended, completed, measured
from sweeps.engine.watch import Display


@dataclass(frozen=True, kw_only=True)
class Path:
    """A way, and its points measured on the same val episodes; test stands beside, for the record."""

    way: Way
    result: TableResult
    """A row per point, in the order of the way."""
    ended: Ended


def run_path(
    prepared: Prepared,
    space: Space,
    best: Point,
    importance: Mapping[str, float],
    display: Display,
    *,
    most: int = MOST,
    seeds: int = LEAST_SEEDS,
) -> Path | None:
    """Trains, measures, writes and records what is missing. None where the best point is the paper's setting.

    ``importance`` by parameter decides which changes are made one by one if there are more than ``most``.
    """
    ends = Ends.of(space, prepared.recipe_of(prepared.dataset), best)
    if ends.run_id(ends.paper) == ends.run_id(ends.best):
        return None
    way_of_val = val_way(prepared.indices[prepared.dataset])
    way = greedy(ends, changes(ends, importance, most), _by_one_training(prepared, ends, way_of_val, display))
    several = replace(prepared, seeds=tuple(range(max(LEAST_SEEDS, seeds))))
    ended = completed(several, (path_table(ends, way, way_of_val),), display)
    return Path(way=way, result=ended.results[0], ended=ended)


def path_table(ends: Ends, way: Way, way_of_val: int) -> Table:
    """A row per point; differences are to the paper's setting."""
    rows = {PAPER: way.start} | {f"+ {step.words}": step.point for step in way.steps}
    title = f"From the paper's setting to the best point of the search {ends.space.name}, one change at a time"
    return points_table(_name(ends), title, ends.space, ends.recipe, rows, val_way=way_of_val)


def gains(result: TableResult) -> tuple[Estimate | None, ...]:
    """On val, of every row after the first to the row before it, paired by episode over the seeds that both have; None
    where one of them has no result. The rows share one spread over seeds."""
    rows = result.column(VAL)
    outcomes = [row.outcomes(result.seeds) for row in rows]
    spread = pooled_spread(own for own in outcomes if own is not None)
    found: list[Estimate | None] = []
    for before, after in pairwise(rows):
        common = {own.seed for own in before.done} & {own.seed for own in after.done}
        ours, theirs = after.outcomes(common), before.outcomes(common)
        found.append(None if ours is None or theirs is None else difference(ours, theirs, spread))
    return tuple(found)


def _by_one_training(prepared: Prepared, ends: Ends, way_of_val: int, display: Display) -> Measure:
    """From seed 0, as in the search, on val only."""
    once = replace(prepared, seeds=(0,))

    def measure(points: Sequence[Point]) -> list[float | None]:
        rows = {str(i): point for i, point in enumerate(points)}
        table = points_table(_name(ends), "tried", ends.space, ends.recipe, rows, val_way=way_of_val)
        on_val = table.model_copy(update={"cells": tuple(cell for cell in table.cells if cell.column == VAL)})
        return [cell.accuracy if cell.state == "done" else None for cell in measured(once, on_val, display).cells]

    return measure


def _name(ends: Ends) -> str:
    return f"search/{ends.space.name}/path"

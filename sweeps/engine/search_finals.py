"""Finals of a search: its best points and the paper's setting, from several seeds, on the same val episodes.

Whether a point is better is asked on val alone, paired over seeds and episodes, with the candidates corrected for
(Holm) because several are compared with one setting. Test stands beside it and decides nothing. Seed 0, by which the
search has chosen, is one of the seeds: it makes the winner's lead too large, but of 20 equal points one was called
better in 3.3 ± 0.4 % of simulated searches, against 2.5 % by design (``benchmarks/finals.py``).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from optuna import Study
from optuna.trial import FixedTrial

from fsar_core.batches import VAL_WAY
from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.clip_index import ClipIndex
from fsar_core.presets import Recipe
from search_spaces.space import Point, Space
from search_spaces.table import Cell, Setting, Table
from sweeps.engine.protocol import LEVEL
from sweeps.engine.report import points as in_points
from sweeps.engine.request import Prepared
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.search_study import accuracy, cost_of, finished
from sweeps.engine.sweep import Ended, completed
from sweeps.engine.watch import Display

PAPER = "paper's setting"
VAL, TEST = "val", "test"
LEAST_SEEDS = 3
"""Fewer say nothing about other seeds, so that no point is called better."""
VAL_EPISODES = 2_000
_DIGITS = 2


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the finals say."""

    row: str
    """The point with the highest mean on val, which may be the paper's setting."""
    better: bool
    """Than the paper's setting, beyond what seeds, episodes and the number of candidates explain."""
    words: str


@dataclass(frozen=True, kw_only=True)
class Finals:
    """The table, recorded and written, and what it says."""

    ended: Ended
    result: TableResult
    verdict: Verdict
    point: Point
    """Of ``verdict.row``."""


def candidates(study: Study, space: Space, recipe: Recipe, most: int) -> tuple[Point, ...]:
    """The best finished points on val but the paper's setting; with a cost, only those that none of them beats in
    both. Points that were stopped have no result, and are none."""
    paper = space.run(space.first[0], recipe).run_id()
    front: list[Point] = []
    least = float("inf")
    for trial in sorted(finished(study), key=lambda own: (-accuracy(own), cost_of(own) or 0.0)):
        cost = cost_of(trial)
        if len(front) == most:
            break
        if (cost is None or cost < least) and space.run(trial.params, recipe).run_id() != paper:
            front.append(trial.params)
            least = least if cost is None else cost
    return tuple(front)


def val_way(index: ClipIndex) -> int:
    """Of the finals' episodes on val, where lists may have few classes: as many as in the looks that select weights."""
    return min(VAL_WAY, len(index.labels("val")))


def evaluations(run: RunConfig, recipe: Recipe, way: int) -> dict[str, EvalConfig]:
    """By column. The episodes on val are not those by which weights and points were chosen."""
    shot = run.batches.shot if run.batches.kind == "episodes" else 1
    on_val = EvalConfig(
        split="val",
        way=way,
        shot=shot,
        episodes=min(VAL_EPISODES, recipe.test_episodes),
        seed=run.selection.seed + 1,
    )
    return {VAL: on_val, TEST: EvalConfig(shot=shot, episodes=recipe.test_episodes)}


def finals_table(space: Space, recipe: Recipe, points: Sequence[Point], *, val_way: int) -> Table:
    """The paper's setting, then each point that is another run, in the order given."""
    paper = used(space, recipe, space.first[0])
    rows: dict[str, tuple[Point, str]] = {}
    for point in (paper, *points):
        own = used(space, recipe, point)
        rows.setdefault(space.run(own, recipe).run_id(), (own, words(own, paper) or PAPER))
    names = Counter(row for _, row in rows.values())
    named = {row if names[row] == 1 else words(point, paper, exact=True): point for point, row in rows.values()}
    return points_table(
        f"search/{space.name}/finals",
        f"Finals of the search {space.name}: its best points against the paper's setting",
        space,
        recipe,
        named,
        val_way=val_way,
    )


def points_table(
    name: str, title: str, space: Space, recipe: Recipe, rows: Mapping[str, Point], *, val_way: int
) -> Table:
    """Points of a space by row, on val and on test. The first row, the paper's setting, is what others are compared
    with."""
    runs = {row: space.run(point, recipe) for row, point in rows.items()}
    asked = evaluations(next(iter(runs.values())), recipe, val_way)
    cells = [
        Cell(row=row, column=column, settings=dict(rows[row]), run=run, evaluation=evaluation)
        for row, run in runs.items()
        for column, evaluation in asked.items()
    ]
    first = next(iter(rows))
    notes = (
        f"{first[0].upper()}{first[1:]}: {words(rows[first], {})}.",
        "Points are compared on val, on episodes by which none was chosen; test is reported, it decides nothing. "
        "Seed 0 is the one by which the search chose, so that leads on val are somewhat too large.",
    )
    return Table(name=name, title=title, cells=tuple(cells), reference=first, notes=notes)


def used(space: Space, recipe: Recipe, point: Point) -> dict[str, Setting]:
    """The parameters of a point that the space asks for, in its order."""
    trial = FixedTrial(dict(point))
    space.define(trial, recipe)
    return dict(trial.params)


def words(point: Point, before: Point, *, exact: bool = False) -> str:
    """What differs from another point, e.g. ``region top, lambda 0.35``; empty if nothing does. Numbers with three
    digits unless ``exact``."""
    return ", ".join(f"{name} {_short(own, exact)}" for name, own in point.items() if before.get(name) != own)


def verdict(result: TableResult) -> Verdict:
    """Of the table of ``finals_table``. Only candidates that have all their seeds count; missing ones are told."""
    column = result.column(VAL)
    paper, others = column[0], column[1:]
    done = [cell for cell in others if cell.state == "done"]
    missing = (
        f" {len(others) - len(done)} of {len(others)} candidates have no result." if len(done) < len(others) else ""
    )
    if paper.state != "done" or not done:
        why = "the paper's setting has no result" if paper.state != "done" else "no other point has a result"
        return Verdict(row=PAPER, better=False, words=f"No verdict: {why}.{missing if done else ''}")
    best = max(done, key=_accuracy)
    ahead = _accuracy(best) > _accuracy(paper)
    row = best.cell.row if ahead else PAPER
    if len(result.seeds) < LEAST_SEEDS:
        text = f"No verdict: {len(result.seeds)} seeds were trained, and it takes {LEAST_SEEDS}."
        return Verdict(row=row, better=False, words=text + missing)
    difference = result.difference(best)
    better = ahead and difference is not None and difference.p < LEVEL
    return Verdict(row=row, better=better, words=_said(result, best, ahead, better) + missing)


def run_finals(
    prepared: Prepared, space: Space, points: Sequence[Point], display: Display, *, seeds: int = LEAST_SEEDS
) -> Finals:
    """Trains, measures, writes and records what is missing of the finals, at least from three seeds."""
    recipe, index = prepared.recipe_of(prepared.dataset), prepared.indices[prepared.dataset]
    table = finals_table(space, recipe, points, val_way=val_way(index))
    several = replace(prepared, seeds=tuple(range(max(LEAST_SEEDS, seeds))))
    ended = completed(several, (table,), display)
    (result,) = ended.results
    said = verdict(result)
    point = next(cell.settings for cell in table.cells if cell.row == said.row)
    return Finals(ended=ended, result=result, verdict=said, point=point)


def _said(result: TableResult, best: CellResult, ahead: bool, better: bool) -> str:
    found = result.difference(best)
    if found is None:
        return "No verdict: the candidates and the paper's setting share no finished seed."
    lead = f"{in_points(found.mean, _DIGITS)} ± {100 * found.ci95:.{_DIGITS}f} points"
    shared = f"{len(result.seeds)} seeds and {best.cell.evaluation.episodes:,} episodes"
    count = len(result.column(VAL)) - 1
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    corrected = p if count == 1 else f"{p}, corrected (Holm) for {count} candidates"
    if better:
        text = f"“{best.cell.row}” is better than the paper's setting on val: {lead} over {shared} ({corrected})."
    elif ahead:
        text = (
            f"“{best.cell.row}” leads on val by {lead}, but is not told apart from the paper's setting by {shared} "
            f"({corrected})."
        )
    else:
        text = f"No candidate is ahead of the paper's setting on val; the nearest, “{best.cell.row}”, has {lead}."
    return text + _beside(result, best)


def _beside(result: TableResult, best: CellResult) -> str:
    """The same pair on test."""
    cells = [result.at(row, TEST) for row in (best.cell.row, PAPER)]
    numbers = [f"{100 * own.accuracy:.{_DIGITS}f}" for own in cells if own and own.state == "done" and own.accuracy]
    return f" On test, which decides nothing, {numbers[0]} against {numbers[1]} %." if len(numbers) == 2 else ""


def _accuracy(cell: CellResult) -> float:
    return 0.0 if cell.accuracy is None else cell.accuracy


def _short(value: Setting, exact: bool) -> str:
    if isinstance(value, float) and not exact:
        return f"{value:.3g}"
    return str(value)

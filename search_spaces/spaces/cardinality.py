"""Tuples of how many frames should TRX and STRM compare, and how many of them? STRM, table 2 and figure 6 (right).

The paper trains STRM with eight sets of cardinalities, 5-shot, with the best at {2} and at {2,3,4} on SSv2-Full, and
tests {2} with a random share of the tuples. Here a share holds for training and test alike. TRX has no such table; its
grid has the same rows, which are ours there. Costs grow with the number of tuples: 28 pairs, 154 in {2,3,4}.
"""

from collections.abc import Callable
from math import comb

from optuna.trial import BaseTrial

from fsar_core.config import RunConfig
from fsar_core.methods import strm, trx
from fsar_core.presets import Recipe
from search_spaces.papers.printed import printed_tables
from search_spaces.space import Point, Space
from search_spaces.spaces.own_grid import GridRow, own_grid
from search_spaces.table import Axis, Published, Table

_WORDS = {2: "pairs", 3: "triples", 4: "quadruples", 1: "singles"}
"""Parameters by cardinality, in the order in which they are drawn."""
_SETS = ((1,), (2,), (3,), (4,), (2, 3), (2, 4), (3, 4), (2, 3, 4))
_SHARES = (0.2, 0.4, 0.6, 0.8)
_TRAINED_SHOT = 5
"""Of STRM's table 2."""

_Train = Callable[[Recipe, tuple[int, ...], float], RunConfig]


def trx_space(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    """Any set of cardinalities, and the share of tuples."""
    return _trx(recipe, drawn_set(trial, recipe.data.frames), _share(trial))


def strm_space(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    """Any set of cardinalities, and the share of tuples; both heads keep the same."""
    return _strm(recipe, drawn_set(trial, recipe.data.frames), _share(trial))


def drawn_set(trial: BaseTrial, frames: int) -> tuple[int, ...]:
    """A switch for each cardinality that fits into a clip. Single frames are in where nothing else is, undrawn."""
    fitting = [n for n in _WORDS if 1 < n <= frames]
    chosen = [n for n in fitting if trial.suggest_categorical(_WORDS[n], (True, False))]
    if not chosen or trial.suggest_categorical(_WORDS[1], (True, False)):
        chosen.append(1)
    return tuple(sorted(chosen))


def trx_grid(recipe: Recipe) -> Table:
    """Ours: rows as in STRM's table 2, and shares of TRX's own set."""
    return _grid("trx", "TRX: sets of tuples and their share (grid of ours, as STRM's table 2)", (2, 3), _trx, recipe)


def strm_grid(recipe: Recipe) -> Table:
    """Table 2, trained with the recipe's shots; and shares of the pairs as in figure 6, but trained with them."""
    title = "STRM, table 2: sets of tuples, and shares of the pairs"
    return _grid("strm", title, (2,), _strm, recipe)


def _grid(method: str, title: str, usual: tuple[int, ...], train: _Train, recipe: Recipe) -> Table:
    asked = [(cardinalities, 1.0) for cardinalities in _SETS] + [(usual, share) for share in _SHARES]
    rows = [
        GridRow(
            name=_name(cardinalities, share),
            settings={
                "method": method,
                "cardinalities": _braced(cardinalities),
                "tuple_fraction": share,
                "tuples": _tuples(recipe.data.frames, cardinalities, share),
            },
            run=train(recipe, cardinalities, share),
            published={_TRAINED_SHOT: _printed(cardinalities)} if method == "strm" and share == 1 else {},
        )
        for cardinalities, share in asked
    ]
    notes = ("Rows with a share keep it in training too; figure 6 of STRM's paper drops tuples of a test.",)
    batches = recipe.episodes.batches
    if method == "strm" and batches.kind == "episodes" and batches.shot != _TRAINED_SHOT:
        notes += (f"The paper trains {_TRAINED_SHOT}-shot, these rows {batches.shot}-shot.",)
    return own_grid(
        f"cardinality/{method}",
        title,
        rows,
        recipe,
        axis=Axis(x="tuples", x_label="frame tuples per clip", group="method"),
        reference=_name(usual, 1.0),
        notes=notes,
    )


def _trx(recipe: Recipe, cardinalities: tuple[int, ...], share: float) -> RunConfig:
    return trx.run(recipe, trx.trx(recipe.backbone, cardinalities=cardinalities, tuple_fraction=share))


def _strm(recipe: Recipe, cardinalities: tuple[int, ...], share: float) -> RunConfig:
    return strm.run(recipe, strm.strm(recipe.backbone, cardinalities=cardinalities, tuple_fraction=share))


def _share(trial: BaseTrial) -> float:
    return round(trial.suggest_float("tuple_fraction", 0.2, 1.0, step=0.2), 1)


def _tuples(frames: int, cardinalities: tuple[int, ...], share: float) -> int:
    return sum(max(1, round(share * comb(frames, n))) for n in cardinalities)


def _printed(cardinalities: tuple[int, ...]) -> tuple[Published, ...]:
    table = printed_tables()["strm/table2"]
    return tuple(table.published(cell) for cell in table.own_accuracies() if cell.row == _braced(cardinalities))


def _name(cardinalities: tuple[int, ...], share: float) -> str:
    return _braced(cardinalities) if share == 1 else f"{_braced(cardinalities)}, {share:.0%} of the tuples"


def _braced(cardinalities: tuple[int, ...]) -> str:
    return "{" + ",".join(map(str, cardinalities)) + "}"


def point(cardinalities: tuple[int, ...], share: float = 1.0) -> Point:
    """The point that stands for a set, in clips of at least 4 frames."""
    switches = {_WORDS[n]: n in cardinalities for n in (2, 3, 4)}
    singles = {} if cardinalities == (1,) else {_WORDS[1]: 1 in cardinalities}
    return {**switches, **singles, "tuple_fraction": share}


def _points(usual: tuple[int, ...]) -> tuple[Point, ...]:
    return (*map(point, _SETS), *(point(usual, share) for share in _SHARES))


SPACES = (
    Space(
        name="cardinality/trx",
        define=trx_space,
        first=(point((2, 3)),),
        grid=trx_grid,
        grid_points=_points((2, 3)),
        cost="gflops",
    ),
    Space(
        name="cardinality/strm",
        define=strm_space,
        first=(point((2,)),),
        grid=strm_grid,
        grid_points=_points((2,)),
        printed=("strm/table2",),
        cost="gflops",
    ),
)

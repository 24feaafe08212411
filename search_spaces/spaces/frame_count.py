"""How many frames should a clip have? VIM, tables 7 (T) and 6 (M); I2ST, figure 4 (2 to 10 frames, a curve).

VIM's T grows from 4 to 14 with M at 20, and M from 14 to 32 with T at 8; I2ST draws a rise that levels off. The other
papers take 8 frames. Whatever T and M are, a point is trained for the recipe's number of steps and episodes, and val
looks have the same episodes: what more frames cost in time stands in the second objective. A pretrained backbone is
shared by all points; the class-score network of SGTM belongs to a number of frames, so that each T trains one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optuna.trial import BaseTrial

from fsar_core.config import RunConfig
from fsar_core.methods import frame_matching, hyrsm, i2st, sgtm, strm, trx
from fsar_core.methods.vim_parts import DENSE_FRAMES, FRAMES, sampler, vim
from fsar_core.methods.vim_parts import run as vim_run
from fsar_core.presets import Recipe
from search_spaces.space import Space
from search_spaces.spaces.own_grid import GridRow, own_grid, paper_grid
from search_spaces.table import Axis, Table

MOST = 16
"""Frames of a clip."""
_MOST_SPARE = 24
_COUNTS = (2, 4, 6, 8, 10)
_VIM_T, _VIM_M = (4, 6, 8, 10, 12, 14), (14, 16, 18, 20, 24, 28, 32)


@dataclass(frozen=True)
class _Method:
    label: str
    fewest: int
    """Frames with which the paper's setting can run."""
    run: Callable[[Recipe], RunConfig]


_METHODS: Mapping[str, _Method] = {
    "otam": _Method("OTAM", 2, lambda r: frame_matching.run(r, frame_matching.otam(r.backbone))),
    "sgtm": _Method("SGTM", 3, lambda r: sgtm.run(r, sgtm.sgtm(r.backbone))),
    "trx": _Method("TRX", 3, lambda r: trx.run(r, trx.trx(r.backbone))),
    "strm": _Method("STRM", 2, lambda r: strm.run(r, strm.strm(r.backbone))),
    "hyrsm": _Method("HyRSM", 2, lambda r: hyrsm.run(r, hyrsm.hyrsm(r.backbone))),
    "i2st": _Method("I2ST", 2, lambda r: i2st.run(r, i2st.i2st(r.backbone))),
}
"""With one number of frames. SGTM masks an even number of them, the nearest to half; TRX needs a triple."""


def with_frames(recipe: Recipe, frames: int) -> Recipe:
    """The recipe with other clips. What the backbone needs first stays the run that it was."""
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"frames": frames})})


def vim_space(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    """T, and how many frames more are scanned: M = T + ``spare_frames``, so that M is never below T."""
    keep = trial.suggest_int("frames", 4, MOST)
    return _vim(recipe, keep, keep + trial.suggest_int("spare_frames", 0, _MOST_SPARE))


def vim_grid(recipe: Recipe) -> Table:
    """Tables 7 and 6, a panel each."""
    parts = {"T": (paper_grid("vim/table7", recipe), "frames"), "M": (paper_grid("vim/table6", recipe), "dense_frames")}
    cells = [
        cell.model_copy(update={"settings": {**cell.settings, "varies": name, "count": cell.settings[setting]}})
        for name, (table, setting) in parts.items()
        for cell in table.cells
    ]
    return Table(
        name="frame_count/vim",
        title="VIM, tables 7 and 6: frames kept, T, with M = 20; frames scanned, M, with T = 8",
        cells=tuple(cells),
        axis=Axis(x="count", x_label="frames", group="method", panel="varies"),
        reference=f"T={FRAMES}",
        notes=tuple(dict.fromkeys(note for table, _ in parts.values() for note in table.notes)),
    )


def _vim(recipe: Recipe, keep: int, dense: int) -> RunConfig:
    method = vim(recipe.backbone, frame_sampler=sampler(recipe.backbone, keep=keep))
    return vim_run(recipe, method, dense_frames=dense)


def _space(name: str, method: _Method) -> Space:
    def define(trial: BaseTrial, recipe: Recipe) -> RunConfig:
        return method.run(with_frames(recipe, trial.suggest_int("frames", method.fewest, MOST)))

    def grid(recipe: Recipe) -> Table:
        return _grid(name, method, recipe)

    return Space(
        name=f"frame_count/{name}",
        define=define,
        first=({"frames": FRAMES},),
        grid=grid,
        grid_points=tuple({"frames": count} for count in _counts(method)),
        cost="gflops",
    )


def _grid(name: str, method: _Method, recipe: Recipe) -> Table:
    rows = [
        GridRow(
            name=f"T={count}",
            settings={"method": method.label, "frames": count},
            run=method.run(with_frames(recipe, count)),
        )
        for count in _counts(method)
    ]
    drawn = "draws these counts as a curve (figure 4) and prints no number" if name == "i2st" else "has no such table"
    return own_grid(
        f"frame_count/{name}",
        f"{method.label}: frames of a clip (grid of ours)",
        rows,
        recipe,
        axis=Axis(x="frames", x_label="frames, T", group="method"),
        reference=f"T={FRAMES}",
        notes=(f"The paper {drawn}; it takes {FRAMES} frames.",),
    )


def _counts(method: _Method) -> tuple[int, ...]:
    return tuple(count for count in _COUNTS if count >= method.fewest)


SPACES = (
    *(_space(name, method) for name, method in _METHODS.items()),
    Space(
        name="frame_count/vim",
        define=vim_space,
        first=({"frames": FRAMES, "spare_frames": DENSE_FRAMES - FRAMES},),
        grid=vim_grid,
        grid_points=(
            *({"frames": count, "spare_frames": DENSE_FRAMES - count} for count in _VIM_T),
            *({"frames": FRAMES, "spare_frames": count - FRAMES} for count in _VIM_M if count != DENSE_FRAMES),
        ),
        printed=("vim/table7", "vim/table6"),
        cost="gflops",
    ),
)

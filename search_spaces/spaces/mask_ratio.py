"""How many frames should SGTM mask, and which? The paper's figure 4 with the rows of its table 3 around it.

The paper shows four ratios on Kinetics, 5-way 1-shot and 5-shot, as a figure: a rise, a peak at 50 %, a fall at 75 %.
"""

from typing import cast

from optuna.trial import BaseTrial

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.losses.frame_masking import MaskStrategy
from fsar_core.method import MethodConfig
from fsar_core.methods import sgtm
from fsar_core.presets import Recipe
from search_spaces.published import find
from search_spaces.space import Space
from search_spaces.table import Axis, Cell, Published, Setting, Table

RATIOS = (0.25, 0.5, 0.75)
SHOTS = (1, 5)
REGIONS: dict[str, MaskStrategy] = {"random": "random", "saliency": "ambiguous_visible"}
_SEARCHED = ("ambiguous_visible", "top", "bottom", "middle", "random")
_TABLES = ("sgtm/table3", "sgtm/table4")


def grid(recipe: Recipe) -> Table:
    """Baseline, encoder only, then every ratio for random and for guided masks; each tested 1-shot and 5-shot."""
    rows: list[tuple[str, dict[str, Setting], MethodConfig, dict[str, Setting | None]]] = [
        ("baseline", {"mask": "no encoder"}, sgtm.baseline(recipe.backbone), {"encoder": False}),
        (
            "encoder only",
            {"mask": "encoder only"},
            sgtm.encoder_only(recipe.backbone),
            {"encoder": True, "temporal_mask_learning": False},
        ),
    ]
    for mask in REGIONS:
        rows += [_row(recipe, mask, ratio) for ratio in (0.0, *RATIOS)]
    cells = [
        Cell(
            row=row,
            column=f"{shot}-shot",
            settings=settings,
            run=sgtm.run(recipe, method),
            evaluation=EvalConfig(shot=shot),
            published=_printed(shot, printed),
        )
        for row, settings, method, printed in rows
        for shot in SHOTS
    ]
    return Table(
        name="mask_ratio",
        title="SGTM: share of masked frames, random and saliency-guided",
        cells=tuple(cells),
        axis=Axis(x="ratio", x_label="masked frames / all frames", group="mask"),
        reference="baseline",
    )


def space(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    """Region and number of masked frames, and lambda. Val accuracy is the objective."""
    region = cast(MaskStrategy, trial.suggest_categorical("region", _SEARCHED))
    frames = recipe.data.frames
    unit = 2 if region == "ambiguous_visible" else 1
    masked = trial.suggest_int(f"masked_in_{unit}s", unit, (frames - 1) // unit * unit, step=unit)
    weight = trial.suggest_float("lambda", 0.0, 1.0, step=0.05)
    return sgtm.run(recipe, sgtm.sgtm(recipe.backbone, strategy=region, ratio=masked / frames, weight=round(weight, 2)))


_PAPER: dict[str, Setting] = {"region": "ambiguous_visible", "masked_in_2s": 4, "lambda": 0.5}

SPACES = (
    Space(
        name="mask_ratio",
        define=space,
        first=(_PAPER,),
        grid=grid,
        grid_points=(
            _PAPER,
            *(_PAPER | {"masked_in_2s": masked} for masked in (2, 6)),
            *({"region": "random", "masked_in_1s": masked, "lambda": 0.5} for masked in (2, 4, 6)),
        ),
        printed=_TABLES,
    ),
)


def _printed(shot: int, settings: dict[str, Setting | None]) -> tuple[Published, ...]:
    found = find(_TABLES, "Kinetics", shot, settings)
    return () if found is None else (found,)


def _row(
    recipe: Recipe, mask: str, ratio: float
) -> tuple[str, dict[str, Setting], MethodConfig, dict[str, Setting | None]]:
    selection = {"random": "random", "saliency": "top2+bottom2_saliency"}[mask]
    printed: dict[str, Setting | None] = {"mask_selection": selection, "masked_frames": round(ratio * 8)}
    method = sgtm.sgtm(recipe.backbone, strategy=REGIONS[mask], ratio=ratio)
    return f"{mask} {ratio:.0%}", {"mask": mask, "ratio": ratio}, method, printed

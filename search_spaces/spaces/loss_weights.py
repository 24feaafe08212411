"""How much should the auxiliary losses weigh? SGTM, table 5, and VIM, table 16; STRM and I2ST keep one weight each.

SGTM varies lambda of its reconstruction over six values with the best at 0.5, VIM both of its weights over five pairs.
STRM weighs its query-class similarity by 0.1, and its code counts it in a test by 0.1 too. I2ST gives no lambda.
Of VIM's inter-video loss the paper leaves the sign open: whether aligned features should stay near the raw ones or
bring something new (``InterVideo.Config.sign``). A weight of 0 is allowed everywhere.
"""

from typing import Literal, cast

from optuna.trial import BaseTrial

from fsar_core.config import RunConfig
from fsar_core.losses import InterVideo
from fsar_core.methods import i2st, sgtm, strm
from fsar_core.methods.i2st import DATASET_WEIGHTS
from fsar_core.methods.vim_parts import run as vim_run
from fsar_core.methods.vim_parts import vim
from fsar_core.presets import Recipe, paper_dataset
from search_spaces.space import Point, Space
from search_spaces.spaces.own_grid import GridRow, own_grid, paper_grid
from search_spaces.table import Axis, Table

_SGTM_PRINTED = (0.5, 0.0, 0.1, 0.3, 0.7, 0.9)
_VIM_PRINTED = ((0.5, 1.0), (1.0, 0.0), (0.0, 1.0), (1.0, 0.5), (1.0, 1.0))
_STRM_ROWS = ((0.1, 0.1), (0.0, 0.0), (0.05, 0.1), (0.2, 0.1), (0.5, 0.1), (0.1, 0.0), (0.1, 0.5))
"""(loss, score)"""
_I2ST_ROWS = (0.0, 0.05, 0.1, 0.2, 0.4, 1.0)
_I2ST_USUAL = 0.2


def sgtm_space(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    """Lambda alone, in twentieths, to twice what table 5 looks at."""
    weight = _weight(trial, "lambda", upto=2.0)
    return sgtm.run(recipe, sgtm.sgtm(recipe.backbone, weight=weight))


def sgtm_grid(recipe: Recipe) -> Table:
    """Table 5: six weights."""
    return paper_grid("sgtm/table5", recipe)


def strm_space(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    """Weights of the query-class similarity in the loss and in the score."""
    loss, score = _weight(trial, "loss_weight"), _weight(trial, "score_weight")
    return strm.run(recipe, strm.strm(recipe.backbone, loss_weight=loss, score_weight=score))


def strm_grid(recipe: Recipe) -> Table:
    """Ours: either weight around the 0.1 of the paper and of its code."""
    rows = [
        GridRow(
            name=f"loss {loss:g}, score {score:g}",
            settings={"loss_weight": loss, "score_weight": score},
            run=strm.run(recipe, strm.strm(recipe.backbone, loss_weight=loss, score_weight=score)),
        )
        for loss, score in _STRM_ROWS
    ]
    return own_grid(
        "loss_weights/strm",
        "STRM: weights of the query-class similarity (grid of ours)",
        rows,
        recipe,
        axis=Axis(x="loss_weight", x_label="weight in the loss", group="score_weight"),
        reference=rows[0].name,
        notes=("The paper trains one weight in the loss, 0.1; that of the score is 0.1 in its code.",),
    )


def i2st_space(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    """Lambda of the mask regression."""
    return _i2st(recipe, _weight(trial, "lambda"))


def i2st_grid(recipe: Recipe) -> Table:
    """Ours: the paper names lambda and gives neither a value nor a table."""
    usual = _i2st_lambda(recipe)
    rows = [
        GridRow(name=f"λ={weight:g}", settings={"lambda": weight, "method": "I2ST"}, run=_i2st(recipe, weight))
        for weight in _I2ST_ROWS
    ]
    return own_grid(
        "loss_weights/i2st",
        "I2ST: weight of the mask regression (grid of ours)",
        rows,
        recipe,
        axis=Axis(x="lambda", x_label="weight λ", group="method"),
        reference=f"λ={usual:g}",
        notes=(f"The paper gives no λ; {usual:g} follows MoLo's weight of its reconstruction.",),
    )


def vim_space(trial: BaseTrial, recipe: Recipe) -> RunConfig:
    """mu_intra and mu_inter, in tenths; the sign of the inter-video loss where there is one."""
    intra, inter = _weight(trial, "mu_intra", upto=2.0, step=0.1), _weight(trial, "mu_inter", upto=2.0, step=0.1)
    loss = InterVideo.Config(weight=inter)
    if inter:
        sign = cast(Literal[1, 0, -1], trial.suggest_categorical("inter_sign", (1, 0, -1)))
        loss = InterVideo.Config(weight=inter, sign=sign)
    return vim_run(recipe, vim(recipe.backbone, intra_weight=intra, inter=loss))


def vim_grid(recipe: Recipe) -> Table:
    """Table 16: five pairs of weights."""
    return paper_grid("vim/table16", recipe)


def _weight(trial: BaseTrial, name: str, *, upto: float = 1.0, step: float = 0.05) -> float:
    return round(trial.suggest_float(name, 0.0, upto, step=step), 2)


def _i2st(recipe: Recipe, weight: float) -> RunConfig:
    return i2st.run(recipe, i2st.i2st(recipe.backbone, mask_weight=weight))


def _i2st_lambda(recipe: Recipe) -> float:
    weights = DATASET_WEIGHTS.get(paper_dataset(recipe.data.dataset) or "")
    return _I2ST_USUAL if weights is None else weights.masks


def _vim_point(intra: float, inter: float, sign: int = 1) -> Point:
    return {"mu_intra": intra, "mu_inter": inter} | ({"inter_sign": sign} if inter else {})


_SGTM_POINTS = tuple({"lambda": weight} for weight in _SGTM_PRINTED)
_STRM_POINTS = tuple({"loss_weight": loss, "score_weight": score} for loss, score in _STRM_ROWS)
_VIM_POINTS = tuple(_vim_point(*weights) for weights in _VIM_PRINTED)

SPACES = (
    Space(
        name="loss_weights/sgtm",
        define=sgtm_space,
        first=_SGTM_POINTS[:1],
        grid=sgtm_grid,
        grid_points=_SGTM_POINTS,
        printed=("sgtm/table5",),
    ),
    Space(
        name="loss_weights/strm",
        define=strm_space,
        first=_STRM_POINTS[:1],
        grid=strm_grid,
        grid_points=_STRM_POINTS,
    ),
    Space(
        name="loss_weights/i2st",
        define=i2st_space,
        first_of=lambda recipe: ({"lambda": _i2st_lambda(recipe)},),
        grid=i2st_grid,
        grid_points=tuple({"lambda": weight} for weight in _I2ST_ROWS),
    ),
    Space(
        name="loss_weights/vim",
        define=vim_space,
        first=tuple(_vim_point(*_VIM_PRINTED[0], sign) for sign in (1, -1, 0)),
        grid=vim_grid,
        grid_points=_VIM_POINTS,
        printed=("vim/table16",),
    ),
)

"""Special points of the loss weights: none of a loss, all of it, its sign; and what the grids of ours say."""

from collections.abc import Mapping

import pytest

from fsar_core.config import RunConfig
from fsar_core.losses import InterVideo, IntraVideo, MaskedReconstruction, MaskRegression
from fsar_core.presets import Recipe, clean, laptop64
from search_spaces.papers.tables import paper_table
from search_spaces.spaces import all_spaces
from search_spaces.table import Setting

RECIPE = laptop64("motionshapes")


def run(method: str, point: Mapping[str, Setting], recipe: Recipe = RECIPE) -> RunConfig:
    return all_spaces()[f"loss_weights/{method}"].run(point, recipe)


def test_lambda_0_keeps_sgtm_s_masked_branch_as_its_table_has_it() -> None:
    zero = run("sgtm", {"lambda": 0.0})
    (loss,) = zero.method.losses
    assert isinstance(loss, MaskedReconstruction.Config)
    assert loss.weight == 0
    table = paper_table("sgtm/table5", lambda _: RECIPE, "motionshapes")
    assert zero.run_id() == next(cell.run.run_id() for cell in table.cells if cell.row == "λ=0")


def test_lambda_0_trains_i2st_without_masks() -> None:
    assert not run("i2st", {"lambda": 0.0}).method.needs_masks()
    assert run("i2st", {"lambda": 0.05}).method.needs_masks()


@pytest.mark.parametrize(("dataset", "usual"), [("hmdb51", 0.2), ("kinetics100", 0.4), ("motionshapes", 0.2)])
def test_i2st_starts_from_the_weight_of_its_data_set(dataset: str, usual: float) -> None:
    recipe = clean(dataset)
    space = all_spaces()["loss_weights/i2st"].at(recipe)
    assert space.first == ({"lambda": usual},)
    weights = [loss.weight for loss in space.run(space.first[0], recipe).method.losses if is_mask_loss(loss)]
    assert weights == [usual]
    assert space.grid(recipe).reference == f"λ={usual:g}"


def is_mask_loss(loss: object) -> bool:
    return isinstance(loss, MaskRegression.Config)


def test_strm_s_similarity_may_train_score_or_do_neither() -> None:
    for loss, score in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0)):
        heads = run("strm", {"loss_weight": loss, "score_weight": score}).method.heads
        assert [(head.loss_weight, head.logit_weight) for head in heads] == [(1.0, 1.0), (loss, score)]


def test_vim_s_losses_of_weight_0_are_left_out_and_have_no_sign() -> None:
    assert run("vim", {"mu_intra": 0.0, "mu_inter": 0.0}).method.losses == ()
    (intra,) = run("vim", {"mu_intra": 2.0, "mu_inter": 0.0}).method.losses
    assert isinstance(intra, IntraVideo.Config)
    assert intra.weight == 2
    with pytest.raises(ValueError, match="inter_sign"):
        run("vim", {"mu_intra": 0.0, "mu_inter": 0.1})


@pytest.mark.parametrize("sign", [1, 0, -1])
def test_vim_starts_from_its_weights_under_every_sign(sign: int) -> None:
    point = {"mu_intra": 0.5, "mu_inter": 1.0, "inter_sign": sign}
    assert point in all_spaces()["loss_weights/vim"].first
    loss = run("vim", point).method.losses[1]
    assert isinstance(loss, InterVideo.Config)
    assert (loss.weight, loss.sign) == (1.0, sign)


def test_a_number_that_floats_cannot_hold_does_not_make_another_run() -> None:
    assert run("sgtm", {"lambda": 0.1 + 0.2}).run_id() == run("sgtm", {"lambda": 0.3}).run_id()
    point = {"mu_intra": 0.3, "mu_inter": 0.7, "inter_sign": 1}
    assert run("vim", point | {"mu_intra": 0.1 + 0.2}).run_id() == run("vim", point).run_id()


@pytest.mark.parametrize("method", ["strm", "i2st"])
def test_a_grid_without_a_table_of_the_paper_says_that_it_is_ours(method: str) -> None:
    space = all_spaces()[f"loss_weights/{method}"]
    table = space.grid(RECIPE)
    assert "grid of ours" in table.title
    assert not space.printed
    assert not any(cell.published for cell in table.cells)
    assert table.columns() == ("1-shot", "5-shot")

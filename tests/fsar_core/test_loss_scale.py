"""Sum or mean over the queries: all terms of a method change together, and the step's loss is the published one."""

from typing import Literal

import pytest
import torch

from fsar_core.batches import EpisodeStream
from fsar_core.config import RunConfig
from fsar_core.losses import BaseClasses
from fsar_core.matchers import BiMhm, Otam
from fsar_core.method import Head, MethodConfig, Output
from fsar_core.presets.loss_scale import LossScale, with_loss_scale
from tests.fsar_core import tiny
from tests.fsar_core.lively import built

WAY, QUERIES = 3, 2
Scale = Literal["sum", "mean"]


def several_terms(first: Scale) -> MethodConfig:
    """Two heads, one of each scale, and a loss."""
    base = tiny.METHODS["encoder_only"]
    reads, other = base.heads[0].reads, "sum" if first == "mean" else "mean"
    heads = (
        Head(matcher=Otam.Config(), reads=reads, reduction=first, loss_weight=0.7),
        Head(matcher=BiMhm.Config(), reads=reads, reduction=other, loss_weight=0.2),
    )
    return base.model_copy(update={"heads": heads, "losses": (BaseClasses.Config(reads=reads, weight=0.3),)})


def output(method: MethodConfig) -> Output:
    clips = tiny.clips("train")
    torch.manual_seed(0)
    model = built(method).eval()
    run = RunConfig.model_validate(dict(tiny.run("encoder_only")) | {"method": method})
    episode = next(EpisodeStream(run, clips, tiny.clips("val"), torch.device("cpu")).of_step(1))
    return model(episode)


@pytest.mark.parametrize(("made_for", "scale", "factor"), [("mean", "sum", 6.0), ("sum", "mean", 1 / 6)])
def test_a_method_made_for_the_other_scale_keeps_the_balance_of_its_terms(
    made_for: Scale, scale: Scale, factor: float
) -> None:
    before, method = several_terms(made_for), with_loss_scale(several_terms(made_for), scale, queries=WAY * QUERIES)
    assert {head.reduction for head in method.heads} == {scale}
    torch.testing.assert_close(output(method).total, factor * output(before).total)
    assert method.losses[0].weight == pytest.approx(0.3 * factor)


@pytest.mark.parametrize("scale", ["method", "sum"])
def test_a_method_made_for_the_scale_stays_as_it_is(scale: LossScale) -> None:
    method = several_terms("sum")
    assert with_loss_scale(method, scale, queries=6) == method


def test_a_recipe_sets_the_scale_of_its_own_number_of_queries() -> None:
    recipe = tiny.recipe().model_copy(update={"loss_scale": "sum"})
    (head,) = tiny.METHODS["sgtm_random"].heads
    run = recipe.few_shot(tiny.METHODS["sgtm_random"])
    assert run.method.heads == (head.model_copy(update={"reduction": "sum"}),)
    assert [loss.weight for loss in run.method.losses] == [0.5 * WAY * QUERIES]
    assert tiny.recipe().few_shot(tiny.METHODS["sgtm_random"]).method == tiny.METHODS["sgtm_random"]

"""The joint space: which methods are in it, that none of its points is another method, and the optimiser's ends."""

from collections.abc import Mapping

import optuna
import pytest

from fsar_core.config import RunConfig
from fsar_core.losses import BaseClasses
from fsar_core.methods import all_methods, hyrsm, sgtm
from fsar_core.optimizer import Cosine, Steps
from fsar_core.presets import Recipe, clean, laptop, laptop64
from fsar_core.presets.trx import TRX
from search_spaces.spaces.joint import SPACES, first_of, fitting
from search_spaces.spaces.joint_methods import JOINT_METHODS
from search_spaces.table import Setting

SMALL, LAPTOP, CLEAN = laptop("motionshapes"), laptop64("motionshapes"), clean("kinetics100")
TRAINED = {"lr_times": 1.0, "weight_decay_times": 1.0, "schedule": "cosine", "warmup_share": 0.05}
(SPACE,) = SPACES


def run(point: Mapping[str, Setting], recipe: Recipe = LAPTOP) -> RunConfig:
    return SPACE.run({**TRAINED, **point}, recipe)


def paper_s(method: str, recipe: Recipe) -> RunConfig:
    module = all_methods()["frame_matching" if method in ("protonet", "otam", "bimhm") else method]
    variant = module.variants.get(method) or module.variants[next(iter(module.variants))]
    return module.run(recipe, variant(recipe.backbone))


@pytest.mark.parametrize("recipe", [LAPTOP, CLEAN, SMALL], ids=["laptop64", "clean", "laptop"])
def test_it_starts_from_every_method_as_its_paper_has_it(recipe: Recipe) -> None:
    points = first_of(recipe)
    assert [point["method"] for point in points] == list(fitting(recipe))
    for point in points:
        assert SPACE.run(point, recipe).run_id() == paper_s(str(point["method"]), recipe).run_id()
    assert SPACE.at(recipe).first == points


def test_vim_is_drawn_only_where_its_maps_are_large_enough() -> None:
    assert fitting(LAPTOP) == fitting(CLEAN) == tuple(JOINT_METHODS)
    assert fitting(SMALL) == tuple(name for name in JOINT_METHODS if name != "vim")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn: set[object] = set()
    for _ in range(80):
        trial = study.ask()
        SPACE.define(trial, SMALL)
        drawn.add(trial.params["method"])
        study.tell(trial, 0.0)
    assert drawn == set(fitting(SMALL))
    assert SPACE.grid(SMALL).notes == ("Not at this crop and number of frames: VIM.",)


def test_strm_without_enrichment_keeps_its_similarity_for_it_would_be_trx() -> None:
    bare = {"method": "strm", "cardinalities": "2,3", "patch_enrichment": False, "frame_enrichment": False}
    assert len(run({**bare, "similarity_weight": 0.1}).method.heads) == 2
    rich = {**bare, "frame_enrichment": True, "query_class_similarity": False}
    assert len(run(rich).method.heads) == 1


def test_hyrsm_s_classifier_has_the_drawn_weight_on_every_data_set() -> None:
    for recipe in (LAPTOP, CLEAN):
        for weight in (0.15, 0.4, 1.0):
            point = {"method": "hyrsm", "relation": "both", "classifier_weight": weight}
            losses = [loss for loss in run(point, recipe).method.losses if isinstance(loss, BaseClasses.Config)]
            assert [loss.weight for loss in losses] == [weight]
    off = run({"method": "hyrsm", "relation": "within the task", "classifier_weight": 0.0})
    assert off.method.losses == ()
    assert off.method.steps == hyrsm.no_video_attention(LAPTOP.backbone).steps


def test_sgtm_without_masks_is_its_encoder_alone() -> None:
    point = run({"method": "sgtm", "frame_metric": "bimhm", "masks": "none"})
    assert (
        point.run_id()
        == sgtm.run(LAPTOP, sgtm.with_bimhm(LAPTOP.backbone))
        .model_copy(update={"method": point.method, "needs": point.needs})
        .run_id()
    )
    assert point.method.losses == ()


def test_vim_s_parts_are_switched_apart() -> None:
    off = {"method": "vim", "frame_sampler": "none", "aligned": "in space", "mu_inter": 0.0}
    bare = run(off)
    assert bare.method.losses == ()
    assert bare.data.frames == LAPTOP.data.frames
    assert [step.name for step in bare.method.steps] == ["features"]
    chosen = run({**off, "frame_sampler": "selector", "mu_intra": 0.3})
    assert [loss.kind for loss in chosen.method.losses] == ["intra_video"]
    assert chosen.data.frames == 20


def test_rate_and_decay_are_multiples_of_the_recipe_s() -> None:
    for factor, lr, decay in ((0.1, 1e-4, 1e-5), (10.0, 1e-2, 1e-3), (1.0, 1e-3, 1e-4)):
        optimizer = run({"method": "otam", "lr_times": factor, "weight_decay_times": factor}).optimizer
        assert (optimizer.lr, optimizer.weight_decay) == (lr, decay)
    ids = {run({"method": "otam", "lr_times": factor}).run_id() for factor in (2.3, 2.3000000000000003, 2.31)}
    assert len(ids) == 1


def test_a_recipe_without_weight_decay_keeps_it_off() -> None:
    recipe = TRX("kinetics100")
    assert recipe.episodes.optimizer.weight_decay == 0
    points = first_of(recipe)
    assert all("weight_decay_times" not in point for point in points)
    assert SPACE.run(points[0], recipe).optimizer == recipe.episodes.optimizer


def test_the_warm_up_is_a_share_of_the_steps() -> None:
    for share, steps in ((0.0, 0), (0.4, 80)):
        assert run({"method": "otam", "warmup_share": share}).schedule == Cosine(warmup_steps=steps)
    assert run({"method": "otam", "schedule": "constant", "warmup_share": 0.1}).schedule == Steps(warmup_steps=20)


def test_drops_are_drawn_only_where_the_recipe_has_them() -> None:
    drops = run({"method": "otam", "schedule": "drops", "warmup_share": 0.0}, CLEAN).schedule
    usual = CLEAN.episodes.schedule
    assert isinstance(drops, Steps)
    assert isinstance(usual, Steps)
    assert drops.drops == usual.drops
    with pytest.raises(ValueError, match="drops"):
        run({"method": "otam", "schedule": "drops"})


def test_what_a_run_needs_first_is_trained_as_in_the_recipe() -> None:
    point = {**first_of(LAPTOP)[-1], "lr_times": 5.0, "schedule": "constant"}
    assert [need.run for need in SPACE.run(point, LAPTOP).needs] == [need.run for need in paper_s("sgtm", LAPTOP).needs]

"""A recipe on another backbone."""

import pytest
from pydantic import ValidationError

from fsar_core.backbones import ResNet, SmallNet, Vit
from fsar_core.methods import frame_matching, sgtm
from fsar_core.presets import clean, laptop

WIDER = SmallNet.Config(channels=24)


def test_the_same_backbone_is_the_same_recipe() -> None:
    for recipe in (clean("hmdb51"), laptop("motionshapes")):
        assert recipe.with_backbone(recipe.backbone) == recipe


def test_nothing_else_changes() -> None:
    recipe = clean("hmdb51")
    deeper = ResNet.Config(depth=101)
    assert recipe.with_backbone(deeper) == recipe.model_copy(update={"backbone": deeper})


def test_runs_that_make_its_weights_are_made_with_it() -> None:
    recipe = laptop("motionshapes")
    changed = recipe.with_backbone(WIDER)
    (before,), (after,) = recipe.needs, changed.needs
    assert after.run.method.backbone == WIDER
    assert after.run.method.model_copy(update={"backbone": recipe.backbone}) == before.run.method
    assert after.run.model_copy(update={"method": before.run.method}) == before.run
    assert (after.source, after.target) == (before.source, before.target)


def test_all_that_a_guided_run_needs_has_one_backbone() -> None:
    recipe = laptop("motionshapes").with_backbone(WIDER)
    run = sgtm.run(recipe, sgtm.sgtm(recipe.backbone))
    needed = [need.run for need in run.needs] + [inner.run for need in run.needs for inner in need.run.needs]
    assert len(needed) == 3
    assert {(one.method.backbone.kind, one.method.backbone.label()) for one in needed} == {("small", WIDER.label())}


def test_a_backbone_that_does_not_fit_the_crops_is_refused_where_its_weights_are_made() -> None:
    recipe = laptop("motionshapes")
    with pytest.raises(ValidationError, match="crops of 224 pixels, got 48"):
        recipe.with_backbone(Vit.Config())


def test_a_run_of_a_changed_recipe_is_another_run() -> None:
    recipe = clean("hmdb51")
    changed = recipe.with_backbone(ResNet.Config(depth=152))
    runs = [frame_matching.run(own, frame_matching.otam(own.backbone)) for own in (recipe, changed)]
    assert runs[0].run_id() != runs[1].run_id()

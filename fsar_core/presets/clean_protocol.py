"""The preset ``clean``: nothing is chosen on test, nothing is random in a test."""

from fsar_core.backbones import ResNet
from fsar_core.config import Selection, Training
from fsar_core.data.config import DataConfig
from fsar_core.data.resize import Resize
from fsar_core.presets.class_score_course import class_score_course
from fsar_core.presets.dataset_names import like
from fsar_core.presets.molo import MOLO_PUBLISHED
from fsar_core.presets.recipe import Recipe


def clean(dataset: str) -> Recipe:
    """MoLo's schedule, but weights chosen on val, fixed central test frames, no flips, no colour jitter.

    Source: configs of MoLo's code (ResNet-50 from ImageNet, 224 pixels, 16 episodes a step). No colour jitter, as SGTM
    has none; no flips, which turn classes of Something-Something into others. Sum or mean over queries is left to each
    method.

    Silent: data sets that the papers do not use get HMDB51's schedule.
    """
    course = MOLO_PUBLISHED[like(dataset)].course(shot=1, queries=6)
    steps = course.training.steps
    return Recipe(
        backbone=ResNet.Config(depth=50, weights="imagenet"),
        data=DataConfig(dataset=dataset, resize=Resize(mode="squeeze", size=256), crop=224),
        episodes=course.model_copy(update={"training": Training(steps=steps, val_every=max(1, steps // 20))}),
        scores=class_score_course(dataset),
        selection=Selection(episodes=2000),
    )

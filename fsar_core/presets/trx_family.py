"""What TRX's and STRM's released code share: how clips are read, and plain SGD at a constant rate."""

from fsar_core.backbones import ResNet
from fsar_core.config import EpisodeBatches, Selection, Training
from fsar_core.data.config import NORMALISATIONS, DataConfig, Flip
from fsar_core.data.resize import Resize
from fsar_core.optimizer import OptimizerConfig, Steps
from fsar_core.presets.class_score_course import class_score_course
from fsar_core.presets.dataset_names import is_ssv2, like
from fsar_core.presets.recipe import Course, Recipe

PER_STEP = 16
_LONG, _SHORT = 75_000, 10_000
"""Tasks after which the weights are tested: on SSv2-Full, on all others."""


def family_data(dataset: str) -> DataConfig:
    """Every clip is mirrored with probability 0.5, pixels are not normalised. The frame store of SSv2 is squeezed to
    256x256 and thinned to 8 evenly spaced frames, which leaves nothing to jitter."""
    thinned = is_ssv2(dataset)
    return DataConfig(
        dataset=dataset,
        train_sampling="linspace" if thinned else "jitter-ends",
        test_sampling="linspace" if thinned else "inner-linspace",
        resize=Resize(mode="squeeze" if thinned else "short_side", size=256),
        crop=224,
        flip=Flip(support=0.5, query=0.5),
        normalisation=NORMALISATIONS["none"],
    )


def family_recipe(dataset: str, *, lr: float, queries: int) -> Recipe:
    """Trained 5-shot; the last weights count."""
    steps = (_LONG if like(dataset) == "ssv2_full" else _SHORT) // PER_STEP
    return Recipe(
        backbone=ResNet.Config(depth=50, weights="imagenet"),
        data=family_data(dataset),
        episodes=Course(
            batches=EpisodeBatches(shot=5, queries=queries, per_step=PER_STEP),
            optimizer=OptimizerConfig(kind="sgd", lr=lr),
            schedule=Steps(),
            training=Training(steps=steps, val_every=max(1, steps // 20)),
        ),
        scores=class_score_course(dataset),
        selection=Selection(keep="last"),
        loss_scale="sum",
    )

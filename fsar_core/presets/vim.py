"""The preset ``vim``."""

import math

from fsar_core.backbones import ResNet
from fsar_core.config import EpisodeBatches, Selection, Training
from fsar_core.data.config import NORMALISATIONS, DataConfig, Flip
from fsar_core.data.resize import Resize
from fsar_core.optimizer import OptimizerConfig, Steps
from fsar_core.presets.class_score_course import class_score_course
from fsar_core.presets.dataset_names import is_ssv2
from fsar_core.presets.preset import Preset
from fsar_core.presets.recipe import Course, Recipe

_TASKS, _PER_STEP, _LOOK_EVERY = 100_020, 16, 200
_STEPS = _TASKS // _PER_STEP


def vim(dataset: str) -> Recipe:
    """As VIM's paper, and TA2N's code where it is silent: SGD at 1e-2, loss summed, chosen on test.

    Source: the paper for SGD at 1e-2, times 0.9 after each third of the training, and for the losses; run_ta2n.py,
    video_reader.py and experiments/ of TA2N's code, on which VIM builds, for the rest: 100,020 tasks, 16 in a step, 5
    queries per class, loss summed over queries, TRX's jitter of both ends, short side 256, flips but on
    Something-Something, a look at the test list every 200 tasks with 3,000 episodes. Trained for each number of shots
    by itself (--per-shot). Methods of VIM read 20 frames, whatever the preset says.

    Silent: there is no code of VIM. Its "15,000 epochs, each with 200 episodes" would be 3,000,000 tasks, thirty times
    TA2N's length, which is taken instead, with the drops at its thirds. The paper names no normalisation; both of its
    networks start from ImageNet, so ImageNet's is taken (TA2N has none). It does not say how weights are chosen; TA2N
    takes the best ones on test. All data sets have the same numbers.

    Not imitated: the first step holds 15 tasks; a look every 200 tasks is every 12.5 steps, here every 13; frames of
    a task pass on several GPUs in parts with batch norms of their own.
    """
    flip = 0.0 if is_ssv2(dataset) else 0.5
    return Recipe(
        backbone=ResNet.Config(depth=50, weights="imagenet"),
        data=DataConfig(
            dataset=dataset,
            train_sampling="jitter-ends",
            test_sampling="inner-linspace",
            resize=Resize(mode="short_side", size=256),
            crop=224,
            flip=Flip(support=flip, query=flip),
            normalisation=NORMALISATIONS["imagenet"],
        ),
        episodes=Course(
            batches=EpisodeBatches(shot=1, queries=5, per_step=_PER_STEP),
            optimizer=OptimizerConfig(kind="sgd", lr=1e-2),
            schedule=Steps(drops=((round(_STEPS / 3), 0.9), (round(_STEPS * 2 / 3), 0.81))),
            training=Training(steps=_STEPS, val_every=math.ceil(_LOOK_EVERY / _PER_STEP)),
        ),
        scores=class_score_course(dataset),
        selection=Selection(on="test", episodes=3_000),
        loss_scale="sum",
    )


VIM = Preset(
    name="vim",
    source="Liu et al. (VIM), 2023, after https://github.com/R00Kie-Liu/TA2N (TA2N, AAAI 2022)",
    recipe=vim,
)

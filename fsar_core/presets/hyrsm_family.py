"""What HyRSM's and MoLo's released code share: how clips are read, Adam, and the way their schedules really run."""

import math
from dataclasses import dataclass

from fsar_core.backbones import ResNet
from fsar_core.config import EpisodeBatches, Selection, Training
from fsar_core.data.config import DataConfig, Flip, Jitter
from fsar_core.data.resize import Resize
from fsar_core.optimizer import OptimizerConfig, Steps
from fsar_core.presets.class_score_course import class_score_course
from fsar_core.presets.dataset_names import like
from fsar_core.presets.recipe import Course, Recipe

_PROCESSES = 4
"""Each trains on its own tasks, and their gradients are averaged."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A configuration file of that code, in its units: tasks of one process."""

    tasks: int
    lr: float
    start_lr: float
    """At the start of the warm-up."""
    unit: int
    """Tasks of what the file calls an epoch; the warm-up lasts one."""
    drops: tuple[tuple[int, float], ...]
    """(units as written, factor of the base rate)."""
    look_every: int
    """Tasks between two looks at the test list."""
    tasks_per_step: int = 4
    """Of one process; HMDB51 in HyRSM has 2."""

    def steps(self, tasks: float) -> int:
        """Optimiser steps that so many tasks make; a step that is begun counts."""
        return math.ceil(tasks / self.tasks_per_step)

    def schedule(self) -> Steps:
        """In optimiser steps. The code adds up whole and fractional units, so that from the second on they pass twice
        as fast as written: a drop at k units comes after ceil(k / 2). Drops that never take effect are left out."""
        drops = [(self.steps(math.ceil(units / 2) * self.unit), factor) for units, factor in self.drops]
        return Steps(
            warmup_steps=self.steps(self.unit),
            warmup_start=self.start_lr / self.lr,
            drops=tuple((step, factor) for step, factor in drops if step < self.steps(self.tasks)),
        )

    def course(self, *, shot: int, queries: int) -> Course:
        """With the published number of looks."""
        return Course(
            batches=EpisodeBatches(shot=shot, queries=queries, per_step=_PROCESSES * self.tasks_per_step),
            optimizer=OptimizerConfig(lr=self.lr, weight_decay=1e-3),
            schedule=self.schedule(),
            training=Training(steps=self.steps(self.tasks), val_every=self.steps(self.look_every)),
        )


def family_data(dataset: str) -> DataConfig:
    """A window with strides on Kinetics, else a random frame of each segment, in tests too; frames squeezed to
    256x256, crops of 224; query clips are mirrored and recoloured, support clips are not."""
    kinetics = like(dataset) == "kinetics100"
    return DataConfig(
        dataset=dataset,
        train_sampling="strided" if kinetics else "segment-random",
        test_sampling="strided-centre" if kinetics else "segment-random",
        resize=Resize(mode="squeeze", size=256),
        crop=224,
        flip=Flip(query=0.5),
        jitter=Jitter(),
    )


def family_recipe(
    dataset: str, published: Published, *, queries: int, queries_by_shot: tuple[tuple[int, int], ...] = ()
) -> Recipe:
    """Trained 1-shot, chosen on the test list by looks of 10,000 episodes."""
    return Recipe(
        backbone=ResNet.Config(depth=50, weights="imagenet"),
        data=family_data(dataset),
        episodes=published.course(shot=1, queries=queries),
        scores=class_score_course(dataset),
        selection=Selection(on="test", episodes=10_000),
        loss_scale="mean",
        queries_by_shot=queries_by_shot,
    )

"""What a preset fixes: everything of a run but its method. Presets below are functions of the data set's name."""

from fsar_core.backbones import BackboneConfig, ResNet, SmallNet
from fsar_core.config import Batches, ClipBatches, EpisodeBatches, Need, RunConfig, Selection, Training
from fsar_core.data.config import DataConfig, Flip
from fsar_core.data.resize import Resize
from fsar_core.frozen import Frozen
from fsar_core.losses import Classification
from fsar_core.method import MethodConfig, Step
from fsar_core.optimizer import Cosine, OptimizerConfig, Schedule, Steps
from fsar_core.stages import ClassScores, SpatialPool


class Course(Frozen):
    """Batches, optimiser and length of a training."""

    batches: Batches
    optimizer: OptimizerConfig
    schedule: Schedule
    training: Training


class Recipe(Frozen):
    """A published or house-made way to train, for one data set."""

    backbone: BackboneConfig
    data: DataConfig
    episodes: Course
    """Few-shot training."""
    scores: Course
    """Training of a class-score network on a frozen backbone, with deterministic clips."""
    selection: Selection
    needs: tuple[Need, ...] = ()
    """What the backbone itself needs first."""

    def few_shot(self, method: MethodConfig, needs: tuple[Need, ...] = ()) -> RunConfig:
        """The few-shot training of a method on this recipe's backbone."""
        return self._run(method, self.episodes, self.data, (*self.needs, *needs))

    def class_scores(self, layers: ClassScores.Config) -> RunConfig:
        """The training of Phi_cls: backbone frozen, every clip as a test would see it (SGTM, section 3.4)."""
        method = MethodConfig(
            backbone=self.backbone.model_copy(update={"frozen": True}),
            steps=_scored(layers),
            losses=(Classification.Config(),),
        )
        still = {"train_sampling": self.data.test_sampling, "random_crop": False, "flip": Flip(), "jitter": None}
        return self._run(method, self.scores, self.data.model_copy(update=still), self.needs)

    def _run(self, method: MethodConfig, course: Course, data: DataConfig, needs: tuple[Need, ...]) -> RunConfig:
        return RunConfig(
            method=method,
            data=data,
            batches=course.batches,
            optimizer=course.optimizer,
            schedule=course.schedule,
            training=course.training,
            selection=self.selection,
            needs=needs,
        )


def clean(dataset: str) -> Recipe:
    """The HyRSM/MoLo code base's training (ResNet-50, ImageNet weights, 224 pixels, 16 episodes a step), but selected
    on val, tested on fixed central frames, without colour jitter (SGTM has none), and without flips, which swap classes
    of Something-Something. A data set that the papers do not use gets HMDB51's schedule."""
    steps, lr, warmup, start, drops = _CODE_BASE.get(dataset, _CODE_BASE["hmdb51"])
    return Recipe(
        backbone=ResNet.Config(depth=50, weights="imagenet"),
        data=DataConfig(dataset=dataset, resize=Resize(mode="squeeze", size=256), crop=224),
        episodes=Course(
            batches=EpisodeBatches(queries=6, per_step=16),
            optimizer=OptimizerConfig(lr=lr, weight_decay=1e-3),
            schedule=Steps(warmup_steps=warmup, warmup_start=start / lr, drops=drops),
            training=Training(steps=steps, val_every=max(1, steps // 20)),
        ),
        scores=Course(
            batches=ClipBatches(size=128),
            optimizer=OptimizerConfig(lr=1e-4, weight_decay=5e-4),
            schedule=Cosine(),
            training=Training(steps=40 * _TRAIN_CLIPS.get(dataset, 4_280) * 9 // 10 // 128, val_every=100),
        ),
        selection=Selection(episodes=2000),
    )


_CODE_BASE: dict[str, tuple[int, float, int, float, tuple[tuple[int, float], ...]]] = {
    "hmdb51": (500, 5e-5, 125, 1e-5, ((250, 0.5), (375, 0.1))),
    "ucf101": (1500, 5e-5, 500, 1e-5, ((1000, 0.1),)),
    "kinetics100": (1250, 2e-5, 88, 5e-6, ((175, 0.1), (263, 0.01))),
    "ssv2_small": (5000, 1e-4, 375, 2e-5, ((750, 0.1), (1500, 0.01))),
    "ssv2_full": (12500, 1e-4, 1500, 2e-5, ((4500, 0.1), (7500, 0.01))),
}
"""(steps, rate, warm-up steps, rate at its start, (step, factor) of each drop), all in optimiser steps as they count in
that code."""

_TRAIN_CLIPS = {"hmdb51": 4_280, "ucf101": 9_154, "kinetics100": 6_400, "ssv2_small": 6_400, "ssv2_full": 67_013}
"""For 40 epochs in steps of 128."""


def laptop(dataset: str) -> Recipe:
    """Two CPU cores: a small net on 48-pixel crops, pretrained on the base classes instead of ImageNet."""
    return _small(dataset, pretraining=400, scores=200, steps=200, val_episodes=500)


def laptop64(dataset: str) -> Recipe:
    """``laptop`` with 64-pixel crops: maps of 4x4 cells, as few as VIM's alignment can read. Twice the time."""
    return _small(dataset, pretraining=400, scores=200, steps=200, val_episodes=500, crop=64)


def smoke(dataset: str) -> Recipe:
    """``laptop`` with a handful of steps: shows in a minute that a sweep runs to its end. Its numbers mean nothing."""
    return _small(dataset, pretraining=12, scores=12, steps=12, val_episodes=50)


def _small(dataset: str, *, pretraining: int, scores: int, steps: int, val_episodes: int, crop: int = 48) -> Recipe:
    backbone = SmallNet.Config(channels=16)
    data = DataConfig(dataset=dataset, resize=Resize(mode="squeeze", size=crop + 8), crop=crop)
    first = RunConfig(
        method=MethodConfig(
            backbone=backbone,
            steps=_scored(ClassScores.Config(layers=((128, 3), (128, 3)), dropout=0.1, final_relu=False)),
            losses=(Classification.Config(),),
        ),
        data=data,
        batches=ClipBatches(size=32),
        optimizer=OptimizerConfig(lr=2e-3, weight_decay=1e-4),
        schedule=Cosine(warmup_steps=pretraining // 20),
        training=Training(steps=pretraining, val_every=pretraining // 4),
    )
    return Recipe(
        backbone=backbone,
        data=data,
        episodes=Course(
            batches=EpisodeBatches(way=5, shot=1, queries=4, per_step=1),
            optimizer=OptimizerConfig(lr=1e-3, weight_decay=1e-4),
            schedule=Cosine(warmup_steps=steps // 20),
            training=Training(steps=steps, val_every=steps // 4),
        ),
        scores=Course(
            batches=ClipBatches(size=64),
            optimizer=OptimizerConfig(lr=1e-3, weight_decay=5e-4),
            schedule=Cosine(),
            training=Training(steps=scores, val_every=scores // 4),
        ),
        selection=Selection(episodes=val_episodes),
        needs=(Need(run=first, source="backbone", target="backbone"),),
    )


def _scored(layers: ClassScores.Config) -> tuple[Step, ...]:
    return (Step(name="pooled", stage=SpatialPool.Config()), Step(name="scores", stage=layers))


PRESETS = {"clean": clean, "laptop": laptop, "laptop64": laptop64, "smoke": smoke}


def default_preset(dataset: str) -> str:
    """The preset that suits a data set when none is named."""
    return "laptop" if dataset == "motionshapes" else "clean"

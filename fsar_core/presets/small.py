"""Presets for two CPU cores: a small net on small crops, pretrained on the base classes instead of ImageNet."""

from fsar_core.backbones import SmallNet
from fsar_core.config import ClipBatches, EpisodeBatches, Need, RunConfig, Selection, Training
from fsar_core.data.config import DataConfig
from fsar_core.data.resize import Resize
from fsar_core.losses import Classification
from fsar_core.method import MethodConfig
from fsar_core.optimizer import Cosine, OptimizerConfig
from fsar_core.presets.recipe import Course, Recipe, scored
from fsar_core.stages import ClassScores


def laptop(dataset: str) -> Recipe:
    """Two CPU cores: a small net on 48-pixel crops, pretrained on the base classes instead of ImageNet."""
    return _small(dataset, pretraining=400, scores=200, steps=200, val_episodes=500)


def laptop64(dataset: str) -> Recipe:
    """``laptop`` with 64-pixel crops: maps of 4x4 cells, as few as VIM's alignment can read. Twice the time."""
    return _small(dataset, pretraining=400, scores=200, steps=200, val_episodes=500, crop=64)


def smoke(dataset: str) -> Recipe:
    """``laptop`` with a handful of steps: shows in a minute that a sweep runs to its end. Its numbers mean nothing."""
    return _small(dataset, pretraining=12, scores=12, steps=12, val_episodes=50)


def tiny(dataset: str) -> Recipe:
    """Four steps of everything and 50 test episodes on 64-pixel crops: a rehearsal whose numbers mean nothing.

    One look at val. Every table of every paper comes to its end in half an hour on two cores.
    """
    recipe = _small(dataset, pretraining=4, scores=4, steps=4, val_episodes=10, crop=64)
    once = recipe.episodes.model_copy(update={"training": Training(steps=4, val_every=4)})
    return recipe.model_copy(update={"episodes": once, "test_episodes": 50})


def _small(dataset: str, *, pretraining: int, scores: int, steps: int, val_episodes: int, crop: int = 48) -> Recipe:
    backbone = SmallNet.Config(channels=16)
    data = DataConfig(dataset=dataset, resize=Resize(mode="squeeze", size=crop + 8), crop=crop)
    first = RunConfig(
        method=MethodConfig(
            backbone=backbone,
            steps=scored(ClassScores.Config(layers=((128, 3), (128, 3)), dropout=0.1, final_relu=False)),
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

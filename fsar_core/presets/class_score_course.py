"""The first stage of SGTM on the papers' videos: no code base but its own has one, so all presets share it."""

from fsar_core.config import ClipBatches, Training
from fsar_core.optimizer import Cosine, OptimizerConfig
from fsar_core.presets.dataset_names import like
from fsar_core.presets.recipe import Course

_TRAIN_CLIPS = {"hmdb51": 4_280, "ucf101": 9_154, "kinetics100": 6_400, "ssv2_small": 6_400, "ssv2_full": 67_013}


def class_score_course(dataset: str) -> Course:
    """40 epochs, in steps of 128, of the nine tenths of the train clips that are not held out."""
    return Course(
        batches=ClipBatches(size=128),
        optimizer=OptimizerConfig(lr=1e-4, weight_decay=5e-4),
        schedule=Cosine(),
        training=Training(steps=40 * _TRAIN_CLIPS[like(dataset)] * 9 // 10 // 128, val_every=100),
    )

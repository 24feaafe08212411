"""Made-up clips and very small runs: everything real but the videos."""

from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fsar_core.backbones import BackboneConfig, SmallNet
from fsar_core.config import ClipBatches, EpisodeBatches, RunConfig, Selection, Training
from fsar_core.data.clip_index import Clip, ClipIndex
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig, Flip, Jitter
from fsar_core.data.folder_scan import Split
from fsar_core.data.mask_store import MaskStore
from fsar_core.data.resize import Resize
from fsar_core.data.stored_clip import RawClip, StoredClip
from fsar_core.data.transforms import Geometry
from fsar_core.data.transforms import cut as cut_into
from fsar_core.method import MethodConfig
from fsar_core.methods import sgtm
from fsar_core.optimizer import Cosine, OptimizerConfig
from fsar_core.presets import Course, Recipe
from fsar_core.seeds import generator
from fsar_core.train import Execution, TrainState

SIZE, CROP, FRAMES = 20, 16, 4
SQUARE = 230
"""Its pixels; all others are darker."""
CLASSES: dict[Split, int] = {"train": 6, "val": 5, "test": 6}
CPU = Execution(device=torch.device("cpu"))


class WholeFrames(ABC):
    """Clips of which every frame is kept."""

    @abstractmethod
    def frames(self, clip_name: str) -> NDArray[np.uint8]:
        """(n, H, W, 3)"""

    def clip(self, clip_name: str) -> StoredClip:
        return whole(self.frames(clip_name))


def whole(frames: NDArray[np.uint8]) -> StoredClip:
    return RawClip(np.arange(len(frames), dtype=np.int32), frames)


class MadeFrames(WholeFrames):
    """A bright square that moves; its row and its direction are the class. ``size`` is a multiple of ``SIZE``."""

    def __init__(self, size: int = SIZE) -> None:
        self.size = size

    def frames(self, clip_name: str) -> NDArray[np.uint8]:
        return _made(clip_name, self.size)


def length(number: int) -> int:
    """Frames of a class's clip."""
    return 9 + number % 4


def cut(frames: NDArray[np.uint8], numbers: NDArray[np.int64], geometry: Geometry, crop: int) -> NDArray[np.uint8]:
    """As a clip source cuts stored frames."""
    out = np.empty((len(numbers), crop, crop, frames.shape[3]), np.uint8)
    cut_into(whole(frames), numbers, geometry, out)
    return out


@cache
def _made(clip_name: str, size: int) -> NDArray[np.uint8]:
    label, number = clip_name.split("/")
    rng = generator(0, clip_name)
    total, scale = length(int(number)), size // SIZE
    video = rng.integers(0, 80, (total, size, size, 3), dtype=np.uint8)
    row, direction = divmod(int(label[-1]), 2)
    for t in range(total):
        x = t if direction else total - 1 - t
        video[t, scale * 5 * row : scale * (5 * row + 6), scale * x : scale * (x + 6)] = SQUARE
    video.setflags(write=False)
    return video


def index(per_class: int = 8, size: int = SIZE, frames: int | None = None) -> ClipIndex:
    """``frames``: of every clip, where they are not the made ones."""
    return ClipIndex.of_clips(
        "made",
        [
            Clip(
                f"{split}{label}/{i}",
                f"{split}{label}",
                split,
                Path("none"),
                frames or length(i),
                f"{i}",
                size,
                size,
                12.0,
            )
            for split, count in CLASSES.items()
            for label in range(count)
            for i in range(per_class)
        ],
    )


def clips(split: Split, config: DataConfig | None = None, masks: MaskStore | None = None) -> ClipSource:
    config = config or data()
    size = config.resize.size
    return ClipSource(index(size=size), split, MadeFrames(size), config, masks)


def data(*, augmented: bool = True, crop: int = CROP) -> DataConfig:
    """``crop`` is a multiple of ``CROP``."""
    return DataConfig(
        dataset="made",
        frames=FRAMES,
        resize=Resize(mode="squeeze", size=crop * SIZE // CROP),
        crop=crop,
        flip=Flip(support=0.3, query=0.5) if augmented else Flip(),
        jitter=Jitter() if augmented else None,
    )


BACKBONE = SmallNet.Config(channels=4)


def recipe(*, steps: int = 6, augmented: bool = True, backbone: BackboneConfig = BACKBONE, crop: int = CROP) -> Recipe:
    return Recipe(
        backbone=backbone,
        data=data(augmented=augmented, crop=crop),
        episodes=Course(
            batches=EpisodeBatches(way=3, shot=1, queries=2, per_step=2),
            optimizer=OptimizerConfig(lr=1e-3, weight_decay=1e-3),
            schedule=Cosine(warmup_steps=1),
            training=Training(steps=steps, val_every=2),
        ),
        scores=Course(
            batches=ClipBatches(size=12, held_out=0.2),
            optimizer=OptimizerConfig(lr=3e-3),
            schedule=Cosine(),
            training=Training(steps=8, val_every=4),
        ),
        selection=Selection(episodes=20),
    )


METHODS: dict[str, MethodConfig] = {
    "baseline": sgtm.baseline(BACKBONE),
    "encoder_only": sgtm.encoder_only(BACKBONE),
    "sgtm": sgtm.sgtm(BACKBONE),
    "sgtm_random": sgtm.sgtm(BACKBONE, strategy="random", ratio=0.25),
    "sgtm_unmasked": sgtm.sgtm(BACKBONE, ratio=0.0),
}


def run(name: str = "sgtm") -> RunConfig:
    """A run of one of METHODS; a guide that needs weights keeps random ones."""
    return recipe().few_shot(METHODS[name])


def started(config: RunConfig) -> TrainState:
    return TrainState.start(config, CLASSES["train"], CPU, {})

"""Clips of the made data set with masks."""

from pathlib import Path

import torch

from fsar_core.data.clip_index import Clip
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.mask_store import MaskStore
from fsar_core.mask_settings import MaskSettings
from tests.fsar_core import tiny

STRICT, SKIP = MaskSettings(), MaskSettings(missing="skip")
CPU = torch.device("cpu")


def masked_clips(root: Path, settings: MaskSettings = STRICT, config: DataConfig | None = None) -> ClipSource:
    return ClipSource(tiny.index(), "train", tiny.MadeFrames(), config or tiny.data(), MaskStore(root, settings))


def clips_named(*names: str, frames: int = 9) -> list[Clip]:
    return [Clip(name, name.split("/")[0], "train", Path("none"), frames, "0", 8, 8, 12.0) for name in names]

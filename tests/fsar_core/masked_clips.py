"""Clips of the made data set with masks."""

from pathlib import Path

import pytest
import torch

from fsar_core.data.clip_index import Clip
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.mask_store import MaskStore
from fsar_core.mask_settings import MaskSettings
from tests.fsar_core import tiny
from tests.fsar_core.made_masks import (
    made_masks,
)

STRICT, SKIP = MaskSettings(), MaskSettings(missing="skip")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks of tiny's train clips, at the frames' size; do not change them."""
    return made_masks(tmp_path_factory.mktemp("masks"), tiny.index())


def masked_clips(root: Path, settings: MaskSettings = STRICT, config: DataConfig | None = None) -> ClipSource:
    return ClipSource(tiny.index(), "train", tiny.MadeFrames(), config or tiny.data(), MaskStore(root, settings))


def clips_named(*names: str, frames: int = 9) -> list[Clip]:
    return [Clip(name, name.split("/")[0], "train", Path("none"), frames, "0", 8, 8, 12.0) for name in names]

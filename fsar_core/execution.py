"""Facts of the machine that a training needs. None of them is part of a run's id."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from fsar_core.features import FeatureStore
from fsar_core.precision import Precision

Recompute = Literal["auto", "never", "always"]
"""Whether backbones compute again, for their gradients, what they do not keep. ``auto``: on a GPU if a step would not
fit otherwise, on a CPU never. The mathematics is the same each way."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How and where a training is carried out."""

    device: torch.device
    precision: Precision = "fp32"
    weights_folder: Path | None = None
    """Where pretrained weights lie."""
    recompute: Recompute = "auto"
    frames_at_once: int = 64
    """Frames whose activations live at a time where a recomputing backbone sees every frame by itself. Where batch
    statistics join the frames, the pieces are residual blocks over all frames instead."""
    share: float = 1.0
    """Of the GPU's memory, what this training may take."""
    prefetch: int = 2
    """Batches that a thread prepares ahead; 0: none, each is prepared when it is needed."""
    features: FeatureStore | None = None
    """Where trainings whose first steps never change find the outputs of these; None: each makes its own."""

"""CLIPSeg: a text prompt to a soft mask. Lüddecke and Ecker, CVPR 2022, https://arxiv.org/abs/2112.10003."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fsar_core.data.mask_files import MaskError

_BATCH = 16  # frames of one forward pass


class ClipSeg:
    """Weights and processor from a folder, as ``save_pretrained`` of the library leaves it. Nothing is downloaded."""

    name = "clipseg"

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Raises MaskError without the extra ``masks``, and for a folder that holds no such model."""
        if not (folder / "config.json").is_file():
            raise MaskError(
                f"{folder}: the CLIPSeg model must lie in this folder, but it has no config.json; "
                "download one (such as CIDAS/clipseg-rd64-refined) and give its folder as --model"
            )
        try:
            library: Any = importlib.import_module("transformers")
        except ImportError as error:
            raise MaskError(
                f"the producer clipseg needs transformers, which cannot be imported ({error}); "
                "install the extra: pip install 'fsar-sweeps[masks]'"
            ) from error
        try:
            self._processor = library.CLIPSegProcessor.from_pretrained(folder, local_files_only=True)
            model = library.CLIPSegForImageSegmentation.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise MaskError(f"{folder}: not a CLIPSeg model that can be loaded: {error}") from error
        self._model, self._device = model.to(device).eval(), device
        self.model = folder.resolve().name

    @torch.inference_mode()
    def segment(self, frames: NDArray[np.uint8], prompt: str, canvas: int) -> NDArray[np.float32]:
        """Sigmoid of the logits, then resized bilinearly. The processor squeezes the whole frame to its own square."""
        parts = [self._probabilities(part, prompt) for part in np.split(frames, range(_BATCH, len(frames), _BATCH))]
        soft = F.interpolate(torch.cat(parts)[:, None], (canvas, canvas), mode="bilinear", align_corners=False)
        return soft[:, 0].cpu().numpy()

    def _probabilities(self, frames: NDArray[np.uint8], prompt: str) -> Tensor:
        """(n, h, w) float32 at the model's size."""
        inputs = self._processor(
            text=[prompt] * len(frames), images=list(frames), padding=True, truncation=True, return_tensors="pt"
        )
        logits: Tensor = self._model(**{name: value.to(self._device) for name, value in inputs.items()}).logits
        # early releases of the library drop the first dimension of a single frame
        return logits.float().sigmoid().reshape(len(frames), *logits.shape[-2:])

"""Augmentation with one draw per clip, the same for all its frames; and normalisation."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as T

from fsar_core.data.config import DataConfig, Jitter, Normalisation
from fsar_core.data.stored_clip import StoredClip


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where a clip is cropped and whether it is mirrored. Masks of the same clip take the same record."""

    top: int
    left: int
    flip: bool


def central(height: int, width: int, crop: int) -> Geometry:
    """The crop of tests."""
    return Geometry(top=(height - crop) // 2, left=(width - crop) // 2, flip=False)


def drawn(height: int, width: int, config: DataConfig, query: bool, rng: np.random.Generator) -> Geometry:
    """One draw for a training clip. Always three draws, so that a switch does not shift later ones."""
    y, x, f = rng.random(3)
    chance = config.flip.query if query else config.flip.support
    if not config.random_crop:
        middle = central(height, width, config.crop)
        return Geometry(top=middle.top, left=middle.left, flip=bool(f < chance))
    top, left = int(y * (height - config.crop + 1)), int(x * (width - config.crop + 1))
    return Geometry(top=top, left=left, flip=bool(f < chance))


def cut(stored: StoredClip, numbers: NDArray[np.int64], geometry: Geometry, out: NDArray[np.uint8]) -> None:
    """Copies the frames with these numbers, cropped and mirrored, into ``out``: (T, crop, crop, 3), contiguous."""
    stored.pick(numbers, out, geometry.top, geometry.left)
    if geometry.flip:
        own = torch.from_numpy(out)
        own.copy_(own.flip(2))  # six times the speed of NumPy


def cut_masks(masks: np.ndarray, height: int, width: int, geometry: Geometry, crop: int) -> np.ndarray:
    """Masks (T, h, w) uint8 of whole frames to (T, crop, crop), as ``cut`` does with frames stored at height x width.

    A canvas of another size is first resized to theirs, bilinearly without antialiasing; for frames that kept their
    aspect ratio this undoes the squeeze of the canvas.
    """
    if masks.shape[1:] != (height, width):
        soft = torch.from_numpy(masks)[None].float()
        resized = F.interpolate(soft, (height, width), mode="bilinear", align_corners=False, antialias=False)
        masks = resized[0].round().byte().numpy()
    part = masks[:, geometry.top : geometry.top + crop, geometry.left : geometry.left + crop]
    return part[:, :, ::-1] if geometry.flip else part


def jitter(clip: Tensor, config: Jitter, rng: np.random.Generator) -> Tensor:
    """(T, 3, H, W) uint8: perhaps greyscale, then brightness, contrast, saturation and hue in random order."""
    grey, *factors = rng.random(5)
    order = rng.permutation(4)
    if grey < config.grey:
        clip = T.rgb_to_grayscale(clip, num_output_channels=3)
    spans = (config.brightness, config.contrast, config.saturation)
    amounts = [max(0.0, 1 + span * (2 * u - 1)) for span, u in zip(spans, factors, strict=False)]
    amounts.append(config.hue * (2 * factors[3] - 1))
    operations = (T.adjust_brightness, T.adjust_contrast, T.adjust_saturation, T.adjust_hue)
    for i in order:
        clip = operations[i](clip, amounts[i])
    return clip


def normalise(videos: Tensor, config: Normalisation) -> Tensor:
    """uint8 (V, T, 3, H, W) to float32, on the device where ``videos`` are."""
    mean, std = _channels(config.mean, config.std, videos.device)
    return (videos.float() - mean) / std


@lru_cache(maxsize=64)  # copying them to a GPU for every batch would wait for all that it has to do
def _channels(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """In units of a stored pixel, (3, 1, 1) each."""
    with torch.inference_mode(False):
        centre, spread = (torch.tensor(values, device=device).view(3, 1, 1) * 255 for values in (mean, std))
    return centre, spread

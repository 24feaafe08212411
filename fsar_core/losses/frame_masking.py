"""Which frames of a clip stay visible: SGTM, section 3.2 and table 4."""

from typing import Literal

import torch
from torch import Tensor

MaskStrategy = Literal["ambiguous_visible", "top", "bottom", "middle", "random", "none"]
"""``ambiguous_visible``: the most and the least salient frames are masked (the paper's choice). ``top``, ``bottom``,
``middle``: the most, least, middling salient ones. ``random``: drawn anew per clip and step. ``none``: no frame."""

NEEDS_SALIENCY = ("ambiguous_visible", "top", "bottom", "middle")


def masked_frames(strategy: MaskStrategy, ratio: float, total: int) -> int:
    """m, how many of ``total`` frames a ratio masks: round(ratio * T), and 2 * round(ratio * T / 2) for
    ``ambiguous_visible``; halves are rounded up.

    Raises ValueError if no frame would stay visible, or if a ratio above 0 would mask none.
    """
    paired = strategy == "ambiguous_visible"
    masked = 2 * int(ratio * total / 2 + 0.5) if paired else int(ratio * total + 0.5)
    if masked >= total:
        unit = 2 if paired else 1
        raise ValueError(
            f"mask ratio {ratio} with strategy {strategy!r} leaves no visible frame of {total}; "
            f"it must be below {(total - unit / 2) / total:g}"
        )
    if ratio > 0 and masked == 0:
        smallest = (1 if paired else 0.5) / total
        raise ValueError(
            f"mask ratio {ratio} masks no frame of {total}; "
            f"with strategy {strategy!r} it must be 0 or at least {smallest:g}"
        )
    return masked


def visible_frames(strategy: MaskStrategy, saliency: Tensor, masked: int) -> Tensor:
    """(V, T) saliency to (V, T - masked) frame ids, ascending. Equal saliencies rank by frame index.

    ``random`` and ``none`` use only the shape of ``saliency``; ``random`` draws from torch's global generator.
    """
    total = saliency.shape[1]
    if strategy == "random":
        ranked = torch.rand_like(saliency).argsort(dim=1)
    else:
        ranked = saliency.argsort(dim=1, descending=True, stable=True)
    return torch.cat([ranked[:, part] for part in _visible_ranks(strategy, total, masked)], dim=1).sort(dim=1).values


def _visible_ranks(strategy: MaskStrategy, total: int, masked: int) -> list[slice]:
    visible = total - masked
    if strategy == "ambiguous_visible":
        return [slice(masked // 2, total - masked // 2)]
    if strategy == "middle":
        top = (visible + 1) // 2
        return [slice(0, top), slice(total - (visible - top), total)]
    return [slice(0, visible)] if strategy == "bottom" else [slice(masked, total)]

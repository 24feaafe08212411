"""The stored arrays of STRM's released code, by the names of our parameters."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str, dtype: torch.dtype) -> dict[str, Tensor]:
    arrays = {key: torch.from_numpy(value) for key, value in np.load(GOLDEN / f"{name}.npz").items()}
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in arrays.items()}


def near(found: Tensor, expected: Tensor, tol: float) -> None:
    torch.testing.assert_close(found, expected, rtol=tol, atol=tol * max(1.0, float(expected.abs().max())))


def patch_weights(arrays: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """By the names of ``PatchEnrichment``; the code's three projections are one here."""
    names = {f"fc{i}.{kind}": f"mlp.fc{i}.{kind}" for i in (1, 2, 3) for kind in ("weight", "bias")} | {
        "gamma": "gamma"
    }
    found = {own: arrays[f"{prefix}{name}"] for own, name in names.items()}
    for kind in ("weight", "bias"):
        found[f"qkv.{kind}"] = torch.cat([arrays[f"{prefix}attn.{part}.{kind}"] for part in ("query", "key", "value")])
    return found


def frame_weights(arrays: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    return {
        f"{own}.{place}.{kind}": arrays[f"{prefix}{name}.fc{layer}.{kind}"]
        for own, name in (("over_frames", "token_mlp"), ("over_channels", "channel_mlp"))
        for place, layer in ((0, 1), (2, 2))
        for kind in ("weight", "bias")
    }

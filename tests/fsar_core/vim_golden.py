"""Golden arrays of VIM's alignment, their weights put into our modules, and the layouts of published code."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fsar_core.episode import Shape
from fsar_core.matchers.pair_alignment import AlignedMatch, PairAlignment
from fsar_core.seeds import derived_seed
from fsar_core.stages.temporal_transform import TemporalTransform

GOLDEN = Path(__file__).parents[1] / "golden"

_LOCALISATION = {
    "conv1": "convolutions.0",
    "bn1": "convolutions.1",
    "conv2": "convolutions.4",
    "bn2": "convolutions.5",
    "fc1": "hidden",
    "fc2": "last",
}
_OFFSETS = {"conv1": "conv1", "bn1": "bn1", "conv2": "conv2", "bn2": "bn2", "fc1": "hidden", "fc2": "last"}
_SUFFIXES = {"weight": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def arrays(file: str, case: str) -> dict[str, Tensor]:
    """One case, floating arrays in float64."""
    with np.load(GOLDEN / f"{file}.npz") as stored:
        own = {k.split(".", 1)[1]: torch.from_numpy(stored[k]) for k in stored if k.startswith(f"{case}.")}
    return {name: array.double() if array.is_floating_point() else array.long() for name, array in own.items()}


def cases(file: str) -> list[str]:
    with np.load(GOLDEN / f"{file}.npz") as stored:
        return sorted({name.split(".")[0] for name in stored})


def transform_of(golden: Mapping[str, Tensor]) -> TemporalTransform:
    dim = golden["w_loc_conv1_weight"].shape[1]
    module = TemporalTransform(dim).double().eval()
    _fill(module, golden, "loc", _LOCALISATION)
    return module


def matcher_of(golden: Mapping[str, Tensor], config: PairAlignment.Config | None = None) -> PairAlignment:
    _, dim, frames, cells, _ = golden["support"].shape
    shape = Shape(level="map", frames=frames, dim=dim, cells=cells)
    module = (config or PairAlignment.Config()).build(shape).double().eval()
    if module.pairs.predictor is not None:
        _fill(module.pairs.predictor, golden, "off", _OFFSETS)
    if module.pairs.rearrangement is not None:
        state = {f"{name}.weight": golden[f"w_{name}"] for name in ("key", "query", "value")}
        module.pairs.rearrangement.load_state_dict(state)
    if module.shot_attention is not None and "w_multi_key" in golden:
        state = {f"{name}.weight": golden[f"w_multi_{name}"] for name in ("key", "query", "value")}
        module.shot_attention.load_state_dict(state)
    return module


def _fill(module: nn.Module, golden: Mapping[str, Tensor], prefix: str, names: Mapping[str, str]) -> None:
    state = module.state_dict()
    for theirs, ours in names.items():
        for suffix, own in _SUFFIXES.items():
            if f"w_{prefix}_{theirs}_{suffix}" in golden:
                state[f"{ours}.{own}"] = golden[f"w_{prefix}_{theirs}_{suffix}"].view(state[f"{ours}.{own}"].shape)
    module.load_state_dict(state)


def time_first(maps: Tensor) -> Tensor:
    """(..., C, T, H, W) as published <-> (..., T, C, H, W) as ours."""
    return maps.transpose(-4, -3)


def by_support(own: Tensor | None) -> Tensor:
    """(Q, N, 1, ...) as ours -> (N, Q, ...) as published."""
    assert own is not None
    return own.squeeze(2).transpose(0, 1)


def published_features(match: AlignedMatch) -> tuple[Tensor, Tensor]:
    """(N, Q, C, T) of supports and queries."""
    return by_support(match.support_aligned).mT, by_support(match.query_aligned).mT


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-6) -> None:
    """Relative to the largest entry."""
    torch.testing.assert_close(found, expected.to(found), rtol=0, atol=tolerance * float(expected.abs().max()))


def made(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(derived_seed(seed, "vim test", *shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def lively(module: PairAlignment, seed: int = 0) -> PairAlignment:
    """With offsets and batch norms as they may be after some training, in float64 and eval mode."""
    module.double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, own in (*module.named_parameters(), *module.named_buffers()):
            if own.is_floating_point() and "positions" not in name:
                fan_in = own[0].numel() if own.ndim > 1 else 4
                own.copy_(torch.randn(own.shape, generator=generator, dtype=own.dtype) * fan_in**-0.5)
                if name.endswith("running_var"):
                    own.copy_(own.abs() + 0.5)
        if module.pairs.predictor is not None:
            module.pairs.predictor.last.weight.mul_(3)
    return module

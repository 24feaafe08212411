"""Files of weights: named with their content's hash, checked before use, read without running code."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fsar_core.frozen import Frozen


class WeightsError(Exception):
    """Weights that are not there, not the ones meant, or do not fit."""


class WeightsFile(Frozen):
    """A file in the site's folder of weights. The hash, not the place, decides the result of a run."""

    name: str = Field(pattern=r"^[\w][\w.+-]*\.(pth|pt|safetensors)$")
    """A plain file name, no folders."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def check_sha256(path: Path, start: str) -> None:
    """Raises WeightsError unless the SHA-256 of the file's bytes starts with ``start``."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(start):
        raise WeightsError(
            f"{path} must have a SHA-256 that starts with {start}, but has {found}; put the right file there"
        )


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Names to tensors, from ``.safetensors`` or from a torch file of tensors only.

    A mapping under the key ``state_dict`` is unwrapped, the prefix ``module.`` of data-parallel training removed.
    """
    content: object
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, EOFError) as error:
        raise WeightsError(f"{path} must hold tensors and nothing else, but cannot be read so: {error}") from error
    if isinstance(content, Mapping) and "state_dict" in content:
        content = cast(Mapping[str, object], content)["state_dict"]
    return {name.removeprefix("module."): tensor for name, tensor in _tensors(path, content).items()}


def _tensors(path: Path, content: object) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path} must hold a state dict (parameter names to tensors), but holds a {type(content).__name__}"
        )
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if len(tensors) < len(content):
        others = sorted(str(name) for name, value in content.items() if not isinstance(value, Tensor))
        raise WeightsError(
            f"{path} must hold a state dict (parameter names to tensors), alone or under 'state_dict', but "
            f"{others[:8]} are not tensors; save the state dict of the backbone alone"
        )
    return tensors

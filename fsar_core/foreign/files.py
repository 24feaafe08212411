"""Files of weights that other programs wrote: tensors and plain containers are read, code in them never runs."""

import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

WEIGHT_KEYS = ("model_state_dict", "model_state", "state_dict")
"""Where the weights stand in a file that holds more: TRX and STRM, HyRSM and MoLo, many others."""

_PARALLEL = "module"
_SHOWN = 8


class CheckpointError(Exception):
    """All that is wrong with a file of weights, or with what is asked of it; one line per fault."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a file holds."""

    path: Path
    key: str | None
    """Under which the weights stood; None where they are the whole file."""
    weights: Mapping[str, Tensor]
    """Without the ``module`` that data-parallel training puts into names, at their start or inside."""
    parallel: int
    """How many names had a ``module``."""
    others: Mapping[str, str]
    """The entries beside the weights, in short; none of them is used but ``settings``."""
    settings: Mapping[str, object]
    """The configuration that the code base wrote beside the weights (``cfg``, JSON text); empty where there is none."""


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads ``.safetensors`` or a file of ``torch.save``; its tensors stay on disk until they are used.

    Raises CheckpointError where it is not there, damaged, holds other objects than tensors and plain containers, or no
    weights.
    """
    content = _content(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: must hold names and tensors, but holds a {type(content).__name__}")
    entries = {str(name): value for name, value in cast(Mapping[object, object], content).items()}
    key = next((name for name in WEIGHT_KEYS if isinstance(entries.get(name), Mapping)), None)
    state = entries if key is None else cast(Mapping[str, object], entries[key])
    weights = _weights(path, state)
    others = {} if key is None else {name: _in_short(value) for name, value in entries.items() if name != key}
    return Checkpoint(
        path=path,
        key=key,
        weights=weights,
        parallel=sum(_PARALLEL in str(name).split(".") for name in state),
        others=others,
        settings={} if key is None else _settings(path, entries.get("cfg")),
    )


def _content(path: Path) -> object:
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, error)) from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    except Exception as error:  # a damaged pickle raises whatever its bytes lead to
        raise CheckpointError(f"{path}: is damaged, or no file of torch.save: {error}") from error


def _refusal(path: Path, error: Exception) -> str:
    needed = _other_objects(path, error)
    if not needed:
        return f"{path}: is damaged, or no file of torch.save: {error}"
    key = " or ".join(map(repr, WEIGHT_KEYS))
    return (
        f"{path}: must hold tensors and plain containers only, but also holds objects of {', '.join(needed)}; reading "
        "those could run any code, so it is not done here. Where you trust the file, write its weights alone once, in "
        "an environment that has these classes: f = torch.load(FILE, map_location='cpu', weights_only=False); "
        f"torch.save(f[KEY], 'weights.pt'), where KEY is {key}"
    )


def _other_objects(path: Path, error: Exception) -> list[str]:
    """Names of the classes that the file needs; read from its instructions, without carrying them out."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # it reads today's format only
        return re.findall(r"GLOBAL ([\w.]+)", str(error))[:1]


def _weights(path: Path, state: Mapping[str, object]) -> dict[str, Tensor]:
    named = [(str(name), value) for name, value in state.items()]
    odd = [f"{name} ({type(value).__name__})" for name, value in named if not isinstance(value, Tensor)]
    if odd or not named:
        raise CheckpointError(
            f"{path}: must hold a state dict (names to tensors), alone or under one of {', '.join(WEIGHT_KEYS)}, "
            f"but {'holds nothing' if not named else f'no tensors are {_few(odd)}'}"
        )
    weights: dict[str, Tensor] = {}
    doubled: list[str] = []
    for name, value in named:
        plain = ".".join(part for part in name.split(".") if part != _PARALLEL)
        doubled += [plain] if plain in weights else []
        weights[plain] = cast(Tensor, value)
    if doubled:
        raise CheckpointError(f"{path}: holds these twice, with and without {_PARALLEL!r} in the name: {_few(doubled)}")
    return weights


def _settings(path: Path, text: object) -> Mapping[str, object]:
    if not isinstance(text, str):
        return cast(Mapping[str, object], text) if isinstance(text, Mapping) else {}
    try:
        content = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{path}: 'cfg' must be JSON text, as HyRSM's code base writes it: {error}") from error
    return cast(Mapping[str, object], content) if isinstance(content, dict) else {}


def _in_short(value: object) -> str:
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)}"
    if isinstance(value, Mapping):
        entries = cast(Mapping[object, object], value)
        return "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
    text = str(value)
    return text if len(text) <= 40 else f"{type(value).__name__} of {len(text):,} characters"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""A training's state on disk: tensors in safetensors, the rest in a small JSON file; written aside and renamed."""

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fsar_core.aside import to_disk

_PREFIX = "step-"


def save_checkpoint(
    root: Path,
    step: int,
    *,
    method: nn.Module,
    optimizer: torch.optim.Optimizer,
    best: Mapping[str, Tensor],
    state: dict[str, Any],
) -> None:
    """Writes ``root/step-NNNNNNNN``, then removes older ones: at every moment one complete checkpoint exists.

    ``state`` must hold ``best_step``; equal best weights of the checkpoint before are linked, not written again.
    """
    root.mkdir(parents=True, exist_ok=True)
    before = latest_checkpoint(root)
    aside = root / f".{uuid.uuid4().hex}"
    aside.mkdir()
    try:
        save_file(_plain(method.state_dict()), aside / "weights.safetensors")
        save_file(_plain(_flat(optimizer)), aside / "optimizer.safetensors")
        if before is not None and read_state(before)["best_step"] == state["best_step"]:
            link(before / "best.safetensors", aside / "best.safetensors")
        else:
            save_file(_plain(best), aside / "best.safetensors")
        (aside / "state.json").write_text(json.dumps(state))
        target = root / f"{_PREFIX}{step:08d}"
        for written in (*aside.iterdir(), aside):
            to_disk(written)
        if target.exists():
            target.rename(root / f".{uuid.uuid4().hex}")
        aside.rename(target)
        to_disk(root)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    for old in root.iterdir():
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def latest_checkpoint(root: Path) -> Path | None:
    """The newest complete checkpoint below ``root``, or None."""
    return max(root.glob(f"{_PREFIX}*"), default=None)


def checkpoint_step(checkpoint: Path) -> int:
    """From its name: it may be replaced by a newer one at any moment."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The JSON part."""
    return json.loads((checkpoint / "state.json").read_text())


def load_into(checkpoint: Path, method: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Weights and optimiser state, bitwise as they were saved."""
    method.load_state_dict(load_file(checkpoint / "weights.safetensors"))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in load_file(checkpoint / "optimizer.safetensors").items():
        parameter, key = name.split(".", 1)
        state.setdefault(int(parameter), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def selected_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The weights that the run's selection chose."""
    return load_file(checkpoint / "best.safetensors")


def adopt(module: nn.Module, target: str, weights: Mapping[str, Tensor], source: str) -> None:
    """Loads what stands below ``source`` into the part at ``target``. Raises ValueError unless names and shapes fit."""
    prefix = source + "."
    own = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    parts = sorted({name.rsplit(".", 2)[0] for name in weights})
    if not own:
        raise ValueError(f"no weights below {source!r} in the run that is needed; it has parts {parts}")
    try:
        part = module.get_submodule(target)
    except AttributeError as error:
        raise ValueError(f"need {source!r} -> {target!r}: {error}; there is no such part in the method") from error
    try:
        part.load_state_dict(own)
    except RuntimeError as error:
        raise ValueError(f"need {source!r} -> {target!r} does not fit: {error}") from error


def drop_parts(weights: Mapping[str, Tensor], *, keep: nn.Module) -> dict[str, Tensor]:
    """The weights that ``keep`` has places for. Whole parts that it lacks are left out: losses, heads that only train,
    and whatever a test removes.

    Raises ValueError if some are missing, or if a part that it has leaves some over.
    """
    wanted = set(keep.state_dict())
    parts = {part_of(name) for name in wanted}
    odd = sorted(name for name in set(weights) - wanted if part_of(name) in parts)
    missing = sorted(wanted - set(weights))
    if odd or missing:
        raise ValueError(f"weights do not fit the method that is evaluated: missing {missing}, left over {odd}")
    return {name: tensor for name, tensor in weights.items() if name in wanted}


def part_of(name: str) -> str:
    """``steps.pooled``, ``heads.0``, ``losses.1``; ``backbone`` and ``frame_sampler`` are parts by themselves."""
    first, *others = name.split(".")
    return ".".join((first, *others[:1])) if first in ("steps", "heads", "losses") else first


def link(existing: Path, new: Path) -> None:
    """The same file under a second name; a copy where the file system has no hard links."""
    try:
        os.link(existing, new)
    except OSError:
        shutil.copyfile(existing, new)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _flat(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{i}.{key}": value for i, own in state.items() for key, value in own.items() if value is not None}

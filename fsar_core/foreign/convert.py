"""A file of another code base as a method of ours with its weights, and all that did not fit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fsar_core.checkpoint import drop_parts, part_of
from fsar_core.foreign.code_base import Found
from fsar_core.foreign.files import Checkpoint, CheckpointError
from fsar_core.method import Method, MethodConfig
from fsar_core.seeds import derived_seed

_FRAMES, _CROP, _CLASSES = 8, 224, 2
"""Where neither the file nor any weight depends on them."""
_COUNTER = "num_batches_tracked"
_SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Converted:
    """Our names are those of ``method.build(...).state_dict()``."""

    method: MethodConfig
    classes: int
    """That it is built with."""
    weights: Mapping[str, Tensor]
    """By our names; only what has a place in the method."""
    mapped: Mapping[str, tuple[str, ...]]
    """By our names, the names in the file."""
    ignored: Mapping[str, str]
    """By names in the file: known and not needed, and why."""
    missing: tuple[str, ...]
    """Our names that the file has nothing for."""
    left_over: tuple[str, ...]
    """Names in the file that have no place in the method."""
    drawn: tuple[str, ...] = ()
    """Our names of weights that the code base never saves, random in every test of it: here from a fixed seed."""
    faults: tuple[str, ...] = field(default=())
    """Shapes that differ, numbers that are not finite, tables that are others."""

    def problems(self) -> tuple[str, ...]:
        """Why nothing may be measured with it; empty where all fits."""
        lists = {"the file has nothing for": self.missing, "the method has no place for": self.left_over}
        return (*self.faults, *(f"{what} {_few(names)}" for what, names in lists.items() if names))

    def build(self, *, frames: int, crop: int) -> Method:
        """The method as tests need it, with these weights. Raises CheckpointError where not all fits."""
        if self.problems():
            raise CheckpointError(*self.problems())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(0, "initial weights"))
            made = self.method.for_test().build(frames=frames, crop=crop, classes=self.classes)
        own = made.state_dict()
        filled = {name: own[name] for name in own if name in self.drawn or name.endswith(_COUNTER)}
        made.load_state_dict(drop_parts(filled | dict(self.weights), keep=made))
        return made.eval()


def convert(checkpoint: Checkpoint, found: Found, method: MethodConfig | None = None) -> Converted:
    """``method``: another one than the file decides, such as a variant; what does not fit it is listed, not raised."""
    config = method or found.decided.method
    classes = found.decided.classes or _CLASSES
    with torch.device("meta"):  # names and shapes are all that is asked for
        built = config.build(frames=found.decided.frames or _FRAMES, crop=_CROP, classes=classes)
    wanted, placed = built.state_dict(), found.placed
    parts = {part_of(name) for name in wanted}
    absent = {ours for ours in placed.tensors if part_of(ours) not in parts}
    odd = placed.tensors.keys() - wanted.keys() - absent
    fixed = {name for name, parameter in built.named_parameters() if not parameter.requires_grad}
    lacking = sorted(name for name in wanted.keys() - placed.tensors.keys() if not name.endswith(_COUNTER))
    drawn = [name for name in lacking if name in fixed and re.fullmatch(found.code.never_saved, name)]
    weights = {ours: tensor for ours, tensor in placed.tensors.items() if ours in wanted}
    return Converted(
        method=config,
        classes=classes,
        weights=weights,
        mapped={ours: placed.origins[ours] for ours in weights},
        ignored=placed.unused | {own: _no_part(ours) for ours in sorted(absent) for own in placed.origins[ours]},
        missing=tuple(name for name in lacking if name not in drawn),
        left_over=(*placed.unknown, *(own for ours in sorted(odd) for own in placed.origins[ours])),
        drawn=tuple(drawn),
        faults=(*placed.faults, *_misfits(weights, wanted), *_not_finite(weights)),
    )


def _no_part(ours: str) -> str:
    return f"the method has no {part_of(ours)}"


def _misfits(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    shapes = [
        f"{name} is {tuple(tensor.shape)} in the file, but {tuple(wanted[name].shape)} in the method"
        for name, tensor in weights.items()
        if tensor.shape != wanted[name].shape
    ]
    return [f"of other shapes: {_few(shapes)}"] if shapes else []


def _not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    names = [name for name, t in weights.items() if not t.is_meta and not bool(torch.isfinite(t).all())]
    return [f"not all numbers are finite (the training has diverged) in {_few(names)}"] if names else []


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

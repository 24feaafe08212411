"""Rules from the names of another code base to ours, and what they make of a state dict."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

_TABLE_TOLERANCE = 1e-3
"""Tables are written in float32 or less; a wrong one is off by a tenth of its range and more."""


@dataclass(frozen=True)
class To:
    """A tensor with a place here."""

    theirs: str
    """A pattern of whole names."""
    ours: str
    r"""Our name; ``\1`` is the first group of ``theirs``."""
    block: tuple[int, int] | None = None
    """(i, n): it is the i-th of n blocks of rows, which are one tensor here."""
    squeezed: bool = False
    """A convolution of width 1 there is a linear layer here: the last axis, of length 1, is left out."""


@dataclass(frozen=True)
class Unused:
    """A tensor without a place here."""

    theirs: str
    """A pattern of whole names."""
    why: str
    table: Callable[[Tensor], Tensor] | None = None
    """What it must hold, by its shape, where it is computed here."""


Rule = To | Unused


@dataclass(kw_only=True)
class Placed:
    """A state dict as rules sort it."""

    tensors: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """By our names."""
    origins: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """By our names, theirs."""
    unused: dict[str, str] = field(default_factory=dict[str, str])
    """By their names, why."""
    unknown: list[str] = field(default_factory=list[str])
    """Their names that no rule knows."""
    faults: list[str] = field(default_factory=list[str])


def place(rules: Sequence[Rule], weights: Mapping[str, Tensor]) -> Placed:
    """Every tensor goes by the first rule whose pattern is its whole name."""
    placed = Placed()
    blocks: dict[str, dict[int, str]] = {}
    for name, tensor in weights.items():
        rule, match = _first(rules, name)
        if rule is None or match is None:
            placed.unknown.append(name)
        elif isinstance(rule, Unused):
            placed.unused[name] = rule.why
            placed.faults += _wrong_table(rule, name, tensor)
        elif rule.block is not None:
            blocks.setdefault(f"{match.expand(rule.ours)}/{rule.block[1]}", {})[rule.block[0]] = name
        else:
            ours = match.expand(rule.ours)
            if ours in placed.origins:
                placed.faults.append(f"{name} and {placed.origins[ours][0]} have one place, {ours}")
            placed.tensors[ours] = tensor.squeeze(-1) if rule.squeezed else tensor
            placed.origins[ours] = (name,)
    _join(placed, blocks, weights)
    return placed


def _first(rules: Sequence[Rule], name: str) -> tuple[Rule | None, re.Match[str] | None]:
    for rule in rules:
        match = re.fullmatch(rule.theirs, name)
        if match is not None:
            return rule, match
    return None, None


def _join(placed: Placed, blocks: Mapping[str, Mapping[int, str]], weights: Mapping[str, Tensor]) -> None:
    for key, names in blocks.items():
        ours, _, count = key.rpartition("/")
        ordered = tuple(names[i] for i in sorted(names))
        tensors = [weights[name] for name in ordered]
        if len(ordered) < int(count):
            placed.faults.append(f"{ours} is made of {count} tensors there, but the file has only {', '.join(ordered)}")
        elif len({tensor.shape[1:] for tensor in tensors}) > 1:
            shapes = ", ".join(f"{n} {tuple(t.shape)}" for n, t in zip(ordered, tensors, strict=True))
            placed.faults.append(f"{ours} is made of tensors that must be equally wide: {shapes}")
        else:
            placed.tensors[ours] = torch.cat(tensors)
            placed.origins[ours] = ordered


def _wrong_table(rule: Unused, name: str, tensor: Tensor) -> list[str]:
    if rule.table is None or tensor.is_meta:
        return []
    expected = rule.table(tensor)
    gap = (tensor.double() - expected).abs().max().item() if expected.shape == tensor.shape else float("inf")
    if gap <= _TABLE_TOLERANCE:
        return []
    return [f"{name} must be the released code's table, which is computed here, but differs from it by {gap:.2g}"]

"""What is said of a code base whose files are read here, and what one of its files decides."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fsar_core.foreign.files import Checkpoint
from fsar_core.foreign.rules import Placed, Rule
from fsar_core.method import MethodConfig


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What the tensors of a file, and the settings beside them, say about its method."""

    method: MethodConfig
    classes: int | None = None
    """Base classes of the classifier in it; None where it has none."""
    frames: int | None = None
    """Per clip, T; None where nothing in the file depends on it."""
    settled: bool = True
    """False: the data set decides something of the method that the file does not say."""
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    """For a person."""
    notes: tuple[str, ...] = ()
    """What one must know of a number measured with it."""


@dataclass(frozen=True, kw_only=True)
class CodeBase:
    """Files of one method by one code base."""

    title: str
    source: str
    """Repository and file from which the names are."""
    method: str
    """The name here of the method and of its default variant, METHOD or METHOD/VARIANT."""
    preset: str
    """That carries its sampling, sizes and normalisation."""
    printed_as: str | None
    """The name under which papers print its accuracy; None: what is built here is not that method."""
    marks: tuple[str, ...]
    """Patterns of whole names; a file in which each is found is one of these."""
    rules: tuple[Rule, ...]
    never_saved: str
    """Pattern of our names of what its files lack although its tests use it, drawn at random at each start."""
    decide: Callable[[Checkpoint, Placed], Decided]
    unverified: tuple[str, ...]
    """What could not be held against the original code."""

    def wrote(self, checkpoint: Checkpoint) -> bool:
        """Whether the names are this code base's."""
        return all(any(re.fullmatch(mark, name) for name in checkpoint.weights) for mark in self.marks)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file that was recognised."""

    code: CodeBase
    placed: Placed
    decided: Decided


def setting(settings: Mapping[str, object], *keys: str) -> object:
    """A value inside nested settings; None where there is none."""
    value: object = settings
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value

"""What a module of this folder says about its method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.method import MethodConfig
from fsar_core.presets import Recipe


@dataclass(frozen=True, kw_only=True)
class PublishedMethod:
    """A method of a paper with the variants that its own tables show."""

    title: str
    source: str
    """Authors, venue, address."""
    variants: Mapping[str, Callable[[BackboneConfig], MethodConfig]]
    """By name; the first is the paper's method, each other one says in its docstring what it changes."""
    run: Callable[[Recipe, MethodConfig], RunConfig]
    """The few-shot training of any of them under a recipe, with all that it needs first."""

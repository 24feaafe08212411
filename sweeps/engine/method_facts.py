"""What can be said of a method without training it: its parts in short, and every field of every part."""

import inspect
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from fsar_core.backbones import BackboneConfig
from fsar_core.config import RunConfig
from fsar_core.cost import BASE_CLASSES
from fsar_core.episode import Shape
from fsar_core.frozen import Frozen
from fsar_core.method import MethodConfig
from fsar_core.methods import all_methods
from fsar_core.presets import clean


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a part, or of what it contains: then with dots in its name."""

    name: str
    value: str
    default: str
    """``required`` where there is none."""
    choices: str
    """Its values, where these are words; else empty."""
    doc: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a method in its place."""

    place: str
    kind: str
    source: str
    """First line of the documentation of the file that it stands in."""
    fields: tuple[Field, ...]


def variant_run(method: str, variant: str, backbone: BackboneConfig) -> RunConfig:
    """How the ``clean`` preset trains a variant, on Something-Something and on this backbone."""
    recipe = clean("ssv2_full").model_copy(update={"backbone": backbone})
    published = all_methods()[method]
    return published.run(recipe, published.variants[variant](backbone))


def variant_note(method: str, variant: str) -> str:
    """First line of what its function says of it."""
    return _first_line(inspect.getdoc(all_methods()[method].variants[variant]))


def in_short(method: MethodConfig) -> str:
    """Kinds of the parts that predict, from frames to logits, the backbone left out where nothing stands before it."""
    sampler = method.frame_sampler.kind
    kinds = [] if sampler == "keep_all" else [sampler, method.backbone.kind]
    kinds += _counted(step.stage.kind for step in method.steps)
    heads = [_weighted(head.matcher.kind, head.logit_weight) for head in method.heads if head.logit_weight]
    return " › ".join([*kinds, " + ".join(_counted(heads))])


def only_training(method: MethodConfig) -> str:
    """Kinds and weights of the losses and of the heads that only train."""
    heads = [_weighted(head.matcher.kind, head.loss_weight) for head in method.heads if not head.logit_weight]
    return " + ".join(_counted([*heads, *(_weighted(loss.kind, loss.weight) for loss in method.losses)]))


def parts(run: RunConfig) -> list[Part]:
    """Every part of a run's method in its order, steps with what they read and give."""
    method = run.method
    shapes = method.wiring(run.data.frames, run.data.crop, classes=BASE_CLASSES).shapes
    found = [
        _part("frame sampler", method.frame_sampler),
        _part(f"backbone → {_shape(shapes['backbone'])}", method.backbone),
    ]
    before = "backbone"
    for step in method.steps:
        place = f"step {step.name}: {', '.join(step.sources(before))} → {_shape(shapes[step.name])}"
        found.append(_part(place, step.stage))
        before = step.name
    for head in method.heads:
        own = [field for field in _fields(head, None) if not field.name.startswith("matcher")]
        found.append(_part(f"head on {head.reads}", head.matcher, own))
    found += [_part(f"loss on {loss.reads}", loss) for loss in method.losses]
    return found


def _part(place: str, config: Frozen, before: list[Field] | None = None) -> Part:
    source = _first_line(sys.modules[type(config).__module__].__doc__)
    fields = (*(before or []), *_fields(config, None))
    return Part(place=place, kind=_text(config), source=source, fields=fields)


def _fields(config: Frozen, standard: Frozen | None, prefix: str = "") -> Iterator[Field]:
    """``standard`` is what stands in the place of ``config`` by default, if it is of the same kind."""
    for name, info in type(config).model_fields.items():
        if name == "kind":
            continue
        value: Any = getattr(config, name)
        default: Any = info.get_default(call_default_factory=True) if standard is None else getattr(standard, name)
        doc = _plain(info.description)
        yield Field(
            name=prefix + name, value=_text(value), default=_text(default), choices=_choices(info.annotation), doc=doc
        )
        if isinstance(value, Frozen):
            same = default if isinstance(default, type(value)) else None
            yield from _fields(value, same, f"{prefix}{name}.")


def _text(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, Frozen):
        return str(getattr(value, "kind", "as follows"))
    if isinstance(value, tuple):
        return ", ".join("(" + _text(part) + ")" if isinstance(part, tuple) else _text(part) for part in value) or "()"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _choices(annotation: object) -> str:
    if get_origin(annotation) is not Literal:
        return ""
    return " | ".join(str(value) for value in get_args(annotation))


def _shape(shape: Shape) -> str:
    cells = f"×{shape.cells}×{shape.cells}" if shape.level == "map" else ""
    return f"{shape.level} {shape.frames}×{shape.dim}{cells}"


def _counted(kinds: Iterable[str]) -> Iterator[str]:
    """Neighbours of one kind as one."""
    for kind, same in groupby(kinds):
        count = len(list(same))
        yield kind if count == 1 else f"{kind} ×{count}"


def _weighted(kind: str, weight: float) -> str:
    return kind if weight == 1 else f"{weight:g} {kind}"


def _first_line(text: str | None) -> str:
    return _plain((text or "").strip().partition("\n")[0])


def _plain(text: str | None) -> str:
    """On one line, with single quotes around code."""
    return " ".join((text or "").split()).replace("``", "'")

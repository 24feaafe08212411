"""What a preset fixes, field by field, and where two presets differ."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fsar_core.config import Need, Selection, Training
from fsar_core.data.config import Flip, Jitter, Normalisation
from fsar_core.data.resize import Resize
from fsar_core.frozen import Frozen
from fsar_core.optimizer import Cosine, Steps
from fsar_core.presets import Preset, Recipe
from sweeps.engine.data_words import flip_text, jitter_text, normalisation_text, resize_text


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A field of a recipe with its path, and its value in words."""

    field: str
    value: str
    """Empty for what stands above its own fields."""
    meaning: str
    """Its documentation; empty where the name says all."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field that two presets fill differently; empty where one has no such field."""

    field: str
    left: str
    right: str


def facts(recipe: Recipe) -> tuple[Fact, ...]:
    """Every field that decides a few-shot training, in the order of a recipe; the data set's name is no preset's."""
    return tuple(fact for fact in _facts(recipe, "") if fact.field != "data.dataset")


def differences(left: Preset, right: Preset, dataset: str) -> tuple[Difference, ...]:
    """Fields whose values differ on a data set, in the order of the left preset."""
    one, other = ({fact.field: fact.value for fact in facts(preset(dataset))} for preset in (left, right))
    fields = [*one, *(field for field in other if field not in one)]
    return tuple(
        Difference(field=field, left=one.get(field, ""), right=other.get(field, ""))
        for field in fields
        if one.get(field) != other.get(field)
    )


def _facts(config: Frozen, prefix: str) -> Iterator[Fact]:
    for name, info in type(config).model_fields.items():
        if name == "kind" and prefix.endswith("batches."):
            continue  # of an episode's batches nothing else is possible
        value: object = getattr(config, name)
        words, meaning = _words(value), _plain(info.description)
        if words is not None or not isinstance(value, Frozen):
            yield Fact(field=prefix + name, value=words or str(value), meaning=meaning)
            continue
        if meaning:
            yield Fact(field=prefix + name, value="", meaning=meaning)
        yield from _facts(value, f"{prefix}{name}.")


def _words(value: object) -> str | None:
    """None for what is shown field by field."""
    if isinstance(value, tuple):
        return ", ".join(map(_item, value)) or "–"
    return _WORDS[type(value)](value) if type(value) in _WORDS else None


def _schedule(schedule: Steps | Cosine) -> str:
    warmup = f"warm-up of {schedule.warmup_steps} steps"
    if isinstance(schedule, Cosine):
        return f"{warmup}, then half a cosine" if schedule.warmup_steps else "half a cosine"
    parts = [f"{warmup} from x{schedule.warmup_start:.3g}"] if schedule.warmup_steps else []
    parts += [f"x{factor:g} after {step:,}" for step, factor in schedule.drops]
    return ", ".join(parts) or "constant"


def _selection(selection: Selection) -> str:
    if selection.keep == "last":
        return f"the last; looks at {selection.on} choose nothing"
    return f"best on {selection.on}, {selection.episodes:,} episodes a look"


def _item(value: object) -> str:
    if isinstance(value, Need):
        training = value.run.training
        return f"{value.target} from a training of {training.steps:,} steps on {value.run.batches.kind}"
    return f"{value[0]}: {value[1]}" if isinstance(value, tuple) else str(value)


_WORDS: Mapping[type, Callable[[Any], str]] = {
    Resize: resize_text,
    Flip: flip_text,
    Jitter: jitter_text,
    Normalisation: normalisation_text,
    Steps: _schedule,
    Cosine: _schedule,
    Training: lambda training: f"{training.steps:,} steps, a look every {training.val_every}",
    Selection: _selection,
    float: lambda number: f"{number:g}",
    type(None): lambda _: "–",
}
"""What is one value to a reader, in words."""


def _plain(text: str | None) -> str:
    return " ".join((text or "").split()).replace("``", "'")

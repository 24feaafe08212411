"""Measures a file of another code base on our fixed episodes, under a preset, after all that can be wrong was found."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from fsar_core.config import EvalConfig
from fsar_core.data.clip_index import BadDataset, ClipIndex
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.datasets import open_index, open_splits
from fsar_core.data.episodes import shortage
from fsar_core.embedding import embed_clips
from fsar_core.evaluate import Evaluation, evaluate
from fsar_core.foreign import Checkpoint, CheckpointError, Converted, Found, convert, read_checkpoint, recognise
from fsar_core.method import Method, MethodConfig
from fsar_core.methods import all_methods
from fsar_core.presets import PRESETS, Recipe, paper_dataset
from search_spaces.published import of_method
from search_spaces.table import Published, TableError
from search_spaces.variants import find_variants
from sweeps.engine.request import storage_faults
from sweeps.engine.selection_words import on_test
from sweeps.engine.site import BadRequest, load_site
from sweeps.engine.watch import Display

_ALONE = "frame_matching"
"""A method without weights but those of its backbone: any file has them."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The flags of a test."""

    path: Path
    method: str | None
    """METHOD or METHOD/VARIANT; None, or the code base's method alone: as the file decides."""
    preset: str | None
    """None: the code base's."""
    dataset: str
    site: str
    shots: tuple[int, ...]
    episodes: int
    faults: tuple[str, ...] = ()
    """What is wrong with the flags themselves."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A test that was found good."""

    checkpoint: Checkpoint
    sha256: str
    found: Found
    converted: Converted
    preset: str
    recipe: Recipe
    source: ClipSource
    method: Method
    device: torch.device

    @property
    def chosen_on_test(self) -> bool:
        """Whether its own code base keeps what was best on test."""
        return on_test(PRESETS[self.found.code.preset](self.source.config.dataset).selection)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One number."""

    config: EvalConfig
    result: Evaluation
    printed: Published | None


def prepare(asked: Asked, display: Display) -> Ready:
    """Reads the file and the data set. Raises BadRequest with all faults together, before any video is decoded."""
    faults = list(asked.faults)
    checkpoint = _tried(faults, lambda: read_checkpoint(asked.path))
    found = None if checkpoint is None else _tried(faults, lambda: recognise(checkpoint))
    preset = asked.preset or (found.code.preset if found else None)
    if preset is not None and preset not in PRESETS:
        faults.append(f"--preset must be one of {', '.join(sorted(PRESETS))}, got {preset!r}")
    recipe = PRESETS[preset](asked.dataset) if preset is not None and preset in PRESETS else None
    converted = None
    if checkpoint is not None and found is not None:
        converted = _tried(faults, lambda: _converted(asked.method, checkpoint, found, recipe))
        faults += [] if recipe is None else _frame_faults(found, recipe.data)
    site = _tried(faults, lambda: load_site(asked.site))
    place = None if site is None else _tried(faults, lambda: site.place(asked.dataset))
    faults += [] if site is None else storage_faults(site.cache)
    index = None if place is None or faults else _tried(faults, lambda: open_index(place, display.counting))
    faults += [] if index is None else _too_few(index, asked.shots)
    if faults or not (checkpoint and found and converted and recipe and preset and place and index):
        raise BadRequest(faults)
    with asked.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Ready(
        checkpoint=checkpoint,
        sha256=sha256,
        found=found,
        converted=converted,
        preset=preset,
        recipe=recipe,
        source=open_splits(place, recipe.data, index, display.counting)["test"],
        method=converted.build(frames=recipe.data.frames, crop=recipe.data.crop),
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )


def measure(ready: Ready, asked: Asked, display: Display) -> tuple[Measured, ...]:
    """Every number of shots on the same features. Raises CacheError where the videos cannot be decoded."""
    method = ready.method.to(ready.device)
    counted = display.counting("embedding test clips")
    known = embed_clips(method, ready.source, ready.device, names=method.read_by_heads(), progress=counted)
    configs = [EvalConfig(shot=shot, episodes=asked.episodes) for shot in asked.shots]
    return tuple(
        Measured(
            config=config,
            result=evaluate(method, ready.source, config, ready.device, known),
            printed=_printed(ready, config.shot),
        )
        for config in configs
    )


def _converted(asked: str | None, checkpoint: Checkpoint, found: Found, recipe: Recipe | None) -> Converted:
    own = found.code.method.partition("/")[0]
    method = None if asked in (None, own, found.code.method) else _variant(str(asked), found)
    if method is None and recipe is not None and not found.decided.settled:
        backbone = found.decided.method.backbone
        with_own = recipe.model_copy(update={"backbone": backbone})
        method = all_methods()[own].run(with_own, found.decided.method).method
    converted = convert(checkpoint, found, method)
    problems = [f"{checkpoint.path}: {problem}" for problem in converted.problems()]
    if problems and asked not in (None, own):
        said = ", ".join(f"{name} {value}" for name, value in found.decided.facts.items())
        problems.append(f"--method {asked} is not what the file says: {said}; leave it out to have that")
    if problems:
        raise CheckpointError(*problems)
    return converted


def _variant(asked: str, found: Found) -> MethodConfig:
    """Raises BadRequest for names that do not exist, and for methods that the weights are not of."""
    try:
        (variant, *_) = find_variants([asked])
    except TableError as error:
        raise BadRequest([f"--method: {fault}" for fault in error.faults]) from error
    own = found.code.method.partition("/")[0]
    if variant.method not in (own, _ALONE):
        raise BadRequest(
            [
                f"--method must be {own}, one of its variants, or {_ALONE}/... for its backbone alone, since the file "
                f"is of {found.code.title}; got {asked!r}"
            ]
        )
    return all_methods()[variant.method].variants[variant.name](found.decided.method.backbone)


def _frame_faults(found: Found, data: DataConfig) -> list[str]:
    frames = found.decided.frames
    if frames in (None, data.frames):
        return []
    return [f"the file is for {frames} frames a clip, but the preset reads {data.frames}; name another preset"]


def _too_few(index: ClipIndex, shots: tuple[int, ...]) -> list[str]:
    labels = index.labels("test")
    counts = [sum(clip.label == label for clip in index.of("test")) for label in labels]
    faults = (shortage(labels, counts, split="test", way=5, shot=shot, queries=1) for shot in shots)
    return list(dict.fromkeys(fault for own in faults for fault in own))


def _printed(ready: Ready, shot: int) -> Published | None:
    """None for parts of a method, and for data sets that are in no paper."""
    code, config = ready.found.code, ready.converted.method
    dataset = paper_dataset(ready.source.config.dataset)
    whole = config.for_test().heads[0].matcher.kind == ready.found.decided.method.heads[0].matcher.kind
    if code.printed_as is None or dataset is None or not whole:
        return None
    return of_method(code.printed_as, dataset, shot, config.backbone.label())


def _tried(faults: list[str], action: Callable[[], T]) -> T | None:
    try:
        return action()
    except (BadRequest, CheckpointError) as error:
        faults += error.faults
    except BadDataset as error:
        faults.append(str(error))
    except OSError as error:
        faults.append(f"{error.filename}: {error.strerror or error}; it must be readable")
    return None

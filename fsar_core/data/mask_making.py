"""Masks of all train clips of a data set by a producer, into files that a killed call leaves whole."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from fsar_core.aside import remove_abandoned
from fsar_core.data.clip_index import Clip, ClipIndex
from fsar_core.data.mask_files import (
    MANIFEST,
    MaskError,
    MaskManifest,
    MaskMeta,
    MaskRecord,
    digest,
    mask_path,
    parse_masks,
    read_manifest,
    write_manifest,
    write_masks,
)
from fsar_core.data.mask_producers import MaskProducer
from fsar_core.data.stores.reading import read_frames
from fsar_core.frozen import Frozen

_SHOWN = 5


class Making(Frozen):
    """What decides the pixels, beside the producer and the videos."""

    canvas: int = Field(default=256, ge=8, le=4096)
    """Pixels per side."""
    threshold: float | None = Field(default=0.4, gt=0, lt=1)
    """What reaches it is inside, kept as bits; None keeps soft masks, eight times as large."""
    prompt: str = "{label}"
    """``{label}`` becomes the class."""
    stride: int = Field(default=1, ge=1)
    """Every so many frames get a mask, from the first on."""


def prompt_of(label: str, template: str = "{label}") -> str:
    """A class name in words: underscores become spaces, a bracketed placeholder the word "something"."""
    return template.replace("{label}", re.sub(r"\[[^\]]*\]", "something", label).replace("_", " "))


def make_masks(
    index: ClipIndex,
    root: Path,
    producer: MaskProducer,
    making: Making,
    progress: Callable[[int, int, int], None],
) -> int:
    """Fills ``root`` for the train split and gives how many clips had their file already.

    A clip's file is whole or absent, and one of the same video and settings is kept: the same call goes on where a
    killed one was. The manifest comes last. ``progress`` is called with clips done, all clips, and frames segmented.
    Raises MaskError, touching nothing, where ``root`` holds masks of another kind.
    """
    clips = index.of("train")
    made = _made(root, clips, producer, making)
    for folder in {mask_path(root, clip.name).parent for clip in clips}:
        remove_abandoned(folder)
    frames = 0
    for done, clip in enumerate(clips, start=1):
        if clip.name not in made:
            frames += _make(root, clip, producer, making)
        progress(done, len(clips), frames)
    write_manifest(root, _manifest(index, root, producer, making))
    return len(made)


def _make(root: Path, clip: Clip, producer: MaskProducer, making: Making) -> int:
    """Frames segmented."""
    picked = list(_picked(clip, making))
    frames = read_frames(clip.location, picked)
    meta = _meta(clip, producer, making)
    masks = producer.segment(frames, meta.prompt, making.canvas)
    if masks.shape != (len(picked), making.canvas, making.canvas) or not np.isfinite(masks).all():
        raise MaskError(f"{clip.path}: {producer.name} gave no finite masks {making.canvas}x{making.canvas}")
    write_masks(mask_path(root, clip.name), masks, picked, meta)
    return len(picked)


def _picked(clip: Clip, making: Making) -> range:
    return range(0, clip.frames, making.stride)


def _meta(clip: Clip, producer: MaskProducer, making: Making) -> MaskMeta:
    return MaskMeta(
        producer=producer.name,
        model=producer.model,
        prompt=prompt_of(clip.label, making.prompt),
        threshold=making.threshold,
        canvas=(making.canvas, making.canvas),
        dtype="uint8" if making.threshold is None else "bits",
        video=clip.content,
    )


def _made(root: Path, clips: Sequence[Clip], producer: MaskProducer, making: Making) -> set[str]:
    """Clips whose file is there. One of another content of the video does not count, it is made again.

    Raises MaskError for files that someone else made, or with other settings: they are not written over.
    """
    made: set[str] = set()
    others: list[str] = []
    for clip in clips:
        path = mask_path(root, clip.name)
        if not path.is_file():
            continue
        try:
            found = parse_masks(path.read_bytes(), path)
        except MaskError:
            others.append(clip.name)
            continue
        wanted, frames = _meta(clip, producer, making), list(_picked(clip, making))
        if found.meta.model_copy(update={"video": wanted.video}) != wanted:
            others.append(clip.name)
        elif found.meta.video == wanted.video:
            (made.add if found.frame_index.tolist() == frames else others.append)(clip.name)
    if (root / MANIFEST).is_file() and read_manifest(root).producer != producer.name:
        others.append(MANIFEST)
    if others:
        more = ", ..." if len(others) > _SHOWN else ""
        raise MaskError(
            f"{root} holds {len(others)} files that are damaged, or made by another producer or with other settings "
            f"({', '.join(others[:_SHOWN])}{more}); give another --root, or remove them"
        )
    return made


def _manifest(index: ClipIndex, root: Path, producer: MaskProducer, making: Making) -> MaskManifest:
    return MaskManifest(
        dataset=index.dataset,
        producer=producer.name,
        canvas=(making.canvas, making.canvas),
        dtype="uint8" if making.threshold is None else "bits",
        files={clip.name: _record(root, clip, making) for clip in index.of("train")},
    )


def _record(root: Path, clip: Clip, making: Making) -> MaskRecord:
    content = mask_path(root, clip.name).read_bytes()
    return MaskRecord(
        bytes=len(content),
        blake2b=digest(content),
        split=clip.split,
        masks=len(_picked(clip, making)),
        video=clip.content,
    )

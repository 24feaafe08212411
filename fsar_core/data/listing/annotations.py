"""Official annotations: which class a video is of, and whether it is of the training or the validation set."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from fsar_core.data.listing.benchmarks import BENCHMARKS, Benchmark
from fsar_core.data.listing.faults import Faults
from fsar_core.data.listing.listed import BadLists

_SSV2_FILES = BENCHMARKS["ssv2_full"].annotations
_SUBSETS = {"train": "train", "training": "train", "val": "val", "validate": "val", "validation": "val"}


@dataclass
class Annotations:
    labels: dict[str, str] = field(default_factory=dict[str, str])
    """Official class name by ``Benchmark.key`` of the video."""
    subsets: dict[str, str] = field(default_factory=dict[str, str])
    """``train`` or ``val``, the official sets, by the same key; no entry where the annotation does not say."""


def read_annotations(benchmark: Benchmark, path: Path) -> Annotations:
    """The official annotations in a folder, or of a file. Raises BadLists with all faults."""
    faults, annotations = Faults(), Annotations()
    try:
        if not benchmark.annotations:
            faults.add(str(path), f"{benchmark.title} needs no annotations; leave them away")
        elif not path.exists():
            faults.add(str(path), "no such file or folder; name the folder of the official annotations")
        else:
            _READERS[benchmark.split.dataset](path, annotations, faults)
    except OSError as error:
        faults.add(str(path), f"cannot be read: {error.strerror or error}")
    if not faults and not annotations.labels:
        faults.add(str(path), f"no annotations of {benchmark.title} here; they are {benchmark.annotations}")
    if faults:
        raise BadLists(f"annotations of {benchmark.title}", faults.lines())
    return annotations


def _ssv2(path: Path, annotations: Annotations, faults: Faults) -> None:
    names = _ssv2_file(path, "labels", faults)
    numbers = _json(names, faults) if names else None
    known = set(cast(dict[str, Any], numbers)) if isinstance(numbers, dict) else None
    if names and known is None:
        faults.add(str(names), "the labels file is a JSON object from class name to number")
    for name in ("train", "validation"):
        file = _ssv2_file(path, name, faults)
        content = _json(file, faults) if file else None
        if file and not isinstance(content, list):
            faults.add(str(file), "the annotation is a JSON list of objects with 'id' and 'template'")
        elif file:
            _ssv2_clips(file, cast(list[Any], content), _SUBSETS[name], known, annotations, faults)
        elif not faults:
            faults.add(str(path), f"no official {name} annotation here; needed are {_SSV2_FILES}")


def _ssv2_file(path: Path, name: str, faults: Faults) -> Path | None:
    folders = [path, path / "labels"] if path.is_dir() else [path.parent]
    names = (f"{name}.json", f"something-something-v2-{name}.json")
    found = [folder / file for folder in folders for file in names if (folder / file).is_file()]
    if len(found) > 1:
        faults.add(str(path), f"{len(found)} files for {name}: {', '.join(map(str, found))}; leave one")
    return found[0] if found else None


def _ssv2_clips(
    file: Path, entries: list[Any], subset: str, known: set[str] | None, annotations: Annotations, faults: Faults
) -> None:
    for count, entry in enumerate(entries):
        place = f"{file.name}: entry {count}"
        fields = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
        clip, template = fields.get("id"), fields.get("template")
        if not isinstance(clip, str) or not isinstance(template, str):
            faults.add(place, "an entry has 'id' and 'template', both text")
            continue
        label = template.replace("[", "").replace("]", "")
        if known is not None and label not in known:
            faults.add(place, f"class {label!r} is not in the labels file")
        _note(annotations, faults, place, clip, label, subset)


def _kinetics(path: Path, annotations: Annotations, faults: Faults) -> None:
    for file in sorted(path.glob("*.csv")) if path.is_dir() else [path]:
        for count, row in _csv(file, faults):
            clip, label = row.get("youtube_id"), row.get("label")
            if not clip or not label:
                faults.add(f"{file.name}:{count}", "a line has the columns label and youtube_id")
                continue
            subset = _SUBSETS.get(row.get("split") or "", "")
            _note(annotations, faults, f"{file.name}:{count}", clip, label, subset)


def _activitynet(path: Path, annotations: Annotations, faults: Faults) -> None:
    for file in sorted(path.glob("activity_net*.json")) if path.is_dir() else [path]:
        content = _json(file, faults)
        database = content.get("database") if isinstance(content, dict) else None
        if not isinstance(database, dict):
            faults.add(str(file), "the annotation is a JSON object with a 'database'")
            continue
        for clip, entry in cast(dict[str, Any], database).items():
            label = _only_label(entry)
            if label:
                _note(annotations, faults, f"{file.name}: {clip}", clip, label, _SUBSETS.get(entry.get("subset"), ""))


def _only_label(entry: Any) -> str:
    """Empty for test videos, which have none, and for videos of several classes, which settle nothing."""
    segments = entry.get("annotations") if isinstance(entry, dict) else None
    labels = {part.get("label") for part in segments or () if isinstance(part, dict)}
    label = labels.pop() if len(labels) == 1 else ""
    return label if isinstance(label, str) else ""


def _note(annotations: Annotations, faults: Faults, place: str, clip: str, label: str, subset: str) -> None:
    before = annotations.labels.setdefault(clip, label)
    if before != label:
        faults.add(place, f"video {clip!r} is of {label!r} here and of {before!r} elsewhere; a video has one class")
    if subset:
        annotations.subsets[clip] = subset


def _json(file: Path, faults: Faults) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (ValueError, OSError, RecursionError) as error:
        faults.add(str(file), f"not a JSON file that can be read: {error}")
        return None


def _csv(file: Path, faults: Faults) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            yield from enumerate(csv.DictReader(opened), start=2)
    except (ValueError, OSError, csv.Error) as error:
        faults.add(str(file), f"not a csv file that can be read: {error}")


_READERS = {"ssv2": _ssv2, "kinetics400": _kinetics, "activitynet-v1.3": _activitynet}

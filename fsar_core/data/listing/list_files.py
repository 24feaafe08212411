"""Which files of a folder are the lists, by the names that code bases give them."""

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fsar_core.data.folder_scan import SPLITS, Split
from fsar_core.data.listing.listed import BadLists

NAMES = "train.list, trainlist03.txt, train.txt, train_few_shot.txt"
_ROLE = re.compile(r"(?<![a-z])(train|validation|valid|val|test)(?:list)?(?![a-z])", re.IGNORECASE)
_SUFFIXES = (".txt", ".list", ".csv")
_SPLIT: dict[str, Split] = {"train": "train", "validation": "val", "valid": "val", "val": "val", "test": "test"}
_NAMED = 6


@dataclass(frozen=True)
class ListFiles:
    files: dict[Split, Path]
    """A text list for each split that has one; empty where there is a class map."""
    class_map: Path | None = None
    """JSON object: video to class number."""


def find_lists(path: Path) -> ListFiles:
    """The lists in a folder, or those that are named like the one list that ``path`` is.

    Raises BadLists where there are none, or several.
    """
    if not path.exists():
        raise BadLists(str(path), [f"{path}: no such file or folder; name the folder of the lists, or one of them"])
    if path.is_file() and path.suffix.lower() == ".json":
        return ListFiles({}, path)
    folder = path.parent if path.is_file() else path
    families = _families(folder)
    if path.is_file():
        chosen = [files for files in families.values() if any(path in paths for paths in files.values())]
        if not chosen:
            raise BadLists(str(path), [f"{path}: not named like a list of train, val or test ({NAMES})"])
        return _only(folder, chosen)
    return _only(folder, list(families.values())) if families else ListFiles({}, _only_map(folder))


def _families(folder: Path) -> dict[str, dict[Split, list[Path]]]:
    """Files whose names differ in the split's name alone belong together."""
    families: dict[str, dict[Split, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(folder.iterdir()):
        roles = _ROLE.findall(file.stem)
        if file.is_file() and file.suffix.lower() in _SUFFIXES and len(roles) == 1 and not file.name.startswith("."):
            key = _ROLE.sub(lambda found: "*list" if "list" in found[0].lower() else "*", file.stem) + file.suffix
            families[key.lower()][_SPLIT[roles[0].lower()]].append(file)
    return families


def _only(folder: Path, families: list[dict[Split, list[Path]]]) -> ListFiles:
    candidates: dict[Split, list[Path]] = {
        split: [path for files in families for path in files.get(split, ())] for split in SPLITS
    }
    faults = [
        f"{folder}: {len(paths)} lists for {split}: {_some(paths)}; give the file of the one that is meant"
        for split, paths in candidates.items()
        if len(paths) > 1
    ]
    if faults:
        raise BadLists(str(folder), faults)
    return ListFiles({split: paths[0] for split, paths in candidates.items() if paths})


def _only_map(folder: Path) -> Path:
    maps = [file for file in sorted(folder.glob("*.json")) if is_class_map(_read(file))]
    if len(maps) == 1:
        return maps[0]
    if maps:
        raise BadLists(str(folder), [f"{folder}: {len(maps)} class maps: {_some(maps)}; give the one that is meant"])
    there = _some(sorted(folder.iterdir()))
    fault = f"{folder}: no lists; they are named like {NAMES}, or a class map in JSON; there is {there or 'nothing'}"
    raise BadLists(str(folder), [fault])


def is_class_map(content: Any) -> bool:
    return isinstance(content, dict) and all(type(number) is int for number in cast(dict[str, Any], content).values())


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (ValueError, OSError, RecursionError):
        return None


def _some(paths: list[Path]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(path.name for path in paths[:_NAMED]) + more

"""The videos below root/{train,val,test}/<class>/ and all that is wrong with that layout; no file is opened."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fsar_core.data.stores.location import Location
from fsar_core.data.stores.stamp import Stamp, stamp_of

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SUFFIXES = (".mp4", ".webm", ".avi", ".mkv", ".mov")


@dataclass(frozen=True)
class Found:
    name: str
    label: str
    split: Split
    location: Location
    stamp: Stamp


@dataclass
class Scan:
    videos: list[Found] = field(default_factory=list[Found])
    faults: list[str] = field(default_factory=list[str])


def scan_folder(root: Path) -> Scan:
    """Hidden entries and files that are no videos by their suffix are passed over."""
    scan = Scan()
    if not root.is_dir():
        scan.faults.append(f"{root}: no such folder; it must hold {', '.join(SPLITS)}")
        return scan
    inside = root.resolve()
    for split in SPLITS:
        folder = root / split
        if not folder.is_dir():
            scan.faults.append(f"{folder}: this split is missing; the folder must exist and hold one folder per class")
            continue
        classes = [entry for entry in _entries(folder) if entry.is_dir()]
        if not classes:
            scan.faults.append(f"{folder}: no class folders; videos lie in {split}/<class>/<video>")
        for entry in classes:
            if _stays(entry, inside, scan):
                _scan_class(entry, split, inside, scan)
    scan.faults.extend(_repeated(scan.videos))
    return scan


def _scan_class(folder: os.DirEntry[str], split: Split, inside: Path, scan: Scan) -> None:
    videos = 0
    for entry in _entries(Path(folder.path)):
        path = Path(entry.path)
        if entry.is_dir():
            scan.faults.append(f"{path}: a folder inside a class folder; videos lie directly in it")
        elif path.suffix.lower() in SUFFIXES:
            videos += 1
            if _stays(entry, inside, scan):
                name = f"{folder.name}/{path.stem}"
                location = Location(path)
                scan.videos.append(Found(name, folder.name, split, location, stamp_of(location)))
    if not videos:
        scan.faults.append(f"{folder.path}: no videos in this class ({', '.join(SUFFIXES)}); add some or remove it")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _stays(entry: os.DirEntry[str], inside: Path, scan: Scan) -> bool:
    if not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(inside):
        return True
    scan.faults.append(f"{entry.path}: a link that leaves {inside}; move or copy what it points to into the data set")
    return False


def _repeated(videos: list[Found]) -> Iterator[str]:
    splits: dict[str, set[str]] = defaultdict(set)
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for video in videos:
        splits[video.label].add(video.split)
        names[video.split, video.name].append(video.location.path.name)
    for label, where in sorted(splits.items()):
        if len(where) > 1:
            homes = " and ".join(split for split in SPLITS if split in where)
            yield f"class {label!r} is in {homes}; the splits' classes must be disjoint"
    for (split, name), files in sorted(names.items()):
        if len(files) > 1:
            yield f"{split}/{name}: one name for {' and '.join(files)}; rename or remove all but one"

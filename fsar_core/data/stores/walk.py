"""What a data root holds: video files, folders of frames, zips of such folders, in whatever folders they lie."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fsar_core.data.folder_scan import SPLITS, SUFFIXES, Split
from fsar_core.data.listing.stored import Stored
from fsar_core.data.stores import zip_file
from fsar_core.data.stores.frame_names import IMAGES, is_frame
from fsar_core.data.stores.location import Location

Kind = Literal["video", "frames", "zip"]
Tell = Callable[[int], None]
_TELL_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Entry(Stored[Location]):
    """A clip on disk. Nothing of it has been read."""

    split: Split | None
    """Where its class folder, or without one itself, lies in a folder ``train``, ``val`` or ``test``."""
    kind: Kind


@dataclass
class Walk:
    folder: Path
    """The root, or the folder of the zip that was given as root."""
    entries: list[Entry] = field(default_factory=list[Entry])
    faults: list[str] = field(default_factory=list[str])
    passed_over: Counter[str] = field(default_factory=Counter[str])
    """What is no clip, by suffix."""
    archives: list[Path] = field(default_factory=list[Path])
    """Files that look like archives one has to unpack first."""
    linked: bool = False
    """Whether a link was followed."""


@dataclass(frozen=True)
class _Folder:
    path: Path
    parents: tuple[str, ...]
    """Names from the root to it."""
    chain: tuple[Path, ...] = ()
    """Real folders of the links that led here."""


def ignore(_: int) -> None:
    """Hears how many clips have been found."""


def walk(root: Path, tell: Tell = ignore) -> Walk:
    """Each folder is read once; hidden entries are passed over, links that leave the root are faults.

    A folder with numbered images and without videos is a clip; ``root`` may be a zip.
    """
    if root.is_file() and root.suffix.lower() == ".zip":
        found = Walk(root.parent)
        _walk_zip(root, found)
    elif root.is_dir():
        found = Walk(root)
        _walk_folders(found, tell)
    else:
        return Walk(root, faults=[f"{root}: no such folder or zip"])
    if found.linked:
        found.entries = list(_each_once(found.entries))
    if not found.entries and not found.faults:
        found.faults.append(
            f"{root}: no clips in it; there must be videos ({', '.join(SUFFIXES)}), folders of numbered images"
            f" ({', '.join(IMAGES)}), or zips of such folders"
        )
    return found


def _walk_folders(found: Walk, tell: Tell) -> None:
    inside = found.folder.resolve()
    waiting = [_Folder(found.folder, ())]
    told = 0
    while waiting:
        here = waiting.pop()
        try:
            waiting.extend(reversed(_scan(here, inside, found)))
        except OSError as error:
            found.faults.append(f"{here.path}: cannot be listed ({error.strerror}); it must be readable")
        if len(found.entries) - told >= _TELL_EVERY:
            told = len(found.entries)
            tell(told)
    tell(len(found.entries))


def _scan(here: _Folder, inside: Path, found: Walk) -> list[_Folder]:
    """Enters the clips of one folder, gives the folders in it."""
    folders: list[_Folder] = []
    images: Counter[str] = Counter()
    videos = frames = 0
    for entry in _listed(here.path):
        suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - runs for millions of images
        if entry.is_dir():
            folders.extend(_below(entry, here, inside, found))
        elif suffix in IMAGES:
            images[suffix] += 1
            frames += is_frame(entry.name)
        elif suffix in SUFFIXES or suffix == ".zip":
            if _stays(entry, inside, found):
                videos += suffix != ".zip"
                _enter(Path(entry.path), here.parents, found)
        else:
            _pass_over(Path(entry.path), suffix, found)
    if frames and not videos and here.parents:
        *parents, name = here.parents
        found.entries.append(_entry(name, tuple(parents), Location(here.path), "frames", found))
    else:
        found.passed_over.update(images)
    return folders


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _enter(path: Path, parents: tuple[str, ...], found: Walk) -> None:
    if path.suffix.lower() == ".zip":
        _walk_zip(path, found)
    else:
        found.entries.append(_entry(path.stem, parents, Location(path), "video", found))


def _entry(name: str, parents: tuple[str, ...], location: Location, kind: Kind, found: Walk) -> Entry:
    if any("\udc80" <= letter <= "\udcff" for letter in f"{location.path}{location.inside}"):
        found.faults.append(f"{os.fsencode(location.shown())!r}: the name is no UTF-8 text; rename it")
    own = parents[-1] if parents else ""
    if own in SPLITS:
        return Entry(name, "", location, _split(own), kind)
    return Entry(name, own, location, _split(parents[-2]) if len(parents) > 1 else None, kind)


def _split(name: str) -> Split | None:
    return next((split for split in SPLITS if split == name), None)


def _below(entry: os.DirEntry[str], here: _Folder, inside: Path, found: Walk) -> Iterator[_Folder]:
    path, chain = Path(entry.path), here.chain
    if entry.is_symlink():
        if not _stays(entry, inside, found):
            return
        target = path.resolve()
        chain = (*chain, path.parent.resolve(), target)
        if any(place.is_relative_to(target) for place in chain[:-1]):
            found.faults.append(f"{path}: a link that leads round in a circle; remove it")
            return
    yield _Folder(path, (*here.parents, entry.name), chain)


def _stays(entry: os.DirEntry[str], inside: Path, found: Walk) -> bool:
    if not entry.is_symlink():
        return True
    found.linked = True
    if Path(entry.path).resolve().is_relative_to(inside):
        return True
    found.faults.append(
        f"{entry.path}: a link that leaves {inside}; give a root that holds what it points to, or move that here"
    )
    return False


def _walk_zip(path: Path, found: Walk) -> None:
    try:
        archive = zip_file.opened(path)
    except OSError as error:
        found.faults.append(f"{path}: cannot be opened ({error.strerror})")
        return
    clips = 0
    for folder, members in sorted(archive.folders.items()):
        parts = [part for part in folder.split("/") if part != "."]
        if not any(is_frame(name) for name in members) or any(_is_hidden(part) for part in parts):
            continue
        if not folder or "\\" in folder or any(part in ("", "..") for part in parts):
            found.faults.append(f"{path}: the frames of {folder!r} lie in no folder inside the zip; make it again")
            continue
        clips += 1
        found.entries.append(_entry(parts[-1], (path.stem, *parts[:-1]), Location(path, folder), "zip", found))
    if not clips:
        holds = {name.rpartition(".")[2].lower() for members in archive.folders.values() for name in members}
        _pass_over(path, ".zip", found, packed=bool(holds & {suffix[1:] for suffix in SUFFIXES}))


def _is_hidden(part: str) -> bool:
    return part == "__MACOSX" or (part.startswith(".") and part != "..")


def _pass_over(path: Path, suffix: str, found: Walk, *, packed: bool = False) -> None:
    found.passed_over[suffix or "no suffix"] += 1
    if packed or suffix in _PACKED or path.name.startswith(_PART):
        found.archives.append(path)


_PACKED = (".rar", ".tar", ".tgz", ".gz", ".7z")
_PART = "20bn-something-something-v2-"


def _each_once(entries: list[Entry]) -> Iterator[Entry]:
    """What links make reachable in two ways counts where it lies in a split's folder, else where it comes first."""
    best: dict[Location, Entry] = {}
    for entry in entries:
        real = Location(entry.location.path.resolve(), entry.location.inside)
        if real not in best or (best[real].split is None and entry.split is not None):
            best[real] = entry
    yield from best.values()

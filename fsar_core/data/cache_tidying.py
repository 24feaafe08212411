"""Frame caches that nothing can use any more."""

import re
from collections.abc import Iterator
from pathlib import Path

from fsar_core.data.cache_building import ABOUT, About
from fsar_core.data.cache_contents import Contents, layout_folder, readers
from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.folder_scan import SPLITS

_OLD_NAME = re.compile(r"[0-9a-f]{16}(\.lock)?")
_OLD_FILE = re.compile(r"manifest\.json|shard-\d{5}\.(arrow|json)|\..+")


def unused_caches(root: Path, index: ClipIndex) -> Iterator[tuple[Path, str]]:
    """What may be removed below ``root``, and why: caches of other versions of this program or of the decoders, and
    those of videos of this data set that have changed. Other sizes and codings are left alone, and so is whatever this
    program has not made: ``frames`` is a name that people use for their own folders."""
    current = layout_folder(root)
    for path in sorted(root.glob("*")):
        if _of_earlier_version(path):
            yield path, "of an earlier version of this program"
    for path in sorted(current.glob(f"*/*/{ABOUT}")):
        about = About.model_validate_json(path.read_bytes())
        if about.readers != readers():
            yield path.parent, f"decoded with {about.readers}, now it is {readers()}"
        elif _of_other_videos(about, path.parents[1].name, index):
            yield path.parent, f"{about.name} has other videos now"


def _of_earlier_version(path: Path) -> bool:
    """Those lay in ``root`` itself, under an id, with nothing else in them."""
    if not _OLD_NAME.fullmatch(path.name) or path.is_symlink():
        return False
    if path.suffix:
        return path.is_file() and path.stat().st_size == 0
    return path.is_dir() and all(entry.is_file() and _OLD_FILE.fullmatch(entry.name) for entry in path.iterdir())


def _of_other_videos(about: About, pixels_id: str, index: ClipIndex) -> bool:
    for split in SPLITS:
        if about.name == f"{index.dataset} {split}":
            now = Contents(name=about.name, clips=index.of(split), resize=about.resize, jpeg=about.jpeg)
            return now.pixels_id != pixels_id
    return False

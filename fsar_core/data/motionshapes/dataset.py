"""The data set on disk: made once, found ever after.

In it: ``<split>/<class>/<number>.mp4``, ``masks/<class>/<number>.npz``, ``masks/manifest.json``, ``manifest.json``.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock

from fsar_core.aside import written_aside
from fsar_core.data.motionshapes.classes import CLASSES, CLIPS_PER_CLASS, Split
from fsar_core.data.motionshapes.clips import SEED, render
from fsar_core.data.motionshapes.encoding import FPS, encode
from fsar_core.data.motionshapes.mask_files import CANVAS, PRODUCER, write_masks
from fsar_core.data.motionshapes.scene import HEIGHT, WIDTH
from fsar_core.data.processes import Lost, Progress, silent, spread

VERSION = "1"
"""Of the pixels and of the layout. A change of either takes a new version, and a new folder."""

_NAME = "motionshapes"
_MANIFEST = "manifest.json"
_CLIP_LIMIT_S = 120
"""A clip takes hundredths of a second; longer than this only on a disk that hangs."""


class ForeignFolderError(Exception):
    """The folder holds something else than this version of MotionShapes, whole."""


@dataclass(frozen=True, order=True)
class ClipId:
    """Which clip; a plain value that goes to a worker process."""

    split: Split
    label: str
    number: int

    @property
    def name(self) -> str:
        """Unique in the data set: class and file name without its ending."""
        return f"{self.label}/{self.number:03d}"

    @property
    def video(self) -> str:
        return f"{self.split}/{self.name}.mp4"

    @property
    def mask(self) -> str:
        return f"masks/{self.name}.npz"


@dataclass(frozen=True)
class FileRecord:
    """What the manifest keeps of a file."""

    bytes: int
    blake2b: str


def all_clips() -> tuple[ClipId, ...]:
    return tuple(
        ClipId(split, label, number)
        for split in CLASSES
        for label in CLASSES[split]
        for number in range(CLIPS_PER_CLASS[split])
    )


def is_complete(root: Path) -> bool:
    """Whether the folder holds this version, and every file with its recorded length."""
    return not any(_faults(root))


def make(root: Path, *, workers: int, progress: Progress = silent) -> None:
    """Makes the data set, with ``workers`` processes (1: in this one); a complete one is left as it is.

    It is built in a hidden folder beside ``root`` and renamed at the end, so ``root`` is whole or absent. Killed in the
    middle, the next call goes on where this one was; called twice at a time, one call builds and the others wait.

    Raises ForeignFolderError if ``root`` holds another version, a damaged copy or other files; it touches nothing then.
    """
    if workers < 1:
        raise ValueError(f"workers must be >= 1, got {workers}")
    root = root.resolve()
    if _found(root):
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.with_name(f".{root.name}.lock")):
        if _found(root):
            return
        staging = root.with_name(f".{root.name}.making-{VERSION}")
        _build(staging, all_clips(), workers, progress)
        staging.rename(root)


def _found(root: Path) -> bool:
    """Whether the data set is there; False if there is nothing, or an empty folder."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    for fault in _faults(root):
        raise ForeignFolderError(
            f"{root} must hold MotionShapes version {VERSION}, whole, or be absent or empty; but {fault}. "
            "Give another folder, or delete this one to have it made again"
        )
    return True


def _faults(root: Path) -> Iterator[str]:
    path = root / _MANIFEST
    if not path.is_file():
        yield f"it has no {_MANIFEST}"
        return
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        name, version, files = manifest["dataset"], manifest["version"], manifest["files"]
        sizes = {file: int(record["bytes"]) for file, record in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"its {_MANIFEST} cannot be understood ({type(error).__name__}: {error})"
        return
    if (name, version) != (_NAME, VERSION):
        yield f"it holds {name} version {version}"
        return
    for file, size in sizes.items():
        if not (root / file).is_file():
            yield f"{file} is missing"
        elif (root / file).stat().st_size != size:
            yield f"{file} has {(root / file).stat().st_size} bytes where {size} were written"


def _build(folder: Path, clips: tuple[ClipId, ...], workers: int, progress: Progress) -> None:
    """Writes all clips, the manifest of the masks, and last the manifest of the whole."""
    files: dict[str, FileRecord] = {}
    for done, records in enumerate(_written(folder, clips, workers), start=1):
        files |= records
        progress(done, len(clips))
    for path in folder.rglob("*"):
        # What a killed call left half written.
        if path.is_file() and path.relative_to(folder).as_posix() not in files:
            path.unlink()
    mask_manifest = {
        "dataset": _NAME,
        "version": VERSION,
        "producer": PRODUCER,
        "canvas": [CANVAS, CANVAS],
        "dtype": "bits",
        "files": {clip.name: {"split": clip.split, **asdict(files[clip.mask])} for clip in sorted(clips)},
    }
    manifest = {
        "dataset": _NAME,
        "version": VERSION,
        "seed": SEED,
        "width": WIDTH,
        "height": HEIGHT,
        "fps": FPS,
        "files": {file: asdict(files[file]) for file in sorted(files)},
    }
    _write_json(folder / "masks" / _MANIFEST, mask_manifest)
    _write_json(folder / _MANIFEST, manifest)


def _written(folder: Path, clips: tuple[ClipId, ...], workers: int) -> Iterator[dict[str, FileRecord]]:
    """The records of the files of each clip, in no fixed order."""
    if workers == 1:
        for clip in clips:
            yield write_clip(folder, clip)
        return
    for clip, records in spread(partial(write_clip, folder), clips, workers=workers, limit_s=_CLIP_LIMIT_S):
        if isinstance(records, Lost):
            raise RuntimeError(f"{folder / clip.video} must be written, but its worker process ended: {records.reason}")
        yield records


def write_clip(folder: Path, clip: ClipId) -> dict[str, FileRecord]:
    """Makes the clip's video and masks unless both are there, and gives their records by path."""
    video, mask = folder / clip.video, folder / clip.mask
    if not (video.is_file() and mask.is_file()):
        rendered = render(clip.split, clip.label, clip.number)
        video.parent.mkdir(parents=True, exist_ok=True)
        mask.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(video) as aside:
            encode(rendered.frames, aside)
        with written_aside(mask) as aside:
            write_masks(rendered.masks, clip.label, aside)
    return {clip.video: _record(video), clip.mask: _record(mask)}


def _write_json(path: Path, value: object) -> None:
    with written_aside(path) as aside:
        aside.write_text(json.dumps(value, indent=1), encoding="utf-8")


def _record(path: Path) -> FileRecord:
    content = path.read_bytes()
    return FileRecord(bytes=len(content), blake2b=blake2b(content, digest_size=16).hexdigest())

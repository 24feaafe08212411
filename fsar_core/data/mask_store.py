"""Stored instance masks, by clip and frame: the training targets of losses that read masks."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fsar_core.data.clip_index import Clip
from fsar_core.data.mask_files import MaskError, StoredMasks, digest, mask_path, parse_masks, read_manifest
from fsar_core.data.recent_masks import RecentMasks, Stamp
from fsar_core.frozen import content_id
from fsar_core.mask_settings import MaskSettings

__all__ = ["MaskError", "MaskStore"]

_MAKE = "make them with `fsar masks make`, or name their folder in the site file"
_SHOWN = 5
_HELD_BYTES = 2**28


class MaskStore:
    """A folder of mask files, as a run's settings read it. Opening it reads the manifest only.

    A file is held against the manifest's hash when it is first read, and again once it has changed.
    """

    def __init__(self, root: Path, settings: MaskSettings) -> None:
        """Raises MaskError where there is no manifest."""
        self.root, self.settings = root, settings
        try:
            self._manifest = read_manifest(root)
        except MaskError as error:
            raise MaskError(f"{error}; {_MAKE}") from error
        self._recent = RecentMasks(_HELD_BYTES)
        self._genuine: dict[str, Stamp] = {}

    def fingerprint(self, clip_names: Iterable[str]) -> str:
        """16 hexadecimal digits of the contents of these clips' files, also of which are missing."""
        files = self._manifest.files
        listed = sorted(name for name in clip_names if name in files)
        return content_id(*(text for name in listed for text in (name, files[name].blake2b)))

    def faults(self, clips: Sequence[Clip], dataset: str | None = None) -> list[str]:
        """Why these clips of a data set cannot be trained with; by the manifest and the files' sizes, no file is read.

        ``dataset`` None: of any.
        """
        found = self._of_all(dataset)
        files = self._manifest.files
        unlisted = [clip.name for clip in clips if clip.name not in files]
        if unlisted and (self.settings.missing == "error" or len(unlisted) == len(clips)):
            found.append(f"{self._lack(unlisted, clips)} have no masks; {_MAKE}")
        listed = [clip for clip in clips if clip.name in files]
        spoilt = [clip.name for clip in listed if self._size(clip.name) != files[clip.name].bytes]
        if spoilt:
            found.append(f"{self._lack(spoilt, clips)} have other mask files than the manifest says; {_MAKE}")
        older = [clip.name for clip in listed if files[clip.name].video not in ("", clip.content)]
        if older:
            found.append(f"{self._lack(older, clips)} have masks of another video than the present one; {_MAKE}")
        short = [clip.name for clip in listed if self._is_short(clip)]
        if short and self.settings.missing == "error":
            found.append(
                f"{self._lack(short, clips)} have masks of too few frames for masks.stride {self.settings.stride}; "
                f"{_MAKE}, or set masks.stride of the loss that reads them to the frames between two masks"
            )
        return found

    def _of_all(self, dataset: str | None) -> list[str]:
        """Faults of the folder as a whole."""
        found: list[str] = []
        if dataset not in (None, self._manifest.dataset):
            found.append(
                f"masks in {self.root} must be those of {dataset!r}, got those of {self._manifest.dataset!r}; {_MAKE}"
            )
        height, width = self._manifest.canvas
        want = self.settings.canvas
        if want is not None and (height, width) != (want, want):
            found.append(
                f"masks in {self.root} must be {want}x{want} pixels, got {height}x{width}; "
                "make them again elsewhere, or change masks.canvas"
            )
        return found

    def read(self, clip_name: str, frames: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Masks (T, h, w), 0 to 255, of frames of a clip; and (T,), false where one is missing, whose mask is zero.

        Raises MaskError for a file that is not that of the manifest, and where masks are missing but must not be.
        """
        if clip_name not in self._manifest.files:
            masks = np.zeros((len(frames), *self._manifest.canvas), np.uint8)
            return self._checked(clip_name, frames, masks, np.zeros(len(frames), bool))
        stored = self._stored(clip_name)
        rows, there = _nearest(stored.frame_index, frames, self.settings.stride)
        masks = np.zeros((len(frames), *stored.meta.canvas), np.uint8)
        masks[there] = stored.take(rows[there])
        return self._checked(clip_name, frames, masks, there)

    def _stored(self, clip_name: str) -> StoredMasks:
        path = mask_path(self.root, clip_name)
        try:
            facts = path.stat()
            stamp = facts.st_mtime_ns, facts.st_size
            held = self._recent.get(clip_name, stamp)
            if held is not None:
                return held
            content = path.read_bytes()
        except OSError as error:
            raise MaskError(f"{path}: {error.strerror or error}; {_MAKE}") from error
        if self._genuine.get(clip_name) != stamp and digest(content) != self._manifest.files[clip_name].blake2b:
            raise MaskError(f"{path}: not the file that the manifest names; {_MAKE}")
        stored = parse_masks(content, path)
        if stored.meta.canvas != self._manifest.canvas:
            raise MaskError(f"{path}: canvas must be {self._manifest.canvas}, got {stored.meta.canvas}; {_MAKE}")
        self._genuine[clip_name] = stamp
        self._recent.put(clip_name, stamp, stored)
        return stored

    def _checked(
        self, clip_name: str, frames: NDArray[np.int64], masks: NDArray[np.uint8], there: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        if self.settings.missing == "error" and not there.all():
            raise MaskError(
                f"{self.root}: {clip_name!r} must have masks of all frames that training draws, but it has none of "
                f"frames {sorted(set(frames[~there].tolist()))} (masks.stride {self.settings.stride}); {_MAKE}, "
                "or set masks.missing to 'skip'"
            )
        return masks, there

    def _lack(self, names: Sequence[str], clips: Sequence[Clip]) -> str:
        more = ", ..." if len(names) > _SHOWN else ""
        return f"masks in {self.root}: {len(names)} of {len(clips)} train clips ({', '.join(names[:_SHOWN])}{more})"

    def _size(self, clip_name: str) -> int:
        """-1 where there is no such file."""
        try:
            return mask_path(self.root, clip_name).stat().st_size
        except (OSError, MaskError):
            return -1

    def _is_short(self, clip: Clip) -> bool:
        count = self._manifest.files[clip.name].masks
        return count is not None and count < -(-clip.frames // self.settings.stride)


def _nearest(
    stored: NDArray[np.int64], frames: NDArray[np.int64], stride: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which stored mask each frame takes, and whether it is less than ``stride`` frames away."""
    if len(stored) == 0:
        return np.zeros(len(frames), np.int64), np.zeros(len(frames), bool)
    after = np.searchsorted(stored, frames).clip(max=len(stored) - 1)
    before = (after - 1).clip(min=0)
    lower = np.abs(frames - stored[before]) <= np.abs(frames - stored[after])
    rows = np.where(lower, before, after)
    return rows, np.abs(frames - stored[rows]) < stride

"""From a data set's name to its clips: the one place that knows the built-in benchmark."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fsar_core.data import motionshapes
from fsar_core.data.clip_index import BadDataset, ClipIndex, index_folder
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.folder_scan import Split
from fsar_core.data.frame_cache import build_cache
from fsar_core.data.mask_store import MaskStore
from fsar_core.mask_settings import MaskSettings

MOTIONSHAPES = "motionshapes"

Watch = Callable[[str], Callable[[int, int], None]]
"""Names a piece of work, gives the callback that counts it."""


def unwatched(_: str) -> Callable[[int, int], None]:
    return lambda _done, _total: None


@dataclass(frozen=True, kw_only=True)
class DatasetPlace:
    """Where a data set lies on this machine."""

    name: str
    root: Path
    cache: Path
    """Folder for indices and decoded frames, local to the node."""
    exclude_unreadable: bool = False
    workers: int = 2
    masks: Path | None = None
    """Folder of the instance masks; None: ``masks`` in ``root``."""

    def mask_root(self) -> Path:
        """The folder that is in use."""
        return self.masks or self.root / "masks"


def open_index(place: DatasetPlace, watch: Watch = unwatched) -> ClipIndex:
    """The clips of a data set; MotionShapes is made first where it is missing. Raises BadDataset with all faults."""
    if place.name == MOTIONSHAPES and not motionshapes.is_complete(place.root):
        try:
            motionshapes.make(place.root, workers=place.workers, progress=watch("making MotionShapes"))
        except motionshapes.ForeignFolderError as error:
            raise BadDataset(place.name, (str(error),)) from error
    return index_folder(
        place.name,
        place.root,
        exclude_unreadable=place.exclude_unreadable,
        workers=place.workers,
        memory=place.cache / f"{place.name}.index.parquet",
        progress=watch(f"reading {place.name}"),
    )


def open_splits(
    place: DatasetPlace,
    config: DataConfig,
    index: ClipIndex,
    watch: Watch = unwatched,
    masks: MaskSettings | None = None,
) -> dict[Split, ClipSource]:
    """Each split's clips over one frame cache, built first where it is missing; the train clips with ``masks``, if any.

    Raises MaskError where there are no masks, and CacheError.
    """
    store = None if masks is None else MaskStore(place.mask_root(), masks)
    cache = build_cache(
        index, config.resize, place.cache / "frames", workers=place.workers, progress=watch(f"decoding {place.name}")
    )
    splits: tuple[Split, ...] = ("train", "val", "test")
    return {split: ClipSource(index, split, cache, config, store if split == "train" else None) for split in splits}

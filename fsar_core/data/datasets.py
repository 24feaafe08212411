"""From a data set's name to its clips: the one place that knows the built-in benchmark."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fsar_core.data import motionshapes
from fsar_core.data.cache_building import Carry, build_cache, missing_shards
from fsar_core.data.cache_contents import contents_of
from fsar_core.data.cache_room import demand_room
from fsar_core.data.clip_index import BadDataset, ClipIndex, index_folder, index_imported
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.folder_scan import SPLITS, Split
from fsar_core.data.frames_later import FramesLater
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
    manifest: Path | None = None
    """What `fsar data import` wrote; None: clips lie in ``root/{train,val,test}/<class>/``."""

    def mask_root(self) -> Path:
        """The folder that is in use."""
        return self.masks or self.root / "masks"

    def frames_root(self) -> Path:
        """Folder of the frame caches."""
        return self.cache / "frames"

    def memory(self) -> Path:
        """File of what is known of its videos."""
        return self.cache / f"{self.name}.index.parquet"


def open_index(place: DatasetPlace, watch: Watch = unwatched) -> ClipIndex:
    """The clips of a data set; MotionShapes is made first where it is missing. Raises BadDataset with all faults."""
    if place.name == MOTIONSHAPES and not motionshapes.is_complete(place.root):
        try:
            motionshapes.make(place.root, workers=place.workers, progress=watch("making MotionShapes"))
        except motionshapes.ForeignFolderError as error:
            raise BadDataset(place.name, (str(error),)) from error
    progress = watch(f"reading {place.name}")
    if place.manifest is not None:
        return index_imported(
            place.name, place.manifest, workers=place.workers, memory=place.memory(), progress=progress
        )
    return index_folder(
        place.name,
        place.root,
        exclude_unreadable=place.exclude_unreadable,
        workers=place.workers,
        memory=place.memory(),
        progress=progress,
    )


def open_splits(
    place: DatasetPlace,
    config: DataConfig,
    index: ClipIndex,
    watch: Watch = unwatched,
    masks: MaskSettings | None = None,
) -> dict[Split, ClipSource]:
    """Each split's clips over their frame cache; the train clips with ``masks``, if any. Raises MaskError where there
    are none.

    A cache that is missing is built when the first clip of the split is asked for, which may raise CacheError;
    ``decode_splits`` builds it before.
    """
    store = None if masks is None else MaskStore(place.mask_root(), masks)
    caches = {
        split: FramesLater(
            partial(
                build_cache,
                contents,
                place.frames_root(),
                workers=place.workers,
                progress=watch(f"decoding {contents.name}"),
            )
        )
        for split, contents in zip(SPLITS, contents_of(index, config, SPLITS), strict=True)
    }
    return {
        split: ClipSource(index, split, caches[split], config, store if split == "train" else None) for split in SPLITS
    }


def decode_splits(
    place: DatasetPlace,
    config: DataConfig,
    index: ClipIndex,
    watch: Watch = unwatched,
    splits: tuple[Split, ...] = SPLITS,
    carry: Carry | None = None,
) -> None:
    """Builds what is missing of the splits' frame caches; ``carry`` as ``build_cache`` has it.

    Raises CacheError; where the disk has no room for all splits, before any is decoded.
    """
    root = place.frames_root()
    wanted = contents_of(index, config, splits)
    demand_room(root, [(contents, missing_shards(contents, root)[0]) for contents in wanted])
    for contents in wanted:
        told = watch(f"decoding {contents.name}")
        build_cache(contents, root, workers=place.workers, progress=told, carry=carry)

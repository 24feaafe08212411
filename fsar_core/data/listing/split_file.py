"""The published few-shot splits: classes, their numbers in lists, and how many videos there should be."""

import json
import tomllib
from collections.abc import Mapping
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal

from fsar_core.data.folder_scan import SPLITS, Split
from fsar_core.data.listing.names import class_key
from fsar_core.frozen import Frozen

FixedBy = Literal["class names", "class names and official subset", "video list"]


class PerSplit(Frozen):
    train: int
    val: int
    test: int

    def of(self) -> dict[Split, int]:
        return {"train": self.train, "val": self.val, "test": self.test}


class Numbering(Frozen):
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def of(self, split: Split) -> tuple[str, ...]:
        return {"train": self.train, "val": self.val, "test": self.test}[split]


class Range(Frozen):
    min: int
    max: int


class SplitFile(Frozen):
    """One file of ``splits``."""

    dataset: str
    split: str
    """Who published it."""
    determined_by: FixedBy
    numeric_order: Literal["sorted", "listed"] | None = None
    """What number N of trainN, valN, testN means: entry N of the sorted names, or of ``numeric_index``."""
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    classes: PerSplit
    videos: PerSplit
    """Where all videos are there."""
    videos_per_class: Mapping[Split, Range]
    numeric_index: Numbering | None = None
    videos_shared_with_repaired_list: PerSplit | None = None
    videos_variant_train_plus_official_validation: PerSplit | None = None

    def labels(self, split: Split) -> tuple[str, ...]:
        """Official class names, sorted."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]

    def numbered(self, split: Split) -> tuple[str, ...]:
        """Class names in the order of their numbers in lists."""
        return self.labels(split) if self.numeric_index is None else self.numeric_index.of(split)

    @cached_property
    def by_name(self) -> dict[str, tuple[str, Split]]:
        """From a name as ``plain`` gives it to the official name and the split of the class."""
        return {class_key(label): (label, split) for split in SPLITS for label in self.labels(split)}

    def split_of(self, label: str) -> Split | None:
        """None: no class of this split."""
        return self.by_name.get(class_key(label), ("", None))[1]


@cache
def load_split(name: str) -> SplitFile:
    """``name``: of a file in ``splits``, without extension."""
    text = (files("fsar_core.data.listing") / "splits" / f"{name}.toml").read_text(encoding="utf-8")
    return SplitFile.model_validate_json(json.dumps(tomllib.loads(text)))

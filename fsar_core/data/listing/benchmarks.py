"""The data sets that papers report, by the names that ``--dataset`` takes."""

from dataclasses import dataclass
from typing import Literal

from fsar_core.data.folder_scan import Split
from fsar_core.data.listing.names import youtube_id
from fsar_core.data.listing.split_file import SplitFile, load_split

Needs = Literal["nothing", "annotations", "lists"]


@dataclass(frozen=True)
class Benchmark:
    name: str
    title: str
    """As papers print it."""
    file: str
    needs: Needs
    """Besides the videos. ``annotations``: the official ones, or lists; ``lists``: which videos of a class, nothing
    else says."""
    annotations: str = ""
    """Files of the official annotations, which check the classes of lists; empty: none are of use."""
    youtube: bool = False
    """Videos are named by YouTube ids."""
    unique: bool = False
    """A video's name says which it is, whatever folder it lies in."""
    train_has_validation: bool = False
    """The official validation clips of the train classes are in train."""

    @property
    def split(self) -> SplitFile:
        return load_split(self.file)

    def expected(self) -> dict[Split, int]:
        """Videos of each split where all are there."""
        variant = self.split.videos_variant_train_plus_official_validation
        return (variant if self.train_has_validation and variant else self.split.videos).of()

    def takes(self, split: Split, official: str) -> bool:
        """Whether the split has videos of its classes from the ``official`` set, ``train`` or ``val``. Asked of
        benchmarks that are fixed by those sets."""
        return official == ("train" if split == "train" else "val") or (split == "train" and self.train_has_validation)

    def key(self, video: str) -> str:
        """What names a video in annotations."""
        return (youtube_id(video) if self.youtube else "") or video


_SSV2 = "labels.json, train.json and validation.json (or something-something-v2-*.json)"
_ACTIVITYNET = "activity_net.v1-3.min.json"
_KINETICS = "the Kinetics-400 csv files (label,youtube_id,...)"

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        Benchmark("ssv2_full", "SSv2-Full", "ssv2_otam", "annotations", _SSV2, unique=True),
        Benchmark(
            "ssv2_full_77k",
            "SSv2-Full with 77,500 train videos (TA2N)",
            "ssv2_otam",
            "annotations",
            _SSV2,
            unique=True,
            train_has_validation=True,
        ),
        Benchmark("ssv2_small", "SSv2-Small", "ssv2_cmn", "lists", _SSV2, unique=True),
        Benchmark("kinetics100", "Kinetics-100", "kinetics_cmn", "lists", _KINETICS, youtube=True, unique=True),
        Benchmark("ucf101", "UCF101", "ucf101_arn", "nothing"),
        Benchmark("hmdb51", "HMDB51", "hmdb51_arn", "nothing"),
        Benchmark(
            "activitynet", "ActivityNet", "activitynet_sampler", "lists", _ACTIVITYNET, youtube=True, unique=True
        ),
    )
}

"""Listings that need no lists: the classes, or the classes and the official sets, say which video is whose."""

from collections.abc import Hashable, Iterable

from fsar_core.data.folder_scan import SPLITS
from fsar_core.data.listing.annotations import Annotations
from fsar_core.data.listing.benchmarks import Benchmark
from fsar_core.data.listing.checks import some
from fsar_core.data.listing.listed import BadLists, Listed, Listing
from fsar_core.data.listing.names import class_key, ucf_class
from fsar_core.data.listing.stored import Stored


def listing_from_classes(
    benchmark: Benchmark, stored: Iterable[Stored[Hashable]], annotations: Annotations | None = None
) -> Listing:
    """HMDB51 and UCF101: what is stored in the folders of their classes. SSv2-Full: what the annotations say.

    What is not stored is not in a listing of class folders: hold ``recognise`` against it. Raises BadLists where the
    benchmark is a choice of videos, annotations are needed, or no folder is a class.
    """
    if benchmark.needs == "nothing":
        return _from_folders(benchmark, stored)
    if benchmark.needs == "annotations" and annotations is not None:
        return _from_annotations(benchmark, annotations)
    cure = "give its lists (train.list, trainlist03.txt, train_few_shot.txt, ...)"
    if benchmark.needs == "annotations":
        cure = f"give the official annotations ({benchmark.annotations}) or lists"
    raise BadLists(benchmark.title, [f"{benchmark.name}: its classes do not say which videos belong to it; {cure}"])


def _from_folders(benchmark: Benchmark, stored: Iterable[Stored[Hashable]]) -> Listing:
    videos: dict[tuple[str, str], Listed] = {}
    strange: set[str] = set()
    passed = 0
    names = benchmark.split.by_name
    for one in stored:
        known = names.get(class_key(one.folder)) or names.get(class_key(ucf_class(one.name)))
        if known is None:
            strange.add(one.folder)
            passed += 1
        else:
            videos.setdefault((known[0], one.name), Listed(known[1], known[0], one.name))
    if not videos:
        wanted = some([label for split in SPLITS for label in benchmark.split.labels(split)], 3)
        seen = some(sorted(strange), 3) or "nothing"
        raise BadLists(
            benchmark.title, [f"no folder is named like a class of {benchmark.name} ({wanted}); there is {seen}"]
        )
    tolerated = {"videos in folders of no class": passed} if passed else {}
    return Listing(_ordered(videos.values()), benchmark.name, "class folders", (), tolerated)


def _from_annotations(benchmark: Benchmark, annotations: Annotations) -> Listing:
    videos: list[Listed] = []
    for clip, label in annotations.labels.items():
        known = benchmark.split.by_name.get(class_key(label))
        if known and benchmark.takes(known[1], annotations.subsets.get(clip, "")):
            videos.append(Listed(known[1], known[0], clip))
    listing = Listing(_ordered(videos), benchmark.name, "official annotations")
    absent = [
        label for split in SPLITS for label in benchmark.split.labels(split) if label not in listing.labels(split)
    ]
    if absent:
        raise BadLists(benchmark.title, [f"classes without a video in the annotations ({len(absent)}): {some(absent)}"])
    return listing


def _ordered(videos: Iterable[Listed]) -> tuple[Listed, ...]:
    return tuple(sorted(videos, key=lambda video: (SPLITS.index(video.split), video.label, video.video)))

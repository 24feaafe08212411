"""Lists, annotations and stores of invented videos: every class of a benchmark has two."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from fsar_core.data.folder_scan import SPLITS, Split
from fsar_core.data.listing import BENCHMARKS, Listed, Listing, Stored
from fsar_core.data.listing.listed import Format

Line = Callable[[Split, str, int, str], str]
"""(split, label, the class's number in lists, video) to a line."""


def videos(benchmark: str) -> list[tuple[Split, str, int, str]]:
    """(split, label, number, video), names as the data set has them."""
    split_file = BENCHMARKS[benchmark].split
    rows: list[tuple[Split, str, int, str]] = []
    for split in SPLITS:
        for number, label in enumerate(split_file.numbered(split)):
            for _ in range(2):
                rows.append((split, label, number, video_name(split_file.dataset, label, len(rows))))
    return rows


def video_name(dataset: str, label: str, count: int) -> str:
    youtube = f"-aB_{count:05d}xY"[:11]
    return {
        "ssv2": str(100_000 + count),
        "kinetics400": f"{youtube}_000012_000022",
        "activitynet-v1.3": f"v_{youtube}",
        "ucf101": f"v_{label}_g{count % 25:02d}_c{count:03d}",
        "hmdb51": f"[Some]_clip(1)!_{label}_u_nm_np1_fr_med_{count}",
    }[dataset]


NAMED: Line = lambda _split, label, _number, video: f"{label}/{video}"  # noqa: E731
NUMBERED: Line = lambda split, _label, number, video: f"{split}{number}/{video}"  # noqa: E731
COLUMNS: Line = lambda _split, _label, number, video: f"frames/{video} 45 {number}"  # noqa: E731
TWO_SLASHES: Line = lambda split, label, number, video: (  # noqa: E731
    f"{split}{number}//videos/{label.replace(' ', '_')}/{video}.mp4"
)


def write_lists(folder: Path, benchmark: str, line: Line, names: str = "{}list03.txt") -> Path:
    """One file for each split; ``names``: with the split's name for ``{}``."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        lines = [line(*row) for row in videos(benchmark) if row[0] == split]
        (folder / names.format(split)).write_text("".join(f"{one}\n" for one in lines), encoding="utf-8")
    return folder


def write_ssv2_annotations(folder: Path, rows: Iterable[tuple[str, str, str]], prefix: str = "") -> Path:
    """``rows``: (clip, label, ``train`` or ``validation``)."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = list(rows)
    for subset in ("train", "validation"):
        entries = [
            {"id": clip, "label": "green towel", "template": label.replace("something", "[something]")}
            for clip, label, where in kept
            if where == subset
        ]
        (folder / f"{prefix}{subset}.json").write_text(json.dumps(entries))
    labels = {label: str(i) for i, label in enumerate(sorted({label for _, label, _ in kept}))}
    (folder / f"{prefix}labels.json").write_text(json.dumps(labels))
    return folder


def as_found(listing: Listing) -> set[tuple[str, str, str]]:
    return {(video.split, video.label, video.video) for video in listing.videos}


def as_made(benchmark: str) -> set[tuple[str, str, str]]:
    return {(split, label, video) for split, label, _, video in videos(benchmark)}


def in_class_folders(benchmark: str) -> list[Stored[str]]:
    return [Stored(video, label, f"{label}/{video}") for _, label, _, video in videos(benchmark)]


def full(benchmark: str, form: Format = "class/video", less: dict[Split, int] | None = None) -> Listing:
    """As many videos as published, evenly over the classes, ``less`` fewer."""
    rows: list[Listed] = []
    for split, count in BENCHMARKS[benchmark].expected().items():
        labels = BENCHMARKS[benchmark].split.labels(split)
        kept = count - (less or {}).get(split, 0)
        rows.extend(Listed(split, labels[i % len(labels)], str(i)) for i in range(kept))
    return Listing(tuple(rows), benchmark, form)

"""An import, step by step: what is on disk, which of it the split names, what can be read, what is written."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fsar_core.data.clip_index import ClipIndex, look_at_all, sorted_out
from fsar_core.data.folder_scan import Found, Split
from fsar_core.data.importing.asked import Asked
from fsar_core.data.importing.pairing import Paired, few, pair, pairing_faults
from fsar_core.data.importing.report import (
    ClassReport,
    ImportReport,
    class_reports,
    clip_notes,
    reader_reports,
    split_reports,
    usable_of,
)
from fsar_core.data.listing import BENCHMARKS, BadLists, recognise
from fsar_core.data.manifest import Import, ImportFacts, Row
from fsar_core.data.probe_memory import Seen
from fsar_core.data.processes import Progress, silent
from fsar_core.data.stores.location import Location
from fsar_core.data.stores.stamp import stamp_of
from fsar_core.data.stores.walk import Tell, Walk, ignore, walk


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Who hears of progress."""

    walking: Tell = ignore
    reading: Callable[[], Progress] = lambda: silent


def import_dataset(
    asked: Asked, *, workers: int, memory: Path, watching: Watching = Watching()
) -> tuple[ImportReport, Import | None]:
    """What to write, or None where the report has faults. Nothing is written but ``memory`` of the clips opened.

    Clips are opened, which may take hours, only where nothing else is wrong.
    """
    found = walk(asked.root, watching.walking)
    try:
        paired = pair(asked, found.entries)
    except BadLists as error:
        told = _told(asked, found)
        return told.model_copy(update={"faults": (*found.faults, *_of_lists(error))}), None
    report = _before_opening(asked, found, paired)
    if report.faults:
        return report, None
    clips = _to_open(paired)
    looked = look_at_all(clips, workers, memory, watching.reading())
    return _after_opening(asked, found, paired, report, looked)


def _told(asked: Asked, found: Walk) -> ImportReport:
    return ImportReport(
        dataset=asked.dataset,
        root=str(asked.root),
        source="",
        form="",
        version="",
        passed_over=dict(sorted(found.passed_over.items())),
        notes=tuple(_archive_notes(found)),
    )


def _of_lists(error: BadLists) -> list[str]:
    return [f"{error.what}: {line}" for line in error.lines]


def _archive_notes(found: Walk) -> list[str]:
    parts = [path for path in found.archives if path.name.startswith("20bn-something-something-v2-")]
    others = [path for path in found.archives if path not in parts]
    notes: list[str] = []
    if parts:
        notes.append(
            f"{len(parts)} parts of Something-Something V2 are not unpacked: unzip those that are zips, then put all"
            " together in their order, `cat 20bn-something-something-v2-?? | tar xz`; single parts are no archives"
        )
    if others:
        notes.append(f"{len(others)} archives are not unpacked: {few([str(path) for path in others])}")
    return notes


def _before_opening(asked: Asked, found: Walk, paired: Paired) -> ImportReport:
    listing, known = paired.listing, recognise(paired.listing)
    classes = class_reports(paired, usable_of(paired))
    small = _too_small(classes, asked)
    tolerated = [f"tolerated in the lists: {count:,} {what}" for what, count in listing.tolerated.items() if count]
    ways = [f"{count:,} videos found by {way}" for way, count in paired.ways.items() if count and way != "name"]
    return _told(asked, found).model_copy(
        update={
            "source": paired.source,
            "form": listing.format,
            "version": known.version,
            "splits": split_reports(paired, (), Counter()),
            "classes": classes,
            "too_small": small,
            "unused": paired.unused,
            "notes": (*known.lines, *tolerated, *ways, *_archive_notes(found)),
            "faults": (*found.faults, *pairing_faults(paired, asked), *_small_faults(small, asked)),
        }
    )


def _too_small(classes: tuple[ClassReport, ...], asked: Asked) -> tuple[ClassReport, ...]:
    return tuple(one for one in classes if one.usable < asked.shot + asked.queries)


def _small_faults(small: tuple[ClassReport, ...], asked: Asked) -> list[str]:
    if not small:
        return []
    named = [f"{one.split} {one.label!r} has {one.usable} of {one.listed}" for one in small]
    return [
        f"{asked.shot}-shot episodes with {asked.queries} queries per class need {asked.shot + asked.queries} videos a"
        f" class: {few(named)}. Add videos, take these classes from the lists, or give a smaller --shot"
    ]


def _to_open(paired: Paired) -> list[Found]:
    clips: list[Found] = []
    for video, stored in paired.found:
        name = f"{video.label}/{stored.name}"
        clips.append(Found(name, video.label, video.split, stored.location, stamp_of(stored.location)))
    return clips


def _after_opening(
    asked: Asked, found: Walk, paired: Paired, before: ImportReport, looked: list[tuple[Found, Seen]]
) -> tuple[ImportReport, Import | None]:
    clips, unreadable = sorted_out(looked)
    lost = tuple((video.name, reason) for video, reason in unreadable)
    usable: Counter[tuple[Split, str]] = Counter((clip.split, clip.label) for clip in clips)
    classes = class_reports(paired, usable)
    small = _too_small(classes, asked)
    faults = _small_faults(small, asked)
    if unreadable and not asked.allow_unreadable:
        named = [f"{video.location.shown()}: {reason}" for video, reason in unreadable]
        faults += [
            *named,
            f"{len(named)} videos cannot be read: repair or replace them, or give --allow-unreadable to leave them out",
        ]
    index = ClipIndex.of_clips(asked.dataset, clips, lost, fps=asked.fps)
    report = before.model_copy(
        update={
            "splits": split_reports(paired, clips, Counter(video.split for video, _ in unreadable)),
            "classes": classes,
            "too_small": small,
            "readers": reader_reports([(_container(video.location), seen) for video, seen in looked]),
            "notes": (*before.notes, *clip_notes(clips)),
            "faults": tuple(faults),
            "unreadable": lost,
            "opened": True,
            "fingerprint": index.fingerprint,
        }
    )
    return report, None if faults else _import(asked, found, paired, report, index)


def _container(location: Location) -> str:
    if location.inside:
        return "zip"
    return location.path.suffix[1:].lower() if location.path.is_file() else "folder"


def _import(asked: Asked, found: Walk, paired: Paired, report: ImportReport, index: ClipIndex) -> Import:
    facts = ImportFacts(
        root=found.folder.absolute(),
        benchmark=asked.dataset if asked.dataset in BENCHMARKS else "",
        version=report.version,
        lists=report.source,
        fps=asked.fps,
        missing=tuple(f"{video.label}/{video.video}" for video in paired.missing),
        unreadable=report.unreadable,
        fingerprint=index.fingerprint,
    )
    rows = tuple(
        Row(
            split=clip.split,
            label=clip.label,
            name=clip.name.removeprefix(f"{clip.label}/"),
            path=clip.path.relative_to(found.folder).as_posix(),
            inside=clip.inside,
        )
        for clip in index.clips
    )
    return Import(facts, rows)

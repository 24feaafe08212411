"""Jobs on a tiny run with made-up clips."""

from collections.abc import Mapping
from pathlib import Path

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.datasets import DatasetPlace
from fsar_core.data.folder_scan import Split
from sweeps.engine.job import Job
from sweeps.engine.records import Point
from sweeps.engine.site import DatasetEntry, Site
from tests.fsar_core import tiny
from tests.sweeps.made_records import ORIGIN, OTHER

PRINT = tiny.index().fingerprint
"""Of the data set ``made``; that of ``other`` is ``OTHER``."""
_DATASETS = ("made", "other")
EVALUATIONS = (EvalConfig(way=3, episodes=30), EvalConfig(way=3, shot=2, episodes=20))


def opened(place: DatasetPlace, data: str) -> Mapping[Split, ClipSource]:
    """What a worker opens, without videos."""
    config = DataConfig.model_validate_json(data)
    splits: tuple[Split, ...] = ("train", "val", "test")
    sources: dict[Split, ClipSource] = {split: tiny.clips(split, config) for split in splits}
    if place.name == "other":
        for source in sources.values():
            source.fingerprint = OTHER
    return sources


def job_of(folder: Path, run: RunConfig, *, fingerprint: str = PRINT, **needs: Path) -> Job:
    return Job(
        run=run,
        missing=EVALUATIONS,
        folder=folder / run.run_id(),
        needs={target.replace("__", "."): path for target, path in needs.items()},
        fingerprints={"made": fingerprint, "other": OTHER},
        site=Site(storage=folder, cache=folder, datasets={name: DatasetEntry(root=folder) for name in _DATASETS}),
        origin=ORIGIN,
    )


def silent(step: int, points: list[Point]) -> None:
    """Nobody listens."""

"""Which instance masks runs are trained with: checked before anything starts, noted with each run, never mixed."""

from collections.abc import Iterable, Iterator

from fsar_core.checkpoint import read_state
from fsar_core.config import RunConfig
from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.datasets import DatasetPlace
from fsar_core.data.mask_store import MaskError, MaskStore
from fsar_core.mask_settings import MaskSettings
from sweeps.engine.newest_checkpoint import of_newest
from sweeps.engine.plan import Plan
from sweeps.engine.records import RunFolder


def masks_key(dataset: str) -> str:
    """Under which a data set's masks stand among the fingerprints; no data set has a slash in its name."""
    return f"{dataset}/masks"


def mask_faults(place: DatasetPlace, index: ClipIndex, runs: Iterable[RunConfig]) -> list[str]:
    """Masks that these runs, or the runs that they need, would look for in vain. No mask is decoded."""
    faults: dict[str, None] = {}
    for settings in _settings(runs):
        try:
            found = MaskStore(place.mask_root(), settings).faults(index.of("train"), place.name)
        except MaskError as error:
            found = [str(error)]
        faults.update(dict.fromkeys(found))
    return list(faults)


def mask_fingerprint(place: DatasetPlace, index: ClipIndex, runs: Iterable[RunConfig]) -> str | None:
    """Of the masks of the train clips; None if no run needs masks. Raises MaskError where there are none."""
    for settings in _settings(runs):
        return MaskStore(place.mask_root(), settings).fingerprint(clip.name for clip in index.of("train"))
    return None


def mask_conflicts(plan: Plan) -> list[str]:
    """Runs that were trained, or begun, with other masks than the present ones: their numbers are not reused."""
    faults: list[str] = []
    for planned in plan.runs:
        if not planned.run.method.needs_masks():
            continue
        before, now = recorded_masks(planned.folder), plan.fingerprints.get(masks_key(planned.run.data.dataset))
        if None not in (before, now) and before != now:
            faults.append(other_masks(planned.folder, str(before), str(now)))
    return faults


def recorded_masks(folder: RunFolder) -> str | None:
    """The masks' fingerprint of a finished or begun training; None if it is neither or needed none."""
    record = folder.record()
    if record is not None:
        return record.masks
    state = of_newest(folder.checkpoints, read_state)
    return None if state is None else state["caller"].get("masks")


def other_masks(folder: RunFolder, before: str, now: str) -> str:
    """The refusal to go on with them."""
    return (
        f"the run in {folder.path} was trained with masks of fingerprint {before}, but the masks are {now} now; "
        "put the former ones back, train again beside the record (--fresh), or name another storage in the site file"
    )


def _settings(runs: Iterable[RunConfig]) -> Iterator[MaskSettings]:
    """Different ones, of the runs and of what they need."""
    seen: list[MaskSettings] = []
    waiting = list(runs)
    while waiting:
        run = waiting.pop()
        waiting += [need.run for need in run.needs]
        settings = run.method.mask_settings()
        if settings is not None and settings not in seen:
            seen.append(settings)
            yield settings

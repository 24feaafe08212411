"""Frame caches made where they are missing: shard by shard, by any number of processes, taken up after a kill."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from filelock import FileLock

from fsar_core.aside import remove_abandoned, written_aside
from fsar_core.data.cache_contents import Contents, readers
from fsar_core.data.cache_room import demand_room
from fsar_core.data.cache_shards import Broken, ShardRecord, ShardTask, finished, plan_shards, write_shard
from fsar_core.data.frame_cache import MANIFEST, CacheError, FrameCache, Manifest
from fsar_core.data.processes import Lost, Progress, one_by_one, silent, spread
from fsar_core.data.resize import Resize
from fsar_core.frozen import Frozen

SLOWEST_SHARD_S = 4 * 3600
ABOUT = "about.json"

Written = Iterator[tuple[ShardTask, ShardRecord | Broken | Lost]]
Carry = Callable[[Sequence[ShardTask]], Written]
"""Has ``write_shard`` done for every task, somewhere on this node, and gives the results as they come."""


class About(Frozen):
    """What a cache is of, for who tidies up."""

    name: str
    resize: Resize
    jpeg: int | None
    readers: str


def by_processes(tasks: Sequence[ShardTask], workers: int) -> Written:
    """Spread over processes of this program."""
    if len(tasks) == 1 or workers == 1:
        return one_by_one(write_shard, tasks, limit_s=SLOWEST_SHARD_S)
    return spread(write_shard, tasks, workers=workers, limit_s=SLOWEST_SHARD_S)


def find_cache(contents: Contents, root: Path) -> FrameCache | None:
    """A complete cache with these frames; others may be in it too. None also for one with cut shards."""
    own = contents.folder(root)
    wider = (path for path in own.parent.glob("*/") if path != own and contents.kept.is_part_of(path.name))
    for folder in (own, *sorted(wider)):
        with suppress(OSError, ValueError, CacheError):
            return FrameCache(folder)
    return None


def missing_shards(contents: Contents, root: Path) -> tuple[list[ShardTask], int]:
    """What is to be written, and how many shards there will be in all. ([], 0) if a cache can be used as it is."""
    if find_cache(contents, root) is not None:
        return [], 0
    tasks = plan_shards(contents, contents.folder(root))
    return [task for task in tasks if finished(task) is None], len(tasks)


def build_cache(
    contents: Contents, root: Path, *, workers: int = 1, progress: Progress = silent, carry: Carry | None = None
) -> FrameCache:
    """The cache of ``contents`` below ``root``; made if it is not there, which needs room for all frames.

    Any number of processes may call it at once: one builds, the others wait. A killed build is taken up where it was,
    to a shard. ``progress`` counts shards. ``carry`` spreads the work; by default over ``workers`` processes.
    Raises CacheError where the folder cannot be written, the disk has too little room, or videos cannot be decoded
    to the end (all of them in one error).
    """
    if (opened := find_cache(contents, root)) is not None:
        return opened
    folder = contents.folder(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            opened = find_cache(contents, root)  # another process may have made it meanwhile
            carry = carry or partial(by_processes, workers=workers)
            return _build(contents, folder, carry, progress) if opened is None else opened
    except OSError as error:
        raise CacheError(
            f"frame cache: {folder} cannot be written ({error.strerror or error}); give another folder"
        ) from error


def _build(contents: Contents, folder: Path, carry: Carry, progress: Progress) -> FrameCache:
    remove_abandoned(folder)
    tasks = plan_shards(contents, folder)
    records = {task.path.name: record for task in tasks if (record := finished(task)) is not None}
    missing = [task for task in tasks if task.path.name not in records]
    demand_room(folder, [(contents, missing)])
    about = About(name=contents.name, resize=contents.resize, jpeg=contents.jpeg, readers=readers())
    _write(folder / ABOUT, about)
    progress(len(records), len(tasks))
    faults: list[str] = []
    for task, result in carry(missing):
        if isinstance(result, ShardRecord):
            records[task.path.name] = result
        else:
            faults.extend(_faults_of(task, result))
        progress(len(records), len(tasks))
    if faults:
        demand_room(folder, [(contents, [task for task in tasks if task.path.name not in records])])
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise CacheError(f"frame cache {folder}: not complete; repair these or take them out of the data set:\n{lines}")
    ordered = [records[task.path.name] for task in tasks]
    manifest = Manifest(
        jpeg=contents.jpeg,
        shard_bytes={task.path.name: record.bytes for task, record in zip(tasks, ordered, strict=True)},
        clips={name: stored for record in ordered for name, stored in record.clips.items()},
    )
    _write(folder / MANIFEST, manifest)
    return FrameCache(folder)


def _faults_of(task: ShardTask, result: Broken | Lost) -> tuple[str, ...]:
    if isinstance(result, Broken):
        return result.faults
    first, last = (clip.location.shown() for clip in (task.clips[0], task.clips[-1]))
    return (f"{task.path.name}: {result.reason}; one of {first} ... {last}",)


def _write(path: Path, content: Frozen) -> None:
    with written_aside(path) as aside:
        aside.write_text(content.model_dump_json())

"""How much disk a frame cache takes, and whether it is there."""

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fsar_core.data.cache_contents import Contents
from fsar_core.data.cache_shards import ShardTask, read_resized
from fsar_core.data.frame_cache import CacheError
from fsar_core.data.jpeg import encoded
from fsar_core.data.video import UnreadableVideo

SHARE = 0.9
"""Of the free disk that frames may take: records and checkpoints need some too."""
USUAL_JPEG = 95
_BESIDE = 1.01  # footers, records and offsets beside the pixels
_SAMPLE = 8
_UNSURE = 1.2  # a few frames stand for all
_UNKNOWN = 0.3


def jpeg_share(contents: Contents, quality: int) -> float:
    """Bytes of a JPEG frame per byte of its pixels, measured on a frame each of a few clips, spread over them."""
    shares: list[float] = []
    for i in np.linspace(0, len(contents.clips) - 1, min(_SAMPLE, len(contents.clips))).astype(int):
        clip = contents.clips[i]
        try:
            frame = read_resized(clip, contents.kept.frames_of(clip)[:1], contents.resize)[0]
        except UnreadableVideo:  # the build lists it
            continue
        shares.append(len(encoded(frame, quality)) / frame.size)
    return float(np.mean(shares)) if shares else _UNKNOWN


def disk_need(contents: Contents, tasks: Sequence[ShardTask]) -> int:
    """Bytes that these shards of it will take; for JPEG an estimate that is rather too large."""
    share = 1.0 if contents.jpeg is None else min(1.0, _UNSURE * jpeg_share(contents, contents.jpeg))
    return int(sum(task.raw_bytes for task in tasks) * share * _BESIDE)


def demand_room(root: Path, missing: Sequence[tuple[Contents, Sequence[ShardTask]]]) -> None:
    """Raises CacheError where the disk of ``root`` has too little room for all these shards together."""
    needed = sum(disk_need(contents, tasks) for contents, tasks in missing)
    free = shutil.disk_usage(next(path for path in (root, *root.parents) if path.exists())).free
    if needed <= SHARE * free:
        return
    what = ", ".join(contents.name for contents, tasks in missing if tasks)
    raise CacheError(
        f"frame cache: {root} needs {needed} bytes ({needed / 1e9:.2f} GB) for {what}, but its disk has {free} bytes"
        f" ({free / 1e9:.2f} GB) free, of which frames may take {SHARE:.0%}; {_way_out(missing)}"
        "free some, give another folder (cache in the site file), or choose a smaller resize"
    ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(root))


def _way_out(missing: Sequence[tuple[Contents, Sequence[ShardTask]]]) -> str:
    raw = [(contents, tasks) for contents, tasks in missing if tasks and contents.jpeg is None]
    if not raw:
        return ""
    as_jpeg = sum(jpeg_share(contents, USUAL_JPEG) * sum(task.raw_bytes for task in tasks) for contents, tasks in raw)
    return (
        f"as JPEG of quality {USUAL_JPEG} they would take about {as_jpeg / 1e9:.2f} GB: set data.jpeg of the run"
        f" (--jpeg {USUAL_JPEG}), which makes it another run, with slightly other pixels; or "
    )

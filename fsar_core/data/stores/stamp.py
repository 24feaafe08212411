"""Whether what lies at a location is still what was seen there, without reading it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from fsar_core.data.stores.location import Location


@dataclass(frozen=True)
class Stamp:
    """Size and newest time of all files concerned."""

    size: int
    mtime_ns: int


NOWHERE = Stamp(-1, -1)
"""Of a link that leads nowhere, or a file that is gone: unreadable, until there is something."""


def stamp_of(location: Location) -> Stamp:
    """Asks the file system about the video or the zip, or about every image of a folder: some tools write images over
    old ones without a trace in the folder's own time."""
    try:
        facts = location.path.stat()
        if not stat.S_ISDIR(facts.st_mode):
            return Stamp(facts.st_size, facts.st_mtime_ns)
        return _of_folder(location.path, facts.st_mtime_ns)
    except OSError:
        return NOWHERE


def _of_folder(folder: Path, newest: int) -> Stamp:
    size = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            facts = entry.stat()
            size += facts.st_size
            newest = max(newest, facts.st_mtime_ns)
    return Stamp(size, newest)

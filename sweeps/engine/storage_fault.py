"""Whether the folder of all records still takes files."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from sweeps.engine.records import bytes_free

_BYTES = 1 << 20
_LEAST = 64 << 20
"""A disk with less room is full for a sweep: what a failed checkpoint gave back would not take the next one."""


def storage_fault(folder: Path) -> str:
    """Why nothing can be written there; empty where it can. Leaves nothing behind."""
    path = folder / f".written-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(bytes(_BYTES))
            os.fsync(file.fileno())
        free = bytes_free(folder)
        return f"{folder} has {free >> 20} MiB free" if free < _LEAST else ""
    except OSError as error:
        return f"{folder} cannot be written: {error.strerror or error}"
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)

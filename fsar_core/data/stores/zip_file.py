"""A zip of images, read in place: its directory is read once per process, members are never written anywhere."""

import os
import zipfile
import zlib
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

from fsar_core.data.stores.images import MAX_BYTES, BadImage

_OPEN_AT_ONCE = 64


class OpenZip:
    """Raises OSError or zipfile.BadZipFile where it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        folders: dict[str, dict[str, zipfile.ZipInfo]] = defaultdict(dict)
        self.repeated: list[str] = []
        for member in self._archive.infolist():
            folder, _, name = member.filename.rpartition("/")
            if not name or name.startswith("."):
                continue
            if name in folders[folder]:
                self.repeated.append(member.filename)
            folders[folder][name] = member
        self.folders = dict(folders)
        """Members by folder and file name; names that begin with a dot are passed over."""

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """At most ``MAX_BYTES``, whatever the packed size; held against its CRC-32. Raises BadImage."""
        if member.file_size > MAX_BYTES:
            raise BadImage(f"larger than {MAX_BYTES} bytes: the zip says {member.file_size}")
        try:
            return self._archive.read(member)
        # NotImplementedError: packed in a way that Python cannot unpack; RuntimeError: behind a password
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise BadImage(f"cannot be read from the zip ({error})") from error


def opened(path: Path) -> OpenZip:
    """Kept open for this process; opened again where the file has changed. Raises OSError, also for what is no zip."""
    facts = path.stat()
    try:
        # a forked child would share the position in the file with its parent
        return _opened(path.absolute(), facts.st_size, facts.st_mtime_ns, os.getpid())
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise OSError(0, f"not a zip that can be read: {error}", str(path)) from error


@lru_cache(maxsize=_OPEN_AT_ONCE)
def _opened(path: Path, _size: int, _mtime_ns: int, _process: int) -> OpenZip:
    return OpenZip(path)

"""The images of one clip, read by name, from a folder or from a zip."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from fsar_core.data.stores import zip_file
from fsar_core.data.stores.frame_names import in_order
from fsar_core.data.stores.images import MAX_BYTES, BadImage
from fsar_core.data.stores.location import Location


class FrameStore(Protocol):
    """Raises NoFrames and OSError when it is made, BadImage and OSError when it is read."""

    names: tuple[str, ...]
    """File names in the order of the frames."""

    def read(self, name: str) -> bytes: ...

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        """Of every frame the image's bytes, and what names its content."""
        ...


class FrameFolder:
    """Images in a folder; what names the content is the bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with os.scandir(folder) as entries:
            self.names = in_order(entry.name for entry in entries if not entry.name.startswith("."))

    def read(self, name: str) -> bytes:
        with (self._folder / name).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise BadImage(f"larger than {MAX_BYTES} bytes")
        return content

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        for name in self.names:
            content = self.read(name)
            yield content, hashlib.blake2b(content, digest_size=16).digest()


class ZipFolder:
    """Images in a folder of a zip; what names the content is size and CRC-32, against which every read is held."""

    def __init__(self, location: Location) -> None:
        self._archive, self._inside = zip_file.opened(location.path), location.inside
        self._members = self._archive.folders.get(location.inside, {})
        self.names = in_order(self._members)

    def read(self, name: str) -> bytes:
        return self._archive.read(self._members[name])

    def contents(self) -> Iterator[tuple[bytes, bytes]]:
        for name in self.names:
            member = self._members[name]
            yield self.read(name), member.CRC.to_bytes(4, "little") + member.file_size.to_bytes(8, "little")


def opened(location: Location) -> FrameStore:
    return ZipFolder(location) if location.inside else FrameFolder(location.path)

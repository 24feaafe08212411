"""What lies on disk, as the matching of names sees it."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

L_co = TypeVar("L_co", bound=Hashable, covariant=True)


@dataclass(frozen=True, slots=True)
class Stored(Generic[L_co]):
    """A video file, a folder of frames, or such a folder in a zip."""

    name: str
    """Of the file or folder alone, without the extension of a video file."""
    folder: str
    """Name of the folder that it lies in, where that may be its class; empty where it lies directly below the root."""
    location: L_co
    """Whatever says where it is; the matching only hands it on."""

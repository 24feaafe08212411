"""Where one clip's frames lie."""

from dataclasses import dataclass
from pathlib import Path

_BETWEEN = "\0"  # stands in no path


@dataclass(frozen=True, slots=True)
class Location:
    """A video file, a folder of images, or a folder of images inside a zip."""

    path: Path
    """Of the video, the folder, or the zip."""
    inside: str = ""
    """The folder in the zip, with slashes; empty outside of zips."""

    def key(self) -> str:
        """Names it on this machine; ``of_key`` reads it back."""
        absolute = str(self.path.absolute())
        return f"{absolute}{_BETWEEN}{self.inside}" if self.inside else absolute

    @classmethod
    def of_key(cls, key: str) -> "Location":
        path, _, inside = key.partition(_BETWEEN)
        return cls(Path(path), inside)

    def shown(self) -> Path:
        """For messages: a folder in a zip reads like a folder."""
        return self.path / self.inside if self.inside else self.path

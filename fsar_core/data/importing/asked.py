"""What is asked of an import."""

from pathlib import Path

from pydantic import Field

from fsar_core.data.config import DATASET_NAME
from fsar_core.frozen import Frozen


class Asked(Frozen):
    """Paths start at the current folder."""

    dataset: str = Field(pattern=DATASET_NAME)
    """A known benchmark, or a name of one's own."""
    root: Path
    lists: Path | None = None
    """Folder of list files. None: the official class names tell the split, or folders train, val and test do."""
    annotations: Path | None = None
    """Folder of the data set's official annotation files."""
    allow_missing: bool = False
    allow_unreadable: bool = False
    shot: int = Field(default=5, ge=1)
    """With ``queries``, how many videos every class must have."""
    queries: int = Field(default=1, ge=1)
    fps: float = Field(default=0, ge=0)
    """Frames per second of stored frames; 0: not known."""

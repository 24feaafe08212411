"""Workers on every node run the code of the driver, whatever lies on their disks: Ray takes it along with the job."""

from pathlib import Path
from typing import Any

import fsar_core
import search_spaces
import sweeps


def package_folders() -> list[Path]:
    """Of the project. Among what a driver has sent, each lies in a folder of its own."""
    return [Path(package.__path__[0]) for package in (fsar_core, search_spaces, sweeps)]


def shipped_code() -> dict[str, Any]:
    """What ``ray.init`` is to give the workers of a cluster: the packages as they lie here.

    The launcher copies an edit to the head node at once, but to the other nodes only when Ray is started again; without
    this they would go on with the code of before and write its numbers under the new commit.
    """
    return {"py_modules": [str(folder) for folder in package_folders()], "excludes": ["__pycache__/"]}

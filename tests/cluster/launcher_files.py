"""The launcher files as Ray's launcher sees them before it asks a cloud anything."""

from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

REPOSITORY = Path(__file__).parents[2]
FILES = sorted((REPOSITORY / "cluster").glob("*.yaml"))
NAMES = [file.stem for file in FILES]


def read(name: str) -> dict[str, Any]:
    """As written."""
    return yaml.safe_load((REPOSITORY / "cluster" / f"{name}.yaml").read_text())


def prepared(name: str) -> dict[str, Any]:
    """With Ray's defaults, and valid by its schema."""
    config = prepare_config(read(name))
    validate_config(config)
    return config


def comment(name: str) -> str:
    """The lines before the first key."""
    lines = (REPOSITORY / "cluster" / f"{name}.yaml").read_text().splitlines()
    return "\n".join(lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))])

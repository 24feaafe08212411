"""Checkpoints of other code bases: read safely, recognised by their names, converted to our methods.

A code base is a file here: an ordered list of rules from its names to ours, and what its tensors decide.
"""

from fsar_core.foreign.code_base import CodeBase, Found
from fsar_core.foreign.convert import Converted, convert
from fsar_core.foreign.files import Checkpoint, CheckpointError, read_checkpoint
from fsar_core.foreign.known import CODE_BASES, recognise

__all__ = [
    "CODE_BASES",
    "Checkpoint",
    "CheckpointError",
    "CodeBase",
    "Converted",
    "Found",
    "convert",
    "read_checkpoint",
    "recognise",
]

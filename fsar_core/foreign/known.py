"""All code bases, and which of them a file is from."""

from fsar_core.foreign.code_base import Found
from fsar_core.foreign.files import Checkpoint, CheckpointError
from fsar_core.foreign.hyrsm import HYRSM
from fsar_core.foreign.molo import MOLO
from fsar_core.foreign.rules import place
from fsar_core.foreign.strm import STRM
from fsar_core.foreign.trx import TRX

CODE_BASES = (STRM, MOLO, HYRSM, TRX)
"""In the order in which they are tried: STRM has all that TRX has."""

_SHOWN = 6


def recognise(checkpoint: Checkpoint) -> Found:
    """By its names. Raises CheckpointError for a file of another code base, or whose sizes cannot be understood."""
    code = next((code for code in CODE_BASES if code.wrote(checkpoint)), None)
    if code is None:
        raise CheckpointError(
            f"{checkpoint.path}: must be a file of {', '.join(sorted(code.title for code in CODE_BASES))}, but its "
            f"{len(checkpoint.weights)} tensors have other names: {_first(checkpoint)}"
        )
    placed = place(code.rules, checkpoint.weights)
    try:
        decided = code.decide(checkpoint, placed)
    except CheckpointError as error:
        raise CheckpointError(*(f"{checkpoint.path}, a file of {code.title}: {f}" for f in error.faults)) from error
    return Found(code=code, placed=placed, decided=decided)


def _first(checkpoint: Checkpoint) -> str:
    names = list(checkpoint.weights)
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")

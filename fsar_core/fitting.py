"""Whether the steps of a training fit the memory of its GPU, and what is done where they do not."""

import torch

from fsar_core.backbones.trunk import recompute
from fsar_core.config import RunConfig
from fsar_core.execution import Execution
from fsar_core.method import Method
from fsar_core.step_cost import step_cost

_LOST = 1.1
"""What the allocator of a GPU holds, over what its tensors fill."""
_LIBRARIES = 1 << 30
"""Bytes that a GPU's context and the work space of its convolutions take beside tensors."""


def fit(method: Method, run: RunConfig, execution: Execution, *, classes: int) -> bool:
    """Has the backbones of ``method`` compute again what they would keep, if ``execution`` says so; else, if a step
    would not fit its GPU otherwise. Gives whether they do. ``classes``: base classes that ``method`` was built for.

    Whatever it decides, no batch statistics change: frames pass in parts only where they do not see each other.
    """
    needed = execution.recompute == "always"
    if execution.recompute == "auto" and execution.device.type == "cuda":
        cost = step_cost(run, precision=execution.precision, classes=classes)
        needed = not fits(cost.peak_bytes, room(execution))
    recompute(method, execution.frames_at_once if needed else None)
    return needed


def fits(peak_bytes: int, memory: int) -> bool:
    """Whether a step of that counted peak goes on a card, or a share of one, of ``memory`` bytes."""
    return _LOST * peak_bytes + _LIBRARIES <= memory


def room(execution: Execution) -> int:
    """Bytes of its GPU's memory that a training may take, what it holds now included."""
    free, total = torch.cuda.mem_get_info(execution.device)
    return int(min(free + torch.cuda.memory_reserved(execution.device) + _LIBRARIES, execution.share * total))

"""What the configurations of all stages share."""

from typing import ClassVar

from fsar_core.frozen import Frozen


class StageBase(Frozen):
    """A stage's ``Config`` also has ``kind``, ``gives(*shapes, classes) -> Shape`` and ``build(*shapes, classes)``."""

    inputs: ClassVar[int] = 1
    """How many steps it reads."""
    fixed: ClassVar[bool] = False
    """Whether equal inputs always give equal outputs: nothing in it is trained or drawn."""

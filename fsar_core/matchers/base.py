"""What the configurations of all matchers share."""

from typing import ClassVar

from fsar_core.episode import Level, Shape
from fsar_core.frozen import Frozen


class MatcherBase(Frozen):
    """A matcher's ``Config`` also has ``kind`` and ``build(shape)``."""

    reads: ClassVar[Level] = "frame"

    def check(self, shape: Shape) -> None:
        """Raises ValueError if it cannot match features of this shape. By default it can match all."""

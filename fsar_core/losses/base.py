"""What all losses share."""

from collections.abc import Sequence

from torch import nn

from fsar_core.backbones import Pretrained, PretrainedConfig
from fsar_core.frozen import Frozen


class LossBase(Frozen):
    """A loss's ``Config`` also has ``kind``, ``weight``, ``reads``, ``check(wiring)``, ``build(wiring, classes)``."""

    def needs_frames(self) -> bool:
        """Whether it reads the frames themselves, beside what the steps give."""
        return False

    def needs_masks(self) -> bool:
        """Whether it reads the instance masks of the frames."""
        return False


class LossModule(nn.Module):
    """A module ``Trace -> scalar``."""

    def pretrained(self) -> Sequence[tuple[Pretrained, PretrainedConfig]]:
        """Networks of its own that may start from stored weights. By default none."""
        return ()

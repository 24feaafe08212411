"""What all losses share."""

from collections.abc import Sequence

from torch import nn

from fsar_core.backbones import Pretrained, PretrainedConfig
from fsar_core.frozen import Frozen
from fsar_core.mask_settings import MaskSettings


class LossBase(Frozen):
    """A loss's ``Config`` also has ``kind``, ``weight``, ``reads``, ``check(wiring)``, ``build(wiring, classes)``."""

    def needs_frames(self) -> bool:
        """Whether it reads the frames themselves, beside what the steps give."""
        return False

    def mask_settings(self) -> MaskSettings | None:
        """How the instance masks of the frames are read that it needs; None: it needs none."""
        return None

    def needs_masks(self) -> bool:
        """Whether it reads the instance masks of the frames."""
        return self.mask_settings() is not None


class LossModule(nn.Module):
    """A module ``Trace -> scalar``."""

    def pretrained(self) -> Sequence[tuple[Pretrained, PretrainedConfig]]:
        """Networks of its own that may start from stored weights. By default none."""
        return ()

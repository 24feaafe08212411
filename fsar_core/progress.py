"""For parts whose behaviour depends on how far the training is."""

from torch import nn


class FollowsTraining(nn.Module):
    """A part with a schedule of its own. In a test it keeps the position that its checkpoint holds, if it needs one."""

    def at_step(self, step: int, steps: int) -> None:
        """Called before optimiser step ``step``, counted from 1, of ``steps``."""
        raise NotImplementedError

"""Sum or mean over the queries of an episode: with plain SGD it decides how far a step goes."""

from typing import Literal

from fsar_core.method import MethodConfig

LossScale = Literal["method", "sum", "mean"]
"""``method``: as each method has it."""


def with_loss_scale(method: MethodConfig, scale: LossScale, *, queries: int) -> MethodConfig:
    """The method with the cross-entropy of its heads summed or averaged over the ``queries`` of an episode.

    A method that was made for the other scale has all its terms multiplied or divided by their number, so that heads
    and losses keep their balance. Its scale is that of its first head.
    """
    if scale == "method" or not method.heads or method.heads[0].reduction == scale:
        return method
    factor = float(queries) if scale == "sum" else 1.0 / queries
    heads = tuple(
        head.model_copy(
            update={"loss_weight": head.loss_weight * factor}
            if head.reduction == scale  # this one alone was of the new scale before
            else {"reduction": scale}
        )
        for head in method.heads
    )
    losses = tuple(loss.model_copy(update={"weight": loss.weight * factor}) for loss in method.losses)
    return method.model_copy(update={"heads": heads, "losses": losses})

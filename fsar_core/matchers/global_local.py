"""Global-local prototype matching: I2ST, section 3.4, equation 6."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from fsar_core.episode import Features, Level, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.blocks import in_blocks
from fsar_core.matchers.cosine import cosine, frame_cosine
from fsar_core.matchers.otam import alignment_cost
from fsar_core.matchers.shots import ShotRule, class_scores, shot_rule


class GlobalLocal(nn.Module):
    """tau * (gamma * cosine of the clips' vectors - metric of their frames). Averages shots first. No parameters."""

    class Config(MatcherBase):
        """The formula adds metric and cosine, the text calls that a weighted average and gives no weight."""

        kind: Literal["global_local"] = "global_local"
        reads: ClassVar[Level] = "global_local"
        mode: Literal["global_local", "local", "global"] = "global_local"
        """``local`` leaves the cosine out, ``global`` the frames (table 5)."""
        metric: Literal["bimhm", "otam"] = "bimhm"
        """Of the frames, in both directions and divided by T: Bi-MHM, or the soft alignment (table 5)."""
        tau: Literal["T"] | Annotated[float, Field(gt=0)] = "T"
        """``T``: the frames of a support, so that the local part is the sum over frames as in MoLo's code."""
        gamma: float = Field(default=1.0, ge=0)
        """1 beside a metric that is a mean over frames. A literal sum over frames + cosine is 1 / T."""
        cosine_eps: float = Field(default=0.0, ge=0)
        """0: plain normalisation. MoLo's code adds 0.01 to the product of the norms."""
        otam_lam: float = Field(default=0.1, gt=0)
        """Temperature of the soft alignment."""

        def build(self, shape: Shape) -> "GlobalLocal":
            return GlobalLocal(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule("features", shot)

    def forward(self, features: Features) -> Match:
        """``features`` hold 1 + T vectors per clip. A clip matched with itself by Bi-MHM gets tau * gamma, the most."""
        return Match(logits=class_scores(self.pair_scores, features, "features"))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, 1 + T', D) and (*B, S, 1 + T, D) -> (*B, A, S), float32 or wider, in blocks of queries."""
        return in_blocks(self._scores, query, support)

    def _scores(self, query: Tensor, support: Tensor) -> Tensor:
        config = self.config
        tau = support.shape[-2] - 1 if config.tau == "T" else config.tau
        if config.mode == "local":
            return -tau * self._local(query[..., 1:, :], support[..., 1:, :])
        similarity = config.gamma * cosine(query[..., 0, :], support[..., 0, :], config.cosine_eps)
        if config.mode == "global":
            return tau * similarity
        return tau * (similarity - self._local(query[..., 1:, :], support[..., 1:, :]))

    def _local(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, S) distances of frames, (*B, A, T', D) and (*B, S, T, D)."""
        # Rounding makes the distance of equal frames a little negative.
        distances = (1 - frame_cosine(query, support, self.config.cosine_eps)).clamp_min(0)  # (*B, A, T', S, T)
        if self.config.metric == "bimhm":
            return distances.amin(-1).mean(-2) + distances.amin(-3).mean(-1)
        aligned = distances.transpose(-3, -2)
        costs = alignment_cost(aligned, self.config.otam_lam) + alignment_cost(aligned.mT, self.config.otam_lam)
        return costs / support.shape[-2]

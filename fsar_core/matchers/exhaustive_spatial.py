"""All shifts of two maps compared, the yardstick of VIM's spatial coordination (tables 13 and 19)."""

import math
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fsar_core.episode import Features, Level, Match, Shape
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.cosine import cosine, frame_cosine
from fsar_core.matchers.exhaustive_temporal import pair_weights
from fsar_core.matchers.shots import ShotRule, Shots, class_scores, shot_rule
from fsar_core.matchers.tuples import Cardinalities, check_tuples
from fsar_core.matchers.windows import Lattice, lattice_offsets, window_means, window_weights
from fsar_core.precision import full_precision, wide

_CARDINALITIES = (2, 3)
_FLOATS_AT_ONCE = 2**26
"""Of window means and of their products, each."""


class ExhaustiveSpatial(nn.Module):
    """Frames are compared by the means over where their maps overlap, at the shift that brings them nearest.

    No parameters. Summed over the frame indices, or, with ``temporal``, over all pairs of frame tuples.
    """

    class Config(MatcherBase):
        kind: Literal["exhaustive_spatial"] = "exhaustive_spatial"
        lattice: Lattice = "pixel"
        """``half_pixel`` has offsets between cells too (about four times as many)."""
        max_offset: int | None = Field(default=None, ge=0)
        """In cells along each axis; None: one less than the map has. 0 compares plain means."""
        temporal: bool = False
        """Compares every frame with every frame first, then all tuples by the mean distance of their frames."""
        cardinalities: Cardinalities = _CARDINALITIES
        """Frames per tuple. Only where ``temporal``."""
        shots: Shots = "features"
        """VIM has mean prototypes."""

        reads: ClassVar[Level] = "map"

        @model_validator(mode="after")
        def _has_tuples(self) -> Self:
            if not self.temporal and self.cardinalities != _CARDINALITIES:
                raise ValueError(
                    f"cardinalities count only where temporal is true, got {self.cardinalities}; set temporal=True or "
                    f"leave them at {_CARDINALITIES}"
                )
            return self

        def check(self, shape: Shape) -> None:
            if self.max_offset is not None and self.max_offset >= shape.cells:
                raise ValueError(
                    f"max_offset must be below the {shape.cells} cells per side of the maps, got {self.max_offset}; "
                    "None takes all offsets with an overlap"
                )
            if self.temporal:
                check_tuples(shape.frames, self.cardinalities)

        def build(self, shape: Shape) -> "ExhaustiveSpatial":
            return ExhaustiveSpatial(self, shape.cells)

    weights: Tensor

    def __init__(self, config: Config, cells: int) -> None:
        super().__init__()
        self.config = config
        weights = window_weights(cells, lattice_offsets(cells, config.lattice, config.max_offset))
        self.register_buffer("weights", weights, persistent=False)

    def shot_rule(self, shot: int) -> ShotRule | None:
        return shot_rule(self.config.shots, shot)

    def forward(self, features: Features) -> Match:
        """Logits lie in [-2 T', 0]. Maps: support (*B, N, K, T, D, h, w), query (*B, Q, T', D, h, w)."""
        size = features.query.shape[-3:]

        def scores(query: Tensor, support: Tensor) -> Tensor:
            return self.pair_scores(query.unflatten(-1, size), support.unflatten(-1, size))

        flat = Features(support=features.support.flatten(-3), query=features.query.flatten(-3))
        return Match(logits=class_scores(scores, flat, self.config.shots))

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D, h, w) and (*B, S, T, D, h, w) -> (*B, A, S), minus distances.

        Raises ValueError where query and support differ in their number of frames, unless ``temporal``.
        """
        if not self.config.temporal and query.shape[-4] != support.shape[-4]:
            raise ValueError(
                "exhaustive_spatial compares frame by frame, so that query and support need equally many frames, but "
                f"got {query.shape[-4]} and {support.shape[-4]}; sample both alike, or set temporal=True"
            )
        query, support = wide(query), wide(support)
        with full_precision(query.device):
            return torch.cat([self._scores(query, part) for part in _blocks(support, self._per_video(support))], dim=-1)

    def _per_video(self, maps: Tensor) -> int:
        """Floats of a video's window means."""
        return math.prod(maps.shape[:-5]) * len(self.weights) * maps.shape[-4] * maps.shape[-3]

    def _scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T', D, h, w) and (*B, S, T, D, h, w) -> (*B, A, S), where the support's means fit in memory."""
        of_support = by_window(window_means(support, self.weights))
        frames = support.shape[-4] if self.config.temporal else 1
        products = self._per_video(query) // query.shape[-3] * support.shape[-5] * frames
        blocks = _blocks(query, max(self._per_video(query), products))
        return torch.cat([self._block_scores(part, of_support) for part in blocks], dim=-2)

    def _block_scores(self, query: Tensor, of_support: Tensor) -> Tensor:
        of_query = by_window(window_means(query, self.weights.flip(0)))
        frames = query.shape[-4]
        if not self.config.temporal:
            rows, columns = of_query.transpose(-3, -2), of_support.transpose(-3, -2)  # (*B, W, T, V, D)
            return (cosine(rows, columns, eps=0).amax(-4) - 1).sum(-3)
        pairs = frame_cosine(of_query, of_support, eps=0).amax(-5) - 1  # (*B, A, T', S, T)
        weights = pair_weights(frames, of_support.shape[-2], self.config.cardinalities).to(pairs)
        return torch.einsum("...axsy,xy->...as", pairs, weights) * frames


def _blocks(videos: Tensor, floats: int) -> tuple[Tensor, ...]:
    """(*B, V, T, D, h, w) in parts of V, where each video costs so many floats."""
    return videos.split(max(1, _FLOATS_AT_ONCE // max(1, floats)), dim=-5)


def by_window(means: Tensor) -> Tensor:
    """(*B, V, T, W, D) -> (*B, W, V, T, D)."""
    return means.movedim(-2, -4)

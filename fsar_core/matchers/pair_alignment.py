"""VIM's action alignment of query and prototype (section 3.4), after TA2N's code: https://github.com/R00Kie-Liu/TA2N.

What the support looks like depends on the query and the other way round, so this is a matcher: it aligns the maps of a
pair, and another matcher, the host, compares what comes out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fsar_core.episode import Features, Match, Shape
from fsar_core.matchers.alignment_pairs import AlignedPairs, Order, PairStage, Side, Spatial
from fsar_core.matchers.alignment_rearrange import ShotAttention
from fsar_core.matchers.alignment_relation import SetAttention
from fsar_core.matchers.base import MatcherBase
from fsar_core.matchers.bimhm import BiMhm
from fsar_core.matchers.otam import Otam
from fsar_core.matchers.protonet import ProtoNet
from fsar_core.matchers.shots import ShotRule
from fsar_core.matchers.trx import Trx
from fsar_core.precision import wide

Host = Annotated[ProtoNet.Config | Otam.Config | BiMhm.Config | Trx.Config, Field(discriminator="kind")]

_BYTES_AT_ONCE = 256 << 20
_VIDEOS_AT_ONCE = 32
_SMALLEST = 4
"""Cells per side: the offset predictor halves them twice."""


@dataclass(frozen=True, kw_only=True)
class AlignedMatch(Match):
    """K' is K where every shot is aligned by itself (``shots`` 'scores' and 'joint'), else 1."""

    support_aligned: Tensor
    """(*B, Q, N, K', T, D)"""
    query_aligned: Tensor
    """(*B, Q, N, K', T, D)"""
    evolution: Tensor | None
    """(*B, Q, N, K', T of the support, T of the query), rows sum to 1; None without rearrangement."""
    offset: Tensor | None
    """(*B, Q, N, K', T, 2), (x, y) of the support's region; the query's is opposite. None without spatial part."""


class PairAlignment(nn.Module):
    """Rearranges the query's moments by those of the prototype, and compares both where they overlap."""

    class Config(MatcherBase):
        """Defaults are VIM with the code of TA2N where the paper leaves the pixels out (rearrangement)."""

        reads = "map"
        kind: Literal["pair_alignment"] = "pair_alignment"
        rearrange: bool = True
        """Temporal rearrangement, residual and on every pixel (code). The paper's formula has neither."""
        spatial: Spatial = "mask"
        """``mask``: means over the overlap under a predicted offset. ``affine``: the overlap is resampled first.
        ``enumerate``: the best whole-cell offset of all. ``none``: means over the map. Table 13 of the paper."""
        order: Order = "temporal_first"
        """Table 14. ``spatial_first`` rearranges the pooled features of pairs."""
        perturbation: float = Field(default=0.2, ge=0, lt=1)
        """Predicted offsets are averaged with eight others this far away, in training and in tests (code). 0: not.
        Of ``mask`` and ``affine``."""
        offset_scale: float = Field(default=0.75, gt=0, le=1)
        """Greatest predicted offset; the side of a map is 2 (code). Of ``mask`` and ``affine``."""
        max_offset: int | None = Field(default=None, ge=1)
        """Of ``enumerate``, in cells. None: all that leave an overlap."""
        shots: Literal["mean", "attention", "scores", "joint"] = "mean"
        """``mean``: the shots are averaged before the alignment (paper). ``attention``: after an attention among them
        (code; without effect at one shot). ``scores``: each is aligned alone and the host's scores are averaged.
        ``joint``: each is aligned alone, and the host sees all K of a class together, with the mean of the K versions
        of the query (table 3 does not say; ours, for hosts that compare a query with all shots at once)."""
        host: Host = ProtoNet.Config()
        """Compares the aligned features (table 3), of one class at a time; it sees one shot, or with ``joint`` K."""
        set_attention: SetAttention.Config | None = None
        """HyRSM's, over a query and all prototypes, before the alignment (table 3)."""

        @model_validator(mode="after")
        def _parts_fit(self) -> Self:
            if self.order == "spatial_first" and (self.spatial == "none" or not self.rearrange):
                raise ValueError(
                    f"order 'spatial_first' needs a rearrangement and a spatial part, got rearrange={self.rearrange}, "
                    f"spatial={self.spatial!r}; take 'temporal_first'"
                )
            if self.max_offset is not None and self.spatial != "enumerate":
                raise ValueError(f"max_offset belongs to spatial 'enumerate', got {self.spatial!r}; remove it")
            if self.spatial in ("enumerate", "none"):
                for name in ("perturbation", "offset_scale"):
                    if getattr(self, name) != type(self).model_fields[name].default:
                        raise ValueError(
                            f"{name} belongs to spatial 'mask' and 'affine', got {self.spatial!r}; remove it"
                        )
            if self.set_attention is not None and (self.order == "spatial_first" or self.spatial == "enumerate"):
                raise ValueError(
                    f"set_attention goes with order 'temporal_first' and without spatial 'enumerate', got "
                    f"{self.order!r} and {self.spatial!r}"
                )
            return self

        def aligns_each_shot(self) -> bool:
            """Whether the shots of a class meet the query one by one."""
            return self.shots in ("scores", "joint")

        def check(self, shape: Shape) -> None:
            """Raises ValueError if maps are too small, or the host cannot compare clips of so many frames."""
            least = {"none": 1, "enumerate": 2}.get(self.spatial, _SMALLEST)
            if shape.cells < least:
                raise ValueError(
                    f"spatial {self.spatial!r} needs at least {least} x {least} cells, got {shape.cells} x "
                    f"{shape.cells}; take a larger crop, or spatial 'none'"
                )
            if self.max_offset is not None and self.max_offset >= shape.cells:
                raise ValueError(f"max_offset must be below the {shape.cells} cells of a side, got {self.max_offset}")
            if self.set_attention is not None:
                self.set_attention.relation().check(_pooled(shape))
                if shape.frames < 2:
                    raise ValueError("set_attention needs at least 2 frames, got 1; take more frames")
            self.host.check(_pooled(shape))

        def build(self, shape: Shape) -> "PairAlignment":
            return PairAlignment(self, shape)

    def __init__(self, config: Config, shape: Shape) -> None:
        super().__init__()
        self.config = config
        self.pairs = PairStage(
            shape.dim,
            rearrange=config.rearrange,
            spatial=config.spatial,
            order=config.order,
            perturbation=config.perturbation,
            offset_scale=config.offset_scale,
            max_offset=config.max_offset,
        )
        self.shot_attention = ShotAttention(shape.dim) if config.shots == "attention" else None
        self.set_attention = None if config.set_attention is None else config.set_attention.build(_pooled(shape))
        self.host = config.host.build(_pooled(shape))

    def shot_rule(self, shot: int) -> ShotRule | None:
        """With set attention every logit depends on all supports."""
        single = shot == 1 or self.config.shots == "scores"
        return "mean" if single and self.set_attention is None else None

    def forward(self, features: Features) -> AlignedMatch:
        """Maps: (*B, N, K, T, D, h, w) supports and (*B, Q, T, D, h, w) queries.

        In training the batch norms see all pairs of all episodes at once. Raises ValueError where query and support
        differ in their number of frames.
        """
        support, query = _channels_last(features.support), _channels_last(features.query)
        if support.shape[-4] != query.shape[-4]:
            raise ValueError(
                f"pair_alignment adds moments of one clip to those of the other, so that query and support need "
                f"equally many frames, but got {query.shape[-4]} and {support.shape[-4]}; sample both alike"
            )
        batch, (way, shot) = query.shape[:-5], support.shape[-6:-4]
        support, query = self._prototypes(
            support.reshape(-1, *support.shape[-6:]), query.reshape(-1, *query.shape[-5:])
        )
        shift = None
        if self.set_attention is not None:
            support, query, shift = self.set_attention(support, query)
        sides = self.pairs.side(support, support=True), self.pairs.side(query, support=False)
        parts = self._parts(*sides, shift, shots=shot if self.config.shots == "joint" else 1)
        aligned, scores = zip(*parts, strict=True)
        pairs = _joined(aligned)
        inner = (way, shot if self.config.aligns_each_shot() else 1)

        def outer(own: Tensor) -> Tensor:
            return own.unflatten(2, inner).reshape(*batch, own.shape[1], *inner, *own.shape[3:])

        logits = torch.cat(scores, dim=1).unflatten(2, (way, -1)).mean(-1)
        return AlignedMatch(
            logits=logits.view(*batch, *logits.shape[1:]),
            support_aligned=outer(pairs.support),
            query_aligned=outer(pairs.query),
            evolution=None if pairs.evolution is None else outer(pairs.evolution),
            offset=None if pairs.offset is None else outer(pairs.offset),
        )

    def pair_scores(self, query: Tensor, support: Tensor) -> Tensor:
        """(*B, A, T, D, h, w) and (*B, S, T, D, h, w) -> (*B, A, S). Memory grows with A and S, not A * S."""
        query, support = _channels_last(query), _channels_last(support)
        batch = query.shape[:-5]
        query, support = query.reshape(-1, *query.shape[-5:]), support.reshape(-1, *support.shape[-5:])
        sides = [self.pairs.side(part, support=False) for part in query.split(_VIDEOS_AT_ONCE, dim=1)]
        columns: list[Tensor] = []
        for part in support.split(_VIDEOS_AT_ONCE, dim=1):
            own = self.pairs.side(part, support=True)
            columns.append(torch.cat([scores for side in sides for _, scores in self._parts(own, side)], dim=1))
        return torch.cat(columns, dim=2).view(*batch, query.shape[1], support.shape[1])

    def _prototypes(self, support: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        """(E, N, K, T, h, w, D) supports -> (E, S, T, h, w, D), and the queries that go with them."""
        if self.config.aligns_each_shot():
            return support.flatten(1, 2), query
        if self.shot_attention is not None and support.shape[2] > 1:
            return self.shot_attention.prototypes(support), self.shot_attention.project(query)
        return wide(support).mean(2), query

    def _parts(
        self, support: Side, query: Side, shift: Tensor | None = None, shots: int = 1
    ) -> Iterator[tuple[AlignedPairs, Tensor]]:
        """Aligned pairs with the host's (E, Q, S / shots) scores, some queries at a time; all where batch norms need
        all. ``shots`` neighbouring supports are the shots of a class for the host."""
        queries = query.maps.shape[1]
        size = max(1, _BYTES_AT_ONCE // (support.maps[:, :, 0, 0, 0].numel() * _bytes_per_pair(query)))
        if self.training and self.pairs.predictor is not None:
            size = queries
        for start in range(0, queries, size):
            some = slice(start, start + size)
            pairs: AlignedPairs = self.pairs(support, query.part(some), None if shift is None else shift[:, some])
            classes, queried = (own.unflatten(2, (-1, shots)) for own in (pairs.support, pairs.query))
            one = Features(support=classes.unsqueeze(-4), query=queried.mean(-3, keepdim=True))
            yield pairs, self.host(one).logits[..., 0, 0]


def _pooled(shape: Shape) -> Shape:
    return Shape(level="frame", frames=shape.frames, dim=shape.dim)


def _channels_last(maps: Tensor) -> Tensor:
    """(..., T, D, h, w) -> (..., T, h, w, D), the backbone's own order in memory."""
    return maps.movedim(-3, -1)


def _bytes_per_pair(query: Side) -> int:
    """About, at the peak: four tensors in the size of the aligned features, three in that of the first convolution."""
    frames, cells, dim = query.maps.shape[2:]
    convolved = 0 if query.first is None else query.first.shape[-1] * cells
    return query.maps.itemsize * frames * (4 * dim + 3 * convolved)


def _joined(parts: Sequence[AlignedPairs]) -> AlignedPairs:
    """Along the queries."""
    evolutions = [part.evolution for part in parts if part.evolution is not None]
    offsets = [part.offset for part in parts if part.offset is not None]
    return AlignedPairs(
        support=torch.cat([part.support for part in parts], dim=1),
        query=torch.cat([part.query for part in parts], dim=1),
        evolution=torch.cat(evolutions, dim=1) if evolutions else None,
        offset=torch.cat(offsets, dim=1) if offsets else None,
    )

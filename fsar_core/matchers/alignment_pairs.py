"""VIM's alignment of pairs: what is known of each video by itself, and what two sides give together."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fsar_core.matchers.alignment_convolution import mixed_response, spread, still_response
from fsar_core.matchers.alignment_masks import Overlap, overlap_weights
from fsar_core.matchers.alignment_offsets import OffsetPredictor
from fsar_core.matchers.alignment_rearrange import Rearrangement, rearranged, softmax_scores
from fsar_core.matchers.alignment_search import best_offsets
from fsar_core.precision import full_precision, wide

Spatial = Literal["mask", "affine", "enumerate", "none"]
Order = Literal["temporal_first", "spatial_first"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """The S prototypes or the Q queries (here V) of E episodes, before they meet."""

    maps: Tensor
    """(E, V, T, h * w, D)"""
    keys: Tensor | None = None
    """(E, V, T, D), of the query side its queries."""
    values: Tensor | None = None
    """(E, V, T, D)"""
    first: Tensor | None = None
    """(E, V, T, h, w, O), its share of the predictor's first convolution."""
    response: Tensor | None = None
    """(E, V, T, 3, 3, 3, O), of a query: what its values add to that convolution."""

    def part(self, some: slice) -> "Side":
        """Of some of the videos."""
        return Side(**{name: own[:, some] for name, own in vars(self).items() if own is not None})


@dataclass(frozen=True, kw_only=True)
class AlignedPairs:
    """For all pairs of E episodes, (E, Q, S, ...)."""

    support: Tensor
    """(E, Q, S, T, D)"""
    query: Tensor
    """(E, Q, S, T, D)"""
    evolution: Tensor | None
    """(E, Q, S, T of the support, T of the query)"""
    offset: Tensor | None
    """(E, Q, S, T, 2)"""


class PairStage(nn.Module):
    """Rearrangement and spatial coordination, in one order or the other, each of them optional."""

    def __init__(
        self,
        dim: int,
        *,
        rearrange: bool,
        spatial: Spatial,
        order: Order,
        perturbation: float,
        offset_scale: float,
        max_offset: int | None,
    ) -> None:
        super().__init__()
        self.spatial_first = order == "spatial_first"
        self.spatial = spatial
        self.overlap: Overlap = "affine" if spatial == "affine" else "mask"
        self.perturbation = 0.0 if spatial == "enumerate" else perturbation
        self.max_offset = max_offset
        self.rearrangement = Rearrangement(dim) if rearrange else None
        self.predictor = OffsetPredictor(dim, offset_scale) if spatial in ("mask", "affine") else None

    def side(self, maps: Tensor, *, support: bool) -> Side:
        """(E, V, T, h, w, D) maps."""
        keys = values = response = first = None
        if self.rearrangement is not None and not self.spatial_first:
            pooled = wide(maps).mean((-3, -2))
            keys = wide((self.rearrangement.key if support else self.rearrangement.query)(pooled))
            values = wide(self.rearrangement.value(pooled))
        if self.predictor is not None and support:
            first = self.predictor.of_support(maps if values is None else maps + values[..., None, None, :])
        elif self.predictor is not None:
            first = self.predictor.of_query(maps)
            response = None if values is None else self.predictor.of_constant(values, support=False)
        return Side(maps=wide(maps).flatten(3, 4), keys=keys, values=values, first=first, response=response)

    def forward(self, support: Side, query: Side, shift: Tensor | None = None) -> AlignedPairs:
        """``shift`` (E, Q, S, D) is added to every cell of a prototype's map, for that query alone."""
        with full_precision(query.maps.device):
            evolution = self._evolution(support, query, shift)
            # What comes to every cell of a map: of the query, and of the prototype.
            moved = None
            if evolution is not None and query.values is not None:
                moved = evolution @ query.values.unsqueeze(2)
            added = None if support.values is None else support.values.unsqueeze(1)
            still: Tensor | None = shift  # of it, what is the same at all times
            if shift is not None:
                own: Tensor = shift if added is None else shift + self._rearrangement().value(shift)
                added, still = own.unsqueeze(-2) if added is None else added + own.unsqueeze(-2), own
            offset = self._offset(support, query, evolution, moved, still)
            ours, theirs = self._means(support.maps, query.maps, offset)
            ours = ours if added is None else ours + added
            theirs = theirs if moved is None else theirs + moved
            if self.spatial_first:
                ours, theirs, evolution = rearranged(ours, theirs, self._rearrangement())
            ours, theirs = torch.broadcast_tensors(ours, theirs)
            return AlignedPairs(support=ours, query=theirs, evolution=evolution, offset=offset)

    def _rearrangement(self) -> Rearrangement:
        assert self.rearrangement is not None
        return self.rearrangement

    def _evolution(self, support: Side, query: Side, shift: Tensor | None) -> Tensor | None:
        if support.keys is None or query.keys is None:
            return None
        products = torch.einsum("esxd,eqyd->eqsxy", support.keys, query.keys)
        if shift is not None:
            of_shift = torch.einsum("eqsd,eqyd->eqsy", self._rearrangement().key(shift), query.keys)
            products = products + of_shift.unsqueeze(-2)
        return softmax_scores(products, query.keys.shape[-1])

    def _offset(
        self, support: Side, query: Side, evolution: Tensor | None, moved: Tensor | None, still: Tensor | None
    ) -> Tensor | None:
        if self.spatial == "none":
            return None
        cells = _cells(support.maps)
        if self.predictor is None:
            maps = support.maps if support.values is None else support.maps + support.values.unsqueeze(-2)
            return best_offsets(maps, query.maps, cells, self.max_offset, moved)
        assert support.first is not None
        assert query.first is not None
        first = support.first.unsqueeze(1) + query.first.unsqueeze(2)
        if evolution is not None and query.response is not None:
            first = first + spread(mixed_response(evolution, query.response), cells)
        if still is not None:
            nine = still_response(self.predictor.of_constant(still, support=True), frames=support.maps.shape[2])
            first = first + spread(nine, cells)
        offset: Tensor = self.predictor(first)
        return offset

    def _means(self, support: Tensor, query: Tensor, offset: Tensor | None) -> tuple[Tensor, Tensor]:
        """Means over the cells, (E, Q, S, T, D); without offsets alike for all partners, along an axis of 1."""
        if offset is None:
            return support.mean(-2).unsqueeze(1), query.mean(-2).unsqueeze(2)
        cells = _cells(support)
        ours = overlap_weights(offset, cells, self.overlap, self.perturbation)
        theirs = overlap_weights(-offset, cells, self.overlap, self.perturbation)
        return torch.einsum("eqstp,estpd->eqstd", ours, support), torch.einsum("eqstp,eqtpd->eqstd", theirs, query)


def _cells(maps: Tensor) -> int:
    """Per side of a square map."""
    return round(maps.shape[-2] ** 0.5)

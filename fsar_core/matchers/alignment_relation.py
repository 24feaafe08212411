"""HyRSM's set attention before VIM's alignment (VIM, table 3: "an attention mechanism over all videos").

The paper says no more. Here it is HyRSM's task relation and fusion (CVPR 2022, https://arxiv.org/abs/2204.13423): every
video, averaged over frames and cells, attends to the others, and each cell is fused with the result. The fusion is
linear, so what a prototype takes in for one query is a constant on its map, and maps are fused once for all queries.
"""

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Shape
from fsar_core.frozen import Frozen
from fsar_core.matchers.set_relation import SetRelation
from fsar_core.precision import wide


class SetAttention(nn.Module):
    """Weights as in ``SetRelation``; what compares the videos afterwards is the alignment's host."""

    class Config(Frozen):
        """Defaults as in HyRSM's code."""

        heads: int = Field(default=8, ge=1)
        """D must be a multiple of it."""
        attention_dropout: float = Field(default=0.1, ge=0, lt=1)
        dropout: float = Field(default=0.05, ge=0, lt=1)

        def relation(self) -> SetRelation.Config:
            """The part of HyRSM it takes its layers from."""
            return SetRelation.Config(heads=self.heads, attention_dropout=self.attention_dropout, dropout=self.dropout)

        def build(self, shape: Shape) -> "SetAttention":
            return SetAttention(self.relation().build(shape))

    def __init__(self, whole: SetRelation) -> None:
        super().__init__()
        self.relation, self.fuse = whole.relation, whole.fuse

    def forward(self, support: Tensor, query: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(E, S, T, h, w, D) and (E, Q, T, h, w, D) maps -> both fused, and (E, Q, S, D), which is still to be added
        to every cell of a support's map for each query."""
        of_query, of_support = self.relation(wide(query).mean((2, 3, 4)), wide(support).mean((2, 3, 4)))
        own, related = self.fuse.weight.chunk(2, dim=1)
        query = F.linear(query, own, self.fuse.bias) + F.linear(of_query, related)[:, :, None, None, None]
        return F.linear(support, own, self.fuse.bias), query, wide(F.linear(of_support, related))

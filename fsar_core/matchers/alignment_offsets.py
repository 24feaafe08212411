"""VIM's offset predictor (section 3.4.4), as in TA2N's code, for all pairs of an episode at once.

The published form joins the two maps of every pair and convolves all pairs. The first convolution, nearly all of the
cost, is linear: here every map passes its own half of the kernel once, and pairs add the results. What differs from
pair to pair is constant over pixels, and passes as nine values (``alignment_convolution``).
"""

from torch import Tensor, nn

from fsar_core.matchers.alignment_convolution import constant_response, convolve

_WIDTH, _HIDDEN = 128, 64


class OffsetPredictor(nn.Module):
    """From the maps of a pair to the place of the action in one relative to the other, per frame. Starts at 0."""

    def __init__(self, dim: int, scale: float) -> None:
        """``scale``: greatest offset; 2 is the side of a map."""
        super().__init__()
        self.scale = scale
        self.conv1 = nn.Conv3d(2 * dim, _WIDTH, 3, padding=1)  # the support's channels first
        self.bn1 = nn.BatchNorm3d(_WIDTH)
        self.conv2 = nn.Conv3d(_WIDTH, _WIDTH, 3, padding=1)
        self.bn2 = nn.BatchNorm3d(_WIDTH)
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.hidden = nn.Linear(_WIDTH, _HIDDEN)
        self.last = nn.Linear(_HIDDEN, 2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def of_support(self, maps: Tensor) -> Tensor:
        """(..., T, h, w, D) -> (..., T, h, w, 128), the share of the first side in the first convolution."""
        return convolve(maps, self.conv1.weight.chunk(2, dim=1)[0])

    def of_query(self, maps: Tensor) -> Tensor:
        """The share of the second side, and the bias."""
        bias = self.conv1.bias
        assert bias is not None
        return convolve(maps, self.conv1.weight.chunk(2, dim=1)[1]) + bias

    def of_constant(self, values: Tensor, *, support: bool) -> Tensor:
        """(..., D) -> (..., 3, 3, 3, 128), the ``constant_response`` of one of the sides."""
        return constant_response(values, self.conv1.weight.chunk(2, dim=1)[0 if support else 1])

    def forward(self, first: Tensor) -> Tensor:
        """(E, Q, N, T, h, w, 128) sums of the shares -> (E, Q, N, T, 2) offsets (x, y) in [-scale, scale]."""
        pairs = self.bn1(first.flatten(0, 2).permute(0, 4, 1, 2, 3))  # in memory the channels stay last
        pairs = self.pool(pairs).relu().permute(0, 2, 3, 4, 1)
        bias = self.conv2.bias
        assert bias is not None
        pairs = self.bn2((convolve(pairs, self.conv2.weight) + bias).permute(0, 4, 1, 2, 3))
        found = self.pool(pairs).relu().amax((-2, -1)).mT  # (pairs, T, 128)
        offsets: Tensor = self.last(self.hidden(found).relu()).tanh() * self.scale
        return offsets.unflatten(0, first.shape[:3])

"""ShuffleNetV1 2.0x, three groups. Zhang et al., CVPR 2018, https://arxiv.org/abs/1707.01083.

Layers are named as in megvii-model/ShuffleNet-Series, so that its file of weights fits; none comes with this project.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

GROUPS = 3
STEM, STAGES, REPEATS = 48, (480, 960, 1920), (4, 8, 4)


def shufflenet_v1_x2_0() -> nn.ModuleDict:
    """``first_conv`` and ``features``, without the first max-pooling and the classifier."""
    stem = nn.Sequential(nn.Conv2d(3, STEM, 3, 2, 1, bias=False), nn.BatchNorm2d(STEM), nn.ReLU(inplace=True))
    return nn.ModuleDict({"first_conv": stem, "features": nn.Sequential(*_blocks())})


def _blocks() -> Sequence[nn.Module]:
    blocks: list[nn.Module] = []
    width = STEM
    for out, repeats in zip(STAGES, REPEATS, strict=True):
        for i in range(repeats):
            # The very first narrowing convolution sees so few channels that it is not grouped.
            blocks.append(_Block(width, out, strided=i == 0, first_groups=GROUPS if blocks else 1))
            width = out
    return blocks


class _Block(nn.Module):
    """Narrow, shuffle, convolve each channel, widen. Strided blocks append to the pooled input, the others add."""

    def __init__(self, width: int, out: int, *, strided: bool, first_groups: int) -> None:
        super().__init__()
        middle, stride = out // 4, 2 if strided else 1
        self.branch_main_1 = nn.Sequential(
            nn.Conv2d(width, middle, 1, groups=first_groups, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False),
            nn.BatchNorm2d(middle),
        )
        grown = out - width if strided else out
        self.branch_main_2 = nn.Sequential(
            nn.Conv2d(middle, grown, 1, groups=GROUPS, bias=False),
            nn.BatchNorm2d(grown),
        )
        self.branch_proj = nn.AvgPool2d(3, 2, 1) if strided else None

    def forward(self, maps: Tensor) -> Tensor:
        main = self.branch_main_1(maps)
        shuffled = main.unflatten(1, (-1, GROUPS)).transpose(1, 2).flatten(1, 2)
        main = self.branch_main_2(shuffled)
        if self.branch_proj is None:
            return (maps + main).relu()
        return torch.cat((self.branch_proj(maps), main.relu()), dim=1)

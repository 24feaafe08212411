"""MobileNetV1 0.75x. Howard et al., 2017, https://arxiv.org/abs/1704.04861. No weights come with this project."""

from torch import nn

_BLOCKS = ((48, 1), (96, 1), (96, 1), (192, 2), (192, 1), (384, 2), *((384, 1),) * 5, (768, 2), (768, 1))
"""Channels and stride. The second block, the first with a stride as published, has none: VIM's scan networks all lose
their first reduction after the stem, so that a map has scan size / 16 cells a side."""


def mobilenet_v1_x0_75() -> nn.ModuleDict:
    """``features``: the stem and 13 depthwise-separable blocks, without the classifier."""
    layers: list[nn.Module] = [_convolution(3, 24, 3, 2)]
    width = 24
    for out, stride in _BLOCKS:
        depthwise, pointwise = _convolution(width, width, 3, stride, groups=width), _convolution(width, out, 1, 1)
        layers.append(nn.Sequential(*depthwise, *pointwise))
        width = out
    return nn.ModuleDict({"features": nn.Sequential(*layers)})


def _convolution(width: int, out: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(width, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True))

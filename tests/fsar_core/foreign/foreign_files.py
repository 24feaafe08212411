"""State dicts by the names of the released codes, and files as they write them."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import MultiStepLR
from torchvision.models import get_model

DIM = 512
"""Of ResNet-18."""


def resnet_state(prefix: str, model: str = "resnet18") -> dict[str, Tensor]:
    """By positions in a sequence of the net's children; running statistics as after a training."""
    return {f"{prefix}.{name}": tensor for name, tensor in _children(model, torch.empty(0).is_meta).items()}


def pictures(count: int, crop: int) -> Tensor:
    """(count, 3, crop, crop) that differ in more than noise."""
    generator = torch.Generator("cpu").manual_seed(0)
    coarse = torch.rand(count, 3, 4, 4, generator=generator, device="cpu")
    return nn.functional.interpolate(coarse, size=(crop, crop), mode="bilinear")


@cache
def _children(model: str, meta: bool) -> dict[str, Tensor]:
    torch.manual_seed(3)
    net = nn.Sequential(*list(get_model(model, weights=None).children())[:-1])
    if not meta:
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 1.0
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias, std=0.2)
        with torch.no_grad():
            net.train()(pictures(16, 40))
    return dict(net.state_dict())


def linear(rows: int, columns: int, *, bias: bool = True) -> dict[str, Tensor]:
    weight = {"weight": torch.randn(rows, columns) / columns**0.5}
    return weight | ({"bias": torch.randn(rows)} if bias else {})


def norm(width: int) -> dict[str, Tensor]:
    return {"weight": torch.rand(width) + 0.5, "bias": torch.randn(width)}


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def trx_table(length: int, dim: int = DIM) -> Tensor:
    """(1, length, dim), in float32 as the code computes it."""
    place = torch.arange(length, device="cpu").unsqueeze(1)
    frequency = torch.exp(torch.arange(0, dim, 2, device="cpu") * (-torch.log(torch.tensor(1e4, device="cpu")) / dim))
    angle = place * frequency
    return 0.1 * torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1).unsqueeze(0)


def hyrsm_table(length: int, dim: int = DIM) -> Tensor:
    """(1, length, dim), entry by entry as the code does."""
    return torch.tensor(
        [
            [
                torch.sin(torch.tensor(p / 10000 ** (2 * i / dim), device="cpu")).item()
                if i % 2 == 0
                else torch.cos(torch.tensor(p / 10000 ** (2 * i / dim), device="cpu")).item()
                for i in range(dim)
            ]
            for p in range(length)
        ],
        device="cpu",
    ).unsqueeze(0)


def trx_state(
    cardinalities: Sequence[int] = (2, 3), *, width: int = 12, frames: int = 4, dim: int = DIM, backbone: str = "resnet"
) -> dict[str, Tensor]:
    model = "resnet18" if dim == DIM else "resnet50"
    state = resnet_state(backbone, model)
    for i, cardinality in enumerate(cardinalities):
        own = f"transformers.{i}"
        state |= {f"{own}.pe.pe": trx_table(int(frames * 1.5), dim)}
        state |= named(f"{own}.k_linear", linear(width, cardinality * dim))
        state |= named(f"{own}.v_linear", linear(width, cardinality * dim))
        state |= named(f"{own}.norm_k", norm(width)) | named(f"{own}.norm_v", norm(width))
    return state


def strm_state(
    cardinalities: Sequence[int] = (2,), *, width: int = 12, frames: int = 4, dim: int = DIM
) -> dict[str, Tensor]:
    state = trx_state(cardinalities, width=width, frames=frames, dim=dim)
    for name in ("key_proj", "query_proj", "value_conv"):
        state |= named(f"attn_pat.{name}", linear(dim, dim))
    state |= {"attn_pat.gamma": torch.full((1,), 0.7), "attn_pat.pe.pe": trx_table(24, dim)}
    for name, rows, columns in (("inp", dim // 2, dim), ("hid", dim // 2, dim // 2), ("out", dim, dim // 2)):
        state |= named(f"attn_pat.Bot_MLP.{name}_fc", linear(rows, columns))
    for name in ("inp", "out"):
        state |= named(f"fr_enrich.Tok_MLP.{name}_fc", linear(frames, frames))
        state |= named(f"fr_enrich.Bot_MLP.{name}_fc", linear(dim, dim))
    return state | {"fr_enrich.pe.pe": trx_table(int(frames * 1.5), dim)}


def hyrsm_state(classes: int = 7, *, dim: int = DIM, prefix: str = "head.") -> dict[str, Tensor]:
    model = "resnet18" if dim == DIM else "resnet50"
    state = resnet_state("backbone", model) | {"pe.pe": hyrsm_table(20, dim)}
    state |= named("temporal_atte_before.norm", norm(dim))
    state |= named("temporal_atte_before.fn.to_qkv", linear(3 * dim, dim, bias=False))
    state |= named("temporal_atte_before.fn.to_out.0", linear(dim, dim))
    for name in ("w_qs", "w_ks", "w_vs"):
        state |= named(f"temporal_atte.{name}", linear(dim, dim, bias=False))
    state |= named("temporal_atte.layer_norm", norm(dim)) | named("temporal_atte.fc", linear(dim, dim))
    fuse = linear(dim, 2 * dim)
    state |= {"layer2.0.weight": fuse["weight"].unsqueeze(-1), "layer2.0.bias": fuse["bias"]}
    state |= named("classification_layer", linear(classes, dim))
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def molo_state() -> dict[str, Tensor]:
    """The backbone, and a tensor of some of the other parts."""
    others = {
        "class_token": torch.randn(1, 1, DIM),
        "class_token_motion": torch.randn(1, 1, DIM),
        "motion_reduce.weight": torch.randn(4, 4, 3, 3, 3),
        "temporal_atte_before.layers.0.0.norm.weight": torch.randn(DIM),
        "temporal_atte_before_motion.layers.0.1.net.0.weight": torch.randn(4, DIM),
        "up1.conv.double_conv.0.weight": torch.randn(4, 4, 3, 3),
        "pe.pe": hyrsm_table(20),
        "scale": torch.ones(1),
    }
    return {f"head.{name}": tensor for name, tensor in (resnet_state("backbone") | others).items()}


def parallel(state: Mapping[str, Tensor], *parts: str) -> dict[str, Tensor]:
    """As several GPUs leave it: parts of the model are wrapped, each by itself."""
    return {
        name.replace(".", ".module.", 1) if name.split(".")[0] in parts else name: tensor
        for name, tensor in state.items()
    }


def write_trx(path: Path, state: Mapping[str, Tensor], iteration: int = 75000) -> Path:
    """As TRX and STRM do, with a real optimiser and its schedule."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=1e-3)
    content = {
        "iteration": iteration,
        "model_state_dict": dict(state),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler": MultiStepLR(optimizer, milestones=[1000000], gamma=0.1).state_dict(),
    }
    torch.save(content, path)
    return path


def write_alibaba(path: Path, state: Mapping[str, Tensor], cfg: str | None) -> Path:
    """As HyRSM and MoLo do, with a real optimiser; ``cfg`` is JSON text."""
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.Adam([parameter], lr=1e-3)
    parameter.sum().backward()
    optimizer.step()
    content: dict[str, Any] = {
        "epoch": 3,
        "model_state": dict(state),
        "optimizer_state": optimizer.state_dict(),
    }
    torch.save(content if cfg is None else content | {"cfg": cfg}, path)
    return path

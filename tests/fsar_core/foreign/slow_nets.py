"""The released forward passes written out slowly, video by video, on state dicts by their own names, in float64."""

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18

State = Mapping[str, Tensor]


def features(state: State, prefix: str, frames: Tensor, *, pooled: bool) -> Tensor:
    """(B, 3, H, W) -> (B, D), or the last map."""
    net = nn.Sequential(*list(resnet18(weights=None).children())[:-1]).double().eval()
    net.load_state_dict({name.removeprefix(f"{prefix}."): t for name, t in state.items() if name.startswith(prefix)})
    with torch.no_grad():
        return net(frames).flatten(1) if pooled else net[:-1](frames)


def layer(state: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))


def normed(state: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])


def relation(state: State, support: Tensor, query: Tensor) -> Tensor:
    """TRX's cross-transformers: (N, K, T, D) and (Q, T, D) -> (Q, N)."""
    branches: list[Tensor] = []
    count = len({name.split(".")[1] for name in state if name.startswith("transformers.")})
    for i in range(count):
        own, (ways, shots, frames, dim) = f"transformers.{i}", support.shape
        table = state[f"{own}.pe.pe"][0, :frames]
        size = state[f"{own}.k_linear.weight"].shape[1] // dim
        tuples = list(combinations(range(frames), size))
        joined = [torch.stack([(v + table)[list(t)].flatten() for t in tuples]) for v in support.flatten(0, 1)]
        supports = torch.stack(joined).unflatten(0, (ways, shots))
        logits = torch.zeros(len(query), ways, dtype=query.dtype)
        for q, video in enumerate(query):
            asked = torch.stack([(video + table)[list(t)].flatten() for t in tuples])
            keys, values = (
                normed(state, f"{own}.norm_k", layer(state, f"{own}.k_linear", asked)),
                layer(state, f"{own}.v_linear", asked),
            )
            for n in range(ways):
                pool = supports[n].flatten(0, 1)
                others = normed(state, f"{own}.norm_k", layer(state, f"{own}.k_linear", pool))
                weights = (keys @ others.T / keys.shape[1] ** 0.5).softmax(1)
                prototypes = weights @ layer(state, f"{own}.v_linear", pool)
                logits[q, n] = -((values - prototypes) ** 2).sum() / len(tuples)
        branches.append(logits)
    return torch.stack(branches).mean(0)


def trx_logits(state: State, videos: Tensor, way: int, shot: int, prefix: str = "resnet") -> Tensor:
    """(V, T, 3, H, W), supports first, class by class -> (Q, N)."""
    pooled = features(state, prefix, videos.flatten(0, 1), pooled=True).unflatten(0, videos.shape[:2])
    return relation(state, pooled[: way * shot].unflatten(0, (way, shot)), pooled[way * shot :])


def strm_logits(state: State, videos: Tensor, way: int, shot: int) -> Tensor:
    """Without the query-class similarity."""
    maps = features(state, "resnet", videos.flatten(0, 1), pooled=False)
    x = F.adaptive_max_pool2d(maps, (4, 4)).flatten(2).mT + state["attn_pat.pe.pe"][0, :16]
    scores = layer(state, "attn_pat.query_proj", x) @ layer(state, "attn_pat.key_proj", x).mT
    x = state["attn_pat.gamma"] * (scores.softmax(-1) @ layer(state, "attn_pat.value_conv", x)) + x
    hidden = F.relu(layer(state, "attn_pat.Bot_MLP.inp_fc", x))
    hidden = F.relu(layer(state, "attn_pat.Bot_MLP.hid_fc", hidden))
    frames = (layer(state, "attn_pat.Bot_MLP.out_fc", hidden) + x).mean(1).unflatten(0, videos.shape[:2])
    frames = frames + state["fr_enrich.pe.pe"][0, : videos.shape[1]]
    mixed = layer(state, "fr_enrich.Tok_MLP.out_fc", F.relu(layer(state, "fr_enrich.Tok_MLP.inp_fc", frames.mT)))
    frames = mixed.mT + frames
    frames = layer(state, "fr_enrich.Bot_MLP.out_fc", F.relu(layer(state, "fr_enrich.Bot_MLP.inp_fc", frames))) + frames
    return relation(state, frames[: way * shot].unflatten(0, (way, shot)), frames[way * shot :])


def heads_apart(x: Tensor, heads: int) -> Tensor:
    """(L, D) -> (heads, L, D / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(0, 1)


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """(L, D) each -> (L, D)."""
    q, k, v = (heads_apart(x, heads) for x in (q, k, v))
    return ((q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v).transpose(0, 1).flatten(1)


def hyrsm_logits(
    state: State, videos: Tensor, way: int, shot: int, *, one_shot: bool, a: float, b: float, heads: int = 8
) -> Tensor:
    """``one_shot``: the head that keeps all supports and averages distances; else that of averaged features."""
    state = {name.removeprefix("head."): tensor for name, tensor in state.items()}
    pooled = features(state, "backbone", videos.flatten(0, 1), pooled=True).unflatten(0, videos.shape[:2])
    dim, found = pooled.shape[-1], list[Tensor]()
    for x in pooled:
        x = x * (dim / a) ** 0.5 + b * state["pe.pe"][0, : len(x)]
        q, k, v = layer(state, "temporal_atte_before.fn.to_qkv", normed(state, "temporal_atte_before.norm", x)).chunk(
            3, dim=-1
        )
        out = layer(state, "temporal_atte_before.fn.to_out.0", attention(q, k, v, heads))
        found.append(F.relu(out + x))
    supports = torch.stack(found[: way * shot])
    if not one_shot:
        supports = supports.unflatten(0, (way, shot)).mean(1)
    rows: list[Tensor] = []
    for query in found[way * shot :]:
        tokens = torch.cat((supports.mean(1), query.mean(0, keepdim=True)))
        q, k, v = (layer(state, f"temporal_atte.w_{name}s", tokens) for name in "qkv")
        out = layer(state, "temporal_atte.fc", attention(q, k, v, heads))
        related = F.relu(normed(state, "temporal_atte.layer_norm", out + tokens))
        asked = _fused(state, query, related[-1])
        distances = [_hausdorff(_fused(state, s, r), asked) for s, r in zip(supports, related, strict=False)]
        rows.append(-torch.stack(distances).unflatten(0, (way, -1)).mean(1))
    return torch.stack(rows)


def _fused(state: State, frames: Tensor, whole: Tensor) -> Tensor:
    joined = torch.cat((frames, whole.expand_as(frames)), dim=1)
    return F.conv1d(joined.T.unsqueeze(0), state["layer2.0.weight"], state["layer2.0.bias"])[0].T


def _hausdorff(support: Tensor, query: Tensor) -> Tensor:
    distances = 1 - F.normalize(support, dim=1) @ F.normalize(query, dim=1).T
    return distances.min(1).values.sum() + distances.min(0).values.sum()

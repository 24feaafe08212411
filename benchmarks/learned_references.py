"""Matchers with weights the way published code computes them: joined tuples, copies for every query, joined maps."""

import math
from functools import cache
from itertools import combinations, product

import torch
from references import labels_of, of_class
from torch import Tensor
from torch.nn import functional as F

from fsar_core.episode import Features
from fsar_core.matchers import PairAlignment, QueryClass, SetRelation, Trx


def trx(matcher: Trx, features: Features) -> Tensor:
    """As ``TemporalCrossTransformer.forward`` of https://github.com/tobyperrett/trx, which STRM took over: tuples are
    joined and projected, then class by class, with a softmax for every query by itself."""
    query, support, labels = features.query, features.support.flatten(0, 1), labels_of(features)
    branches: list[Tensor] = []
    for i, cardinality in enumerate(matcher.config.cardinalities):
        part = f"branches.{i}"
        code = matcher.positions[: query.shape[-2]].to(query.dtype)
        both = [_joined(frames + code, cardinality) for frames in (query, support)]
        (query_keys, query_values), (keys, values) = (_keys_and_values(matcher, part, own) for own in both)
        found = query.new_zeros(len(query), len(features.support))
        for label in labels.unique():
            own_keys = keys.index_select(0, of_class(labels, label))
            own_values = values.index_select(0, of_class(labels, label))
            scores = query_keys.unsqueeze(1) @ own_keys.mT / math.sqrt(own_keys.shape[-1])  # (Q, K, M', M)
            scores = scores.transpose(1, 2).flatten(2)
            weights = torch.cat([of_query.softmax(-1) for of_query in scores])
            weights = weights.view(*scores.shape[:2], len(own_keys), -1).transpose(1, 2)
            gaps = query_values - (weights @ own_values).sum(1)
            found[:, label] = -(gaps.norm(dim=(-2, -1)) ** 2 / gaps.shape[1])
        branches.append(found)
    return torch.stack(branches, dim=-1).mean(-1)


@cache
def _tuples(frames: int, cardinality: int) -> list[Tensor]:
    """Made once, as in the constructors of the published modules."""
    return [torch.tensor(own) for own in combinations(range(frames), cardinality)]


def _joined(frames: Tensor, cardinality: int) -> Tensor:
    """(V, T, D) -> (V, M, cardinality * D)."""
    chosen = _tuples(frames.shape[-2], cardinality)
    return torch.stack([frames.index_select(-2, own).reshape(len(frames), -1) for own in chosen], dim=-2)


def _keys_and_values(matcher: Trx, part: str, tuples: Tensor) -> tuple[Tensor, Tensor]:
    of = matcher.get_submodule(part)
    return of.get_submodule("key_norm")(of.get_submodule("key")(tuples)), of.get_submodule("value")(tuples)


def query_class(matcher: QueryClass, features: Features) -> Tensor:
    """As ``DistanceLoss.forward`` of https://github.com/Anirudh257/strm: all queries are projected at once, supports
    class by class, and a class has a matrix of distances of its own."""
    query, support, labels = features.query, features.support.flatten(0, 1), labels_of(features)
    branches: list[Tensor] = []
    for i, cardinality in enumerate(matcher.config.cardinalities):
        project = matcher.get_submodule(f"branches.{i}.projection")
        support_tuples, query_tuples = _joined(support, cardinality), _joined(query, cardinality)
        rows = project(query_tuples.flatten(0, 1)).relu()
        found = query.new_zeros(len(query), len(features.support))
        for label in labels.unique():
            own = project(support_tuples.index_select(0, of_class(labels, label)).flatten(0, 1)).relu()
            nearest = torch.cdist(rows, own).min(1).values.view(len(query), -1)
            found[:, label] = -nearest.mean(1)
        branches.append(found)
    return torch.stack(branches).mean(0)


def set_relation(matcher: SetRelation, features: Features) -> Tensor:
    """Relation, fusion and normalisation on copies of the prototypes for every query."""
    prototypes, query, heads = features.support.mean(1), features.query, matcher.config.heads
    copies = prototypes.expand(len(query), *prototypes.shape)
    tokens = torch.cat((copies.mean(2), query.mean(1, keepdim=True)), dim=1)
    relation = matcher.relation
    q, k, v = (own.unflatten(-1, (heads, -1)).transpose(1, 2) for own in relation.qkv(tokens).chunk(3, dim=-1))
    attended = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
    related = relation.norm(relation.out(attended.transpose(1, 2).flatten(2)) + tokens).relu()
    videos = torch.cat((copies, query.unsqueeze(1)), dim=1)
    fused = matcher.fuse(torch.cat((videos, related.unsqueeze(2).expand_as(videos)), dim=-1))
    fused = F.normalize(fused, dim=-1)
    distances = 1 - fused[:, -1:] @ fused[:, :-1].mT
    return -(distances.min(3).values.sum(2) + distances.min(2).values.sum(2))


def pair_alignment(matcher: PairAlignment, features: Features) -> Tensor:
    """The maps of every pair joined and convolved; nine masks for every frame of every pair.

    Maps are (N, K, T, D, h, w) and (Q, T, D, h, w). Defaults of the configuration only.
    """
    attention, predictor = matcher.pairs.rearrangement, matcher.pairs.predictor
    assert attention is not None
    assert predictor is not None
    support, query = features.support.mean(1), features.query
    pooled, theirs = support.mean((-2, -1)), query.mean((-2, -1))
    products = torch.einsum("nxd,qyd->qnxy", attention.key(pooled), attention.query(theirs))
    moved = (products / pooled.shape[-1] ** 0.5).softmax(-1) @ attention.value(theirs).unsqueeze(1)
    ours = support + attention.value(pooled)[..., None, None]
    ours = ours.expand(len(query), *ours.shape).flatten(0, 1)  # (Q * N, T, D, h, w)
    theirs = (query.unsqueeze(1) + moved[..., None, None]).flatten(0, 1)
    x = predictor.bn1(predictor.conv1(torch.cat((ours, theirs), dim=2).transpose(1, 2)))
    x = F.max_pool3d(x, (1, 2, 2)).relu()
    x = F.max_pool3d(predictor.bn2(predictor.conv2(x)), (1, 2, 2)).relu()
    x = predictor.hidden(x.amax((-2, -1)).mT).relu()
    offset = predictor.last(x).tanh() * predictor.scale
    cosines = F.cosine_similarity(_nine_means(ours, offset), _nine_means(theirs, -offset), dim=-1)
    return (cosines - 1).sum(-1).view(len(query), -1)


def _nine_means(maps: Tensor, offset: Tensor) -> Tensor:
    """(P, T, D, h, w) and (P, T, 2) -> (P, T, D)."""
    cells = maps.shape[-1]
    places = torch.linspace(-1, 1, cells)
    means: list[Tensor] = []
    for shift in product((-0.2, 0.0, 0.2), repeat=2):
        moved = (offset + torch.tensor(shift)).unsqueeze(-1) + places
        inside = (1 - (moved.abs() - 1) * (cells - 1) / 2).clamp(0, 1)
        mask = inside[..., 1, :].unsqueeze(-1) * inside[..., 0, :].unsqueeze(-2)
        mask = mask / mask.sum((-2, -1), keepdim=True)
        means.append((maps * mask.unsqueeze(2)).sum((-2, -1)))
    return torch.stack(means).mean(0)

"""Matchers without weights the way published code computes them: cell by cell, pair by pair, class by class."""

import math
from itertools import combinations, product

import torch
from torch import Tensor
from torch.nn import functional as F

from fsar_core.episode import Features


def labels_of(features: Features) -> Tensor:
    """(S) class of each support video, in the order of ``support.flatten(0, 1)``."""
    way, shot = features.support.shape[:2]
    return torch.arange(way).repeat_interleave(shot)


def of_class(labels: Tensor, label: Tensor) -> Tensor:
    """Where the support videos of a class are: looked up again by every class, as in all of these repositories."""
    return (labels == label).nonzero().reshape(-1)


def otam(features: Features) -> Tensor:
    """As ``CNN_OTAM.forward`` and ``cos_sim`` of https://github.com/tobyperrett/few-shot-action-recognition."""
    query, support, labels = features.query.flatten(0, 1), features.support.flatten(0, 2), labels_of(features)
    products = query @ support.mT
    norms = query.norm(dim=-1).unsqueeze(-1) @ support.norm(dim=-1).unsqueeze(-1).mT + 0.01
    shape = (len(features.query), features.query.shape[1], len(labels), features.support.shape[2])
    distances = (1 - products / norms).view(shape).transpose(1, 2)
    costs = _otam_costs(distances, 0.1) + _otam_costs(distances.mT, 0.1)
    classes = [costs.index_select(1, of_class(labels, label)).mean(1) for label in labels.unique()]
    return -torch.stack(classes).mT


def _otam_costs(distances: Tensor, lam: float) -> Tensor:
    """As ``OTAM_cum_dist``: one slice over the pairs for each cell of a table that is written in place."""
    distances = F.pad(distances, (1, 1))
    cost = torch.zeros_like(distances)
    rows, columns = distances.shape[-2:]
    for m in range(1, columns):
        cost[:, :, 0, m] = distances[:, :, 0, m] + cost[:, :, 0, m - 1]
    for row, m in product(range(1, rows), range(1, columns)):
        total = (-cost[:, :, row - 1, m - 1] / lam).exp() + (-cost[:, :, row, m - 1] / lam).exp()
        if m in (1, columns - 1):
            total = total + (-cost[:, :, row - 1, m] / lam).exp()
        cost[:, :, row, m] = distances[:, :, row, m] - lam * total.log()
    return cost[:, :, -1, -1]


def bimhm(features: Features) -> Tensor:
    """With a copy of the prototypes for every query."""
    prototypes = features.support.mean(1)
    copies = (len(features.query), *prototypes.shape)
    support = F.normalize(prototypes.expand(copies).contiguous(), dim=-1)
    query = F.normalize(features.query.unsqueeze(1).expand(copies).contiguous(), dim=-1)
    distances = 1 - query @ support.mT
    return -(distances.min(3).values.sum(2) + distances.min(2).values.sum(2))


def protonet(features: Features) -> Tensor:
    """Both sides expanded to (N, Q, T, D)."""
    prototypes = features.support.mean(1)
    shape = (len(prototypes), *features.query.shape)
    query, support = features.query.expand(shape).contiguous(), prototypes.unsqueeze(1).expand(shape).contiguous()
    return (F.cosine_similarity(query, support, dim=-1) - 1).sum(-1).T


def soft_dtw(features: Features) -> Tensor:
    """Cell by cell, one slice over the pairs each."""
    costs = _prototype_costs(features)
    rows, columns = costs.shape[-2:]
    far = costs.new_full(costs.shape[:2], 1e10)
    table = {(i, 0): far for i in range(rows + 1)} | {(0, j): far for j in range(columns + 1)}
    table[0, 0] = torch.zeros_like(far)
    for i, j in product(range(1, rows + 1), range(1, columns + 1)):
        before = torch.stack([table[i - 1, j - 1], table[i - 1, j], table[i, j - 1]])
        table[i, j] = costs[:, :, i - 1, j - 1] - 0.1 * torch.logsumexp(-before / 0.1, dim=0)
    return -table[rows, columns]


def _prototype_costs(features: Features) -> Tensor:
    """(Q, N, T', T), 1 - cosine."""
    query, support = F.normalize(features.query, dim=-1), F.normalize(features.support.mean(1), dim=-1)
    return 1 - query.unsqueeze(1) @ support.mT


def drop_dtw(features: Features) -> Tensor:
    """Costs pair by pair, then cell by cell with one slice over the pairs each."""
    cosines = (1 - _prototype_costs(features)).mT.flatten(0, 1)
    costs = [_drop_costs(pair) for pair in cosines]
    match, drop = torch.stack([own for own, _ in costs], -1), torch.stack([own for _, own in costs], -1)
    rows, columns, pairs = match.shape
    far = match.new_full((pairs,), 1e10)
    done = {(i, 0): far for i in range(rows + 1)} | {(0, j): drop[:j].sum(0) for j in range(columns + 1)}
    matched = {(i, 0): far for i in range(rows + 1)} | {(0, j): far for j in range(columns + 1)}
    for i, j in product(range(1, rows + 1), range(1, columns + 1)):
        matched[i, j] = _weighted([done[i - 1, j - 1], matched[i, j - 1]]) + match[i - 1, j - 1]
        done[i, j] = _weighted([done[i, j - 1] + drop[j - 1], matched[i, j]])
    return -(done[rows, columns] / columns).view(len(features.query), -1)


def _drop_costs(cosines: Tensor) -> tuple[Tensor, Tensor]:
    bar = cosines.flatten().topk(int(0.3 * cosines.numel())).values[-1].detach()
    entries = torch.cat((cosines, bar.expand(1, cosines.shape[1])))
    costs = -((entries / 0.1).softmax(0) + 1e-5).log()
    return costs[:-1], costs[-1]


def _weighted(costs: list[Tensor]) -> Tensor:
    stacked = torch.stack(costs)
    return ((-stacked / 0.1).softmax(0) * stacked).sum(0)


def vava(features: Features) -> Tensor:
    """Pair by pair, the priors entry by entry."""
    squared = 2 * _prototype_costs(features)
    return torch.stack([torch.stack([_vava_score(pair) for pair in row]) for row in squared])


def _vava_score(squared: Tensor) -> Tensor:
    rows, columns = (length + 1 for length in squared.shape)
    nearest = squared.argmin(1).tolist()
    prior, closeness = torch.zeros(rows, columns), torch.zeros(rows, columns)
    width, near, phi = math.sqrt(rows**-2 + columns**-2), rows + columns - 2, 0.999
    for i, j in product(range(rows), range(columns)):
        gaps = (abs((i + 1) / rows - (j + 1) / columns), abs(j - (nearest[i - 1] if i else 0)) / columns)
        if (i == 0) != (j == 0):
            gaps = (15 / (rows + columns),) * 2
        for share, gap in zip((phi, 1 - phi), gaps, strict=True):
            prior[i, j] += share * math.exp(-((gap / width) ** 2) / 8) / (2 * math.sqrt(2 * math.pi))
            closeness[i, j] += share * near / (gap**2 + 1)
    costs = F.pad(squared, (1, 0, 1, 0), value=0.5)
    kernel = (prior * ((closeness - costs) / (0.1 * (rows - 1) * (columns - 1) / 4)).exp()).clamp(1e-15, 1e20)
    u, v = torch.full((rows, 1), 1 / rows), torch.ones(columns, 1)
    for _ in range(21):
        v = 1 / columns / (kernel.T @ u)
        u = 1 / rows / (kernel @ v)
    return -(u * kernel * costs * v.T).sum()


def exhaustive_temporal(features: Features) -> Tensor:
    """Query by query and class by class, all pairs of joined tuples."""
    frames, prototypes = features.query.shape[1], features.support.mean(1)
    return torch.stack(
        [torch.stack([_tuple_score(query, own) * frames for own in prototypes]) for query in features.query]
    )


def _tuple_score(query: Tensor, support: Tensor) -> Tensor:
    found: list[Tensor] = []
    for w in (2, 3):
        chosen = torch.tensor(list(combinations(range(len(query)), w)))
        ours, theirs = (F.normalize(own[chosen].flatten(1), dim=-1) for own in (query, support))
        found.append((ours @ theirs.mT - 1).mean())
    return torch.stack(found).mean()


def exhaustive_spatial(features: Features) -> Tensor:
    """Maps (N, K, T, D, h, w) and (Q, T, D, h, w), pair by pair and shift by shift."""
    prototypes = features.support.mean(1)
    return torch.stack([torch.stack([_shift_score(query, own) for own in prototypes]) for query in features.query])


def _shift_score(query: Tensor, support: Tensor) -> Tensor:
    cells = query.shape[-1]
    found: list[Tensor] = []
    for dy, dx in product(range(1 - cells, cells), repeat=2):
        ours = support[..., max(0, -dy) : cells - max(0, dy), max(0, -dx) : cells - max(0, dx)]
        theirs = query[..., max(0, dy) : cells - max(0, -dy), max(0, dx) : cells - max(0, -dx)]
        found.append(1 - F.cosine_similarity(theirs.mean((-2, -1)), ours.mean((-2, -1)), dim=-1))
    return -torch.stack(found).amin(0).sum()

"""Times matchers beside the loops of published code, both in one run, after checking that their logits agree.

python benchmarks/matchers.py [--threads 2] [--repeats 15]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from fsar_core.episode import Features, Shape
from fsar_core.matchers import BiMhm, Matcher, Otam, ProtoNet
from fsar_core.matchers.cosine import frame_cosine

WAY, QUERIES, FRAMES, DIM = 5, 25, 8, 2048


def loop_alignment(distances: Tensor, lam: float) -> Tensor:
    """(Q, S, T, T) -> (Q, S), cell by cell as the published recursion, one slice over the pairs per cell."""
    padded = F.pad(distances, (1, 1))
    rows, columns = padded.shape[-2:]
    cost = [[padded.new_zeros(padded.shape[:2]) for _ in range(columns)] for _ in range(rows)]
    for m in range(1, columns):
        cost[0][m] = padded[..., 0, m] + cost[0][m - 1]
    for row in range(1, rows):
        for m in range(1, columns):
            before = [cost[row - 1][m - 1], cost[row][m - 1]] + ([cost[row - 1][m]] if m in (1, columns - 1) else [])
            total = sum(((-one / lam).exp() for one in before), start=torch.zeros(()))
            cost[row][m] = padded[..., row, m] - lam * total.log()
    return cost[-1][-1]


def loop_otam(features: Features) -> Tensor:
    cosines = frame_cosine(features.query, features.support.flatten(0, 1), 0.01)
    distances = (1 - cosines).transpose(-3, -2)
    costs = loop_alignment(distances, 0.1) + loop_alignment(distances.mT, 0.1)
    return -torch.stack([of_class.mean(1) for of_class in costs.chunk(WAY, dim=1)], dim=1)


def loop_bimhm(features: Features) -> Tensor:
    """With a copy of the prototypes for every query, as the published head makes."""
    prototypes = features.support.mean(1)
    support = F.normalize(prototypes.expand(len(features.query), *prototypes.shape).contiguous(), dim=-1)
    query = F.normalize(features.query.unsqueeze(1).expand(-1, WAY, -1, -1).contiguous(), dim=-1)
    distances = 1 - query @ support.mT
    return -(distances.min(3).values.sum(2) + distances.min(2).values.sum(2))


def loop_protonet(features: Features) -> Tensor:
    """Both sides expanded to (N, Q, T, D), as published."""
    prototypes = features.support.mean(1)
    shape = (WAY, len(features.query), FRAMES, DIM)
    cosines = F.cosine_similarity(features.query.expand(shape).contiguous(), prototypes.unsqueeze(1).expand(shape), -1)
    return -(1 - cosines).sum(-1).T


def episode(shot: int) -> Features:
    """Non-negative, like the output of a ReLU backbone."""
    generator = torch.Generator().manual_seed(0)
    support = torch.rand((WAY, shot, FRAMES, DIM), generator=generator).requires_grad_()
    return Features(support=support, query=torch.rand((QUERIES, FRAMES, DIM), generator=generator).requires_grad_())


def milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def compare(one: Callable[[], object], other: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Medians of two works done in turn, so that a busy machine slows both."""
    pairs = [(milliseconds(one), milliseconds(other)) for _ in range(repeats + 2)][2:]
    ours, theirs = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(theirs)


def rows(name: str, matcher: Matcher, loop: Callable[[Features], Tensor], shot: int, repeats: int) -> list[list[str]]:
    features = episode(shot)
    torch.testing.assert_close(matcher(features).logits, loop(features), rtol=1e-4, atol=1e-4)

    def forward(logits: Callable[[], Tensor]) -> Callable[[], object]:
        return torch.no_grad()(logits)

    def backward(logits: Callable[[], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(logits().square().sum(), (features.support, features.query))

    found: list[list[str]] = []
    for what, work in (("forward", forward), ("forward + backward", backward)):
        ours, theirs = compare(work(lambda: matcher(features).logits), work(lambda: loop(features)), repeats)
        found.append([name, str(shot), what, f"{ours:.2f}", f"{theirs:.2f}", f"{theirs / ours:.1f}"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    table = Table("matcher", "shots", "what", "ours, ms", "loops, ms", "times faster")
    table.title = f"{WAY}-way, {QUERIES} queries, {FRAMES} frames of {DIM} channels, float32, {options.threads} threads"
    shape = Shape(level="frame", frames=FRAMES, dim=DIM)
    for shot in (1, 5):
        for name, config, loop in (
            ("OTAM", Otam.Config(), loop_otam),
            ("Bi-MHM", BiMhm.Config(), loop_bimhm),
            ("ProtoNet", ProtoNet.Config(), loop_protonet),
        ):
            for row in rows(name, config.build(shape), loop, shot, options.repeats):
                table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()

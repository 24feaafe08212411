"""What it takes to match the episodes of a test, measured on noise: a part of them stands for all."""

import time
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.cost import BASE_CLASSES
from fsar_core.evaluate import gathered, pair_table, table_pays
from fsar_core.matchers import Matcher, PairMatcher
from fsar_core.trial import clip_size

_LONG_ENOUGH_S = 0.3
_CLIPS = 64
"""Of noise, from which episodes are picked."""


@torch.inference_mode()
def matching_seconds(run: RunConfig, evaluation: EvalConfig, clips: int, device: torch.device) -> float:
    """Of all episodes of ``evaluation`` over a split of ``clips``, whose features are at hand.

    Raises ValueError for a method without heads, which answers no episode.
    """
    method = (evaluation.method or run.method).for_test()
    if not method.heads:
        raise ValueError("matching needs a method with heads, got one without; name another run")
    shapes = method.wiring(run.data.frames, run.data.crop, BASE_CLASSES).shapes
    total = 0.0
    for head in method.heads:
        matcher = cast(Matcher, head.matcher.build(shapes[head.reads]).to(device).eval())
        noise = torch.randn((_CLIPS, *clip_size(shapes[head.reads])), generator=torch.Generator().manual_seed(0))
        total += _of_head(matcher, noise.to(device), evaluation, clips)
    return total


def _of_head(matcher: Matcher, noise: Tensor, evaluation: EvalConfig, clips: int) -> float:
    way, shot, queries = evaluation.way, evaluation.shot, evaluation.way * evaluation.queries
    if matcher.shot_rule(shot) is not None and table_pays(evaluation.episodes * queries * way * shot, clips):
        pairs = cast(PairMatcher, matcher)
        rows = _per_unit(lambda count: pair_table(pairs, noise[torch.arange(count) % _CLIPS], noise), noise)
        return rows * clips * clips / _CLIPS

    drawn = torch.Generator().manual_seed(0)

    def episodes(count: int) -> Tensor:
        support = torch.randint(_CLIPS, (count, way, shot), generator=drawn)
        query = torch.randint(_CLIPS, (count, queries), generator=drawn)
        return gathered(matcher, noise, support, query, noise.device)

    return _per_unit(episodes, noise) * evaluation.episodes


def _per_unit(work: Callable[[int], Tensor], noise: Tensor) -> float:
    """Seconds of one of many: their number is doubled until they take long enough to be timed."""
    work(1)  # what only the first call takes
    count = 1
    while True:
        began = time.perf_counter()
        work(count)
        if noise.is_cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
        if seconds >= _LONG_ENOUGH_S:
            return seconds / count
        count *= 2

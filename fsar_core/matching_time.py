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
_BLOCK = 64
"""Clips of noise, and at most so many episodes or rows of a table at once."""


@torch.inference_mode()
def matching_seconds(run: RunConfig, evaluation: EvalConfig, clips: int, device: torch.device) -> float:
    """Of all episodes of ``evaluation`` over a split of ``clips``, whose features are at hand.

    Raises ValueError for a method without heads, which answers no episode.
    """
    method = (evaluation.method or run.method).for_test()
    if not method.heads:
        raise ValueError("matching needs a method with heads, got one without; name another run")
    shapes = method.wiring(run.data.frames, run.data.crop, BASE_CLASSES).shapes
    by_episode, total = method.frame_sampler.by_episode(), 0.0
    for head in method.heads:
        matcher = cast(Matcher, head.matcher.build(shapes[head.reads]).to(device).eval())
        noise = torch.randn((_BLOCK, *clip_size(shapes[head.reads])), generator=torch.Generator().manual_seed(0))
        total += _of_head(matcher, noise.to(device), evaluation, clips, by_episode=by_episode)
    return total


def _of_head(matcher: Matcher, noise: Tensor, evaluation: EvalConfig, clips: int, *, by_episode: bool) -> float:
    """``by_episode``: the frames of each episode are its own, so that it is matched by itself."""
    way, shot, queries = evaluation.way, evaluation.shot, evaluation.way * evaluation.queries
    table = matcher.shot_rule(shot) is not None and table_pays(evaluation.episodes * queries * way * shot, clips)
    if table and not by_episode:
        pairs = cast(PairMatcher, matcher)
        return _per_unit(lambda rows: pair_table(pairs, noise[:rows], noise), noise.device) * clips * clips / _BLOCK
    drawn = torch.Generator().manual_seed(0)

    def episodes(count: int) -> Tensor:
        support = torch.randint(_BLOCK, (count, way, shot), generator=drawn)
        query = torch.randint(_BLOCK, (count, queries), generator=drawn)
        return gathered(matcher, noise, support, query, noise.device)

    return _per_unit(episodes, noise.device, most=1 if by_episode else _BLOCK) * evaluation.episodes


def _per_unit(work: Callable[[int], Tensor], device: torch.device, most: int = _BLOCK) -> float:
    """Seconds of one of many, of which ``work`` does so many at once: more of them, then again and again, until they
    take long enough to be timed."""
    _timed(work, 1, 1, device)  # what only the first call takes
    count = times = 1
    while (seconds := _timed(work, count, times, device)) < _LONG_ENOUGH_S:
        count, times = (2 * count, times) if count < most else (count, 2 * times)
    return seconds / (count * times)


def _timed(work: Callable[[int], Tensor], count: int, times: int, device: torch.device) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work(count)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began

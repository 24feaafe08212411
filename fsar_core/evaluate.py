"""Accuracy over thousands of episodes. Each video is embedded once; episodes are look-ups in the table of features.

Where a method chooses frames by the supports of the episode, only its scans are computed once per video. (A selector
that does not change pixels would also allow to keep the backbone's map of every frame; that is not done, since the
published sampler changes them by the episode.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from fsar_core.config import EvalConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.episodes import EpisodeList, fixed_episodes
from fsar_core.data.frame_sampling import FrameSampling
from fsar_core.data.subsets import Subset, no_longer_than
from fsar_core.data.transforms import normalise
from fsar_core.embedding import known_per_clip
from fsar_core.episode import Clips, Episode, Features, Sampled
from fsar_core.matchers import Matcher, PairMatcher
from fsar_core.method import Method
from fsar_core.precision import Precision, mixed

_BYTES_AT_ONCE = 64 << 20
_BYTES_ON_CPU = 1 << 20
"""Of features, from which matching makes many times as much: more would leave the caches of a processor."""
_EPISODES_ON_CPU, _ROWS_ON_CPU = 8, 16
"""At least, however large their features are."""
_GATHERING = 3
"""A pair costs about this many times more among an episode's gathered clips than in the table of all clips."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A measurement. ``ci95`` is 1.96 * sd / sqrt(episodes), the literature's "±": it covers the draw of episodes."""

    accuracy: float
    """Share of all queries, exact: as many right answers give the same number, however they lie in the episodes."""
    ci95: float
    correct: np.ndarray
    """(episodes,) uint16, queries answered correctly."""
    queries: int
    """Queries per episode."""
    per_class: dict[str, float]


def evaluate(
    method: Method,
    source: ClipSource,
    config: EvalConfig,
    device: torch.device,
    known: Mapping[str, Tensor] | None = None,
    precision: Precision = "fp32",
) -> Evaluation:
    """What ``config`` asks for, of ``method`` on the clips of ``source``. Leaves ``method`` in the mode it was in.

    ``known`` is what ``known_per_clip`` gives of all clips under the same frame sampling, where it is at hand already.
    ``precision`` is that of sampler, backbone and steps; heads always compute in float32.
    """
    episodes = episodes_of(source, config)
    return evaluate_episodes(method, source, episodes, device, config.frame_sampling, known, precision)


def episodes_of(source: ClipSource, config: EvalConfig) -> EpisodeList:
    """The episodes of a measurement. Those of short clips have a name, and so draws, of their own.

    ``source`` are the clips of ``config.split``. Raises ValueError if they are others, where classes or clips are too
    few, or the length of a clip is not known.
    """
    if source.split != config.split:
        raise ValueError(f"the evaluation is of split {config.split!r}, but the clips are of {source.split!r}")
    drawn_from = subset_of(source, config)
    drawn = fixed_episodes(
        drawn_from.members,
        way=config.way,
        shot=config.shot,
        queries=config.queries,
        count=config.episodes,
        seed=config.seed,
        fingerprint=_episodes_name(source.fingerprint, config),
    )
    return replace(drawn, classes=np.searchsorted(source.labels, drawn_from.labels)[drawn.classes])


def subset_of(source: ClipSource, config: EvalConfig) -> Subset:
    """The clips from which the episodes are drawn. Raises ValueError where the length of a clip is not known."""
    if config.max_seconds is None:
        return Subset(labels=source.labels, members=source.members, too_small={})
    return no_longer_than(source.clips, config.max_seconds, per_class=config.shot + config.queries)


def _episodes_name(fingerprint: str, config: EvalConfig) -> str:
    """With way, shot, queries and seed this fixes the episodes."""
    return fingerprint if config.max_seconds is None else f"{fingerprint} up to {config.max_seconds} s"


def evaluate_episodes(
    method: Method,
    source: ClipSource,
    episodes: EpisodeList,
    device: torch.device,
    sampling: FrameSampling | None = None,
    known: Mapping[str, Tensor] | None = None,
    precision: Precision = "fp32",
) -> Evaluation:
    """Accuracy over a list of episodes; ``known`` from ``known_per_clip`` is reused where given."""
    if known is None:
        known = known_per_clip(method, source, device, sampling, precision)
    if method.config.frame_sampler.by_episode():
        logits = episodic_logits(method, source, known, episodes, device, sampling, precision)
    else:
        logits = cached_logits(method, known, episodes, device)
    right = logits.argmax(-1).cpu().numpy() == episodes.labels
    accuracies = right.mean(1)
    asked = episodes.classes[:, episodes.labels]
    total = np.bincount(asked.ravel(), minlength=len(source.labels))
    hits = np.bincount(asked.ravel(), weights=right.ravel(), minlength=len(source.labels))
    return Evaluation(
        accuracy=float(right.mean()),
        ci95=float(1.96 * accuracies.std(ddof=1) / np.sqrt(len(episodes))) if len(episodes) > 1 else 0.0,
        correct=right.sum(1).astype(np.uint16),
        queries=right.shape[1],
        per_class={label: float(h / t) for label, h, t in zip(source.labels, hits, total, strict=True) if t},
    )


@torch.inference_mode()
def cached_logits(
    method: Method, features: Mapping[str, Tensor], episodes: EpisodeList, device: torch.device | None = None
) -> Tensor:
    """(E, Q, N) logits of all episodes from the features of all clips. Equal to ``plain_logits`` up to rounding.

    ``device`` is that of the method, None that of the features: large tables may lie in main memory.
    """
    by_head = [_head_logits(matcher, features[head.reads], episodes, device) for head, matcher in method.each_head()]
    return method.weighted(by_head)


@torch.inference_mode()
def episodic_logits(
    method: Method,
    source: ClipSource,
    scans: Mapping[str, Tensor],
    episodes: EpisodeList,
    device: torch.device,
    sampling: FrameSampling | None = None,
    precision: Precision = "fp32",
) -> Tensor:
    """(E, Q, N) logits where an episode's supports decide on frames. Several episodes pass the backbone together."""
    was_training = method.training
    method.eval()
    _, way, shot = episodes.support.shape
    parts: list[Tensor] = []
    waiting: list[Tensor] = []
    for i in range(len(episodes)):
        episode = _episode(source, episodes, i, device, sampling)
        positions = torch.from_numpy(_positions(episodes, i))
        with mixed(device, precision):
            sampled = method.sample(episode, {name: own[positions].to(device) for name, own in scans.items()})
        waiting.append(cast(Sampled, sampled).frames)
        if len(waiting) * waiting[0].nbytes < _BYTES_AT_ONCE and i + 1 < len(episodes):
            continue
        frames = torch.cat(waiting)
        joined = Clips(videos=frames, class_ids=torch.zeros(len(frames), dtype=torch.int64))  # no label is read
        with mixed(device, precision):
            outputs = method.embed(joined, Sampled(frames=frames))
        read = {name: outputs[name].float() for name in method.read_by_heads()}
        each = [{name: own.tensor_split(len(waiting))[e] for name, own in read.items()} for e in range(len(waiting))]
        matches = [method.match(own, way, shot) for own in each]
        parts += [method.weighted([match.logits for match in own]) for own in matches]
        waiting = []
    method.train(was_training)
    return torch.stack(parts)


@torch.inference_mode()
def plain_logits(
    method: Method,
    source: ClipSource,
    episodes: EpisodeList,
    i: int,
    device: torch.device,
    sampling: FrameSampling | None = None,
) -> Tensor:
    """(Q, N) logits of episode ``i`` the way published code computes them: its videos through the whole method."""
    return method.predict(_episode(source, episodes, i, device, sampling))


def _positions(episodes: EpisodeList, i: int) -> np.ndarray:
    return np.concatenate([episodes.support[i].ravel(), episodes.query[i]])


def _episode(
    source: ClipSource, episodes: EpisodeList, i: int, device: torch.device, sampling: FrameSampling | None
) -> Episode:
    positions = _positions(episodes, i)
    return Episode(
        videos=normalise(source.test_videos(positions, sampling).to(device), source.config.normalisation),
        class_ids=torch.from_numpy(source.class_ids[positions]).to(device),
        way=episodes.support.shape[1],
        shot=episodes.support.shape[2],
        query_labels=torch.from_numpy(episodes.labels).to(device),
    )


def _head_logits(matcher: Matcher, features: Tensor, episodes: EpisodeList, device: torch.device | None) -> Tensor:
    device = device or features.device
    rule = matcher.shot_rule(episodes.support.shape[2])
    support, query = torch.from_numpy(episodes.support), torch.from_numpy(episodes.query)
    if rule is None or not table_pays(len(support) * query.shape[1] * support[0].numel(), len(features)):
        return gathered(matcher, features, support, query, device)
    supports = features.to(device)
    table = pair_table(cast(PairMatcher, matcher), features, supports)
    scores = table[query.to(device)[:, :, None, None], support.to(device)[:, None]]
    return scores.mean(-1) if rule == "mean" else scores.amax(-1)


def table_pays(pairs: int, clips: int) -> bool:
    """Whether all pairs of clips are scored once, rather than the pairs of every episode."""
    return _GATHERING * pairs >= clips**2


def pair_table(matcher: PairMatcher, queries: Tensor, supports: Tensor) -> Tensor:
    """(Q, S) scores of every clip of ``queries`` against every one of ``supports``, on the device of these."""
    frames = queries.shape[1]
    rows = _at_once(4 * 2 * len(supports) * frames * frames, _ROWS_ON_CPU, supports.device)
    return torch.cat([matcher.pair_scores(part.to(supports.device), supports) for part in queries.split(rows)])


def gathered(matcher: Matcher, features: Tensor, support: Tensor, query: Tensor, device: torch.device) -> Tensor:
    """(E, Q, N) logits of episodes whose clips are picked from ``features``: (E, N, K) supports, (E, Q) queries."""
    support, query = support.to(features.device), query.to(features.device)
    per_episode = 4 * features[0].numel() * (support[0].numel() + query[0].numel())
    size = _at_once(per_episode, _EPISODES_ON_CPU, device)
    return torch.cat(
        [
            matcher(Features(support=features[s].to(device), query=features[q].to(device))).logits
            for s, q in zip(support.split(size), query.split(size), strict=True)
        ]
    )


def _at_once(bytes_each: int, least_on_cpu: int, device: torch.device) -> int:
    most = max(1, _BYTES_AT_ONCE // bytes_each)
    return min(most, max(least_on_cpu, _BYTES_ON_CPU // bytes_each)) if device.type == "cpu" else most

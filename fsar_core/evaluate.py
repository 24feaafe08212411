"""Accuracy over thousands of episodes. Each video is embedded once; episodes are look-ups in the table of features."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fsar_core.config import EvalConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.episodes import EpisodeList, fixed_episodes
from fsar_core.data.frame_sampling import FrameSampling
from fsar_core.data.transforms import normalise
from fsar_core.episode import Clips, Episode, Features
from fsar_core.matchers import Matcher
from fsar_core.method import Method

_VIDEOS_AT_ONCE = 32
_BYTES_AT_ONCE = 64 << 20
_GATHERING = 3
"""A pair costs about this many times more among an episode's gathered clips than in the table of all clips."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A measurement. ``ci95`` is 1.96 * sd / sqrt(episodes), the literature's "±": it covers the draw of episodes."""

    accuracy: float
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
    features: Mapping[str, Tensor] | None = None,
) -> Evaluation:
    """What ``config`` asks for, of ``method`` on the clips of ``source``. Leaves ``method`` in the mode it was in.

    ``features`` are those of ``embed_clips`` under the same frame sampling, where they are at hand already.
    """
    episodes = fixed_episodes(
        source.members,
        way=config.way,
        shot=config.shot,
        queries=config.queries,
        count=config.episodes,
        seed=config.seed,
        fingerprint=source.fingerprint,
    )
    return evaluate_episodes(method, source, episodes, device, config.frame_sampling, features)


def evaluate_episodes(
    method: Method,
    source: ClipSource,
    episodes: EpisodeList,
    device: torch.device,
    sampling: FrameSampling | None = None,
    features: Mapping[str, Tensor] | None = None,
) -> Evaluation:
    """Accuracy over a list of episodes; ``features`` of ``embed_clips`` are reused where given."""
    if features is None:
        features = embed_clips(method, source, device, names=method.read_by_heads(), sampling=sampling)
    right = cached_logits(method, features, episodes).argmax(-1).cpu().numpy() == episodes.labels
    accuracies = right.mean(1)
    asked = episodes.classes[:, episodes.labels]
    total = np.bincount(asked.ravel(), minlength=len(source.labels))
    hits = np.bincount(asked.ravel(), weights=right.ravel(), minlength=len(source.labels))
    return Evaluation(
        accuracy=float(accuracies.mean()),
        ci95=float(1.96 * accuracies.std(ddof=1) / np.sqrt(len(episodes))) if len(episodes) > 1 else 0.0,
        correct=right.sum(1).astype(np.uint16),
        queries=right.shape[1],
        per_class={label: float(h / t) for label, h, t in zip(source.labels, hits, total, strict=True) if t},
    )


@torch.inference_mode()
def embed_clips(
    method: Method,
    source: ClipSource,
    device: torch.device,
    *,
    names: Iterable[str],
    sampling: FrameSampling | None = None,
    positions: np.ndarray | None = None,
) -> dict[str, Tensor]:
    """The outputs of the named steps for every clip (or those at ``positions``), float32, on ``device``."""
    chosen = np.arange(len(source)) if positions is None else positions
    was_training = method.training
    method.eval()
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    for start in range(0, len(chosen), _VIDEOS_AT_ONCE):
        own = chosen[start : start + _VIDEOS_AT_ONCE]
        videos = normalise(source.test_videos(own, sampling).to(device, non_blocking=True), source.config.normalisation)
        outputs = method.embed(Clips(videos=videos, class_ids=torch.from_numpy(source.class_ids[own])))
        for name, kept in parts.items():
            kept.append(outputs[name].float())
    method.train(was_training)
    return {name: torch.cat(kept) for name, kept in parts.items()}


@torch.inference_mode()
def cached_logits(method: Method, features: Mapping[str, Tensor], episodes: EpisodeList) -> Tensor:
    """(E, Q, N) logits of all episodes from the features of all clips. Equal to ``plain_logits`` up to rounding."""
    by_head = [_head_logits(matcher, features[head.reads], episodes) for head, matcher in method.each_head()]
    return method.weighted(by_head)


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
    positions = np.concatenate([episodes.support[i].ravel(), episodes.query[i]])
    episode = Episode(
        videos=normalise(source.test_videos(positions, sampling).to(device), source.config.normalisation),
        class_ids=torch.from_numpy(source.class_ids[positions]).to(device),
        way=episodes.support.shape[1],
        shot=episodes.support.shape[2],
        query_labels=torch.from_numpy(episodes.labels).to(device),
    )
    return method.predict(episode)


def _head_logits(matcher: Matcher, features: Tensor, episodes: EpisodeList) -> Tensor:
    rule = matcher.shot_rule(episodes.support.shape[2])
    support = torch.from_numpy(episodes.support).to(features.device)
    query = torch.from_numpy(episodes.query).to(features.device)
    pairs = len(support) * query.shape[1] * support[0].numel()
    if rule is None or _GATHERING * pairs < len(features) ** 2:
        return _gathered(matcher, features, support, query)
    scores = _pair_table(matcher, features)[query[:, :, None, None], support[:, None]]
    return scores.mean(-1) if rule == "mean" else scores.amax(-1)


def _pair_table(matcher: Matcher, features: Tensor) -> Tensor:
    """(A, A) scores of every clip as query against every clip as support."""
    frames = features.shape[1]
    rows = max(1, _BYTES_AT_ONCE // (4 * 2 * len(features) * frames * frames))
    return torch.cat([matcher.pair_scores(part, features) for part in features.split(rows)])


def _gathered(matcher: Matcher, features: Tensor, support: Tensor, query: Tensor) -> Tensor:
    per_episode = 4 * features[0].numel() * (support[0].numel() + query[0].numel())
    size = max(1, _BYTES_AT_ONCE // per_episode)
    return torch.cat(
        [
            matcher(Features(support=features[s], query=features[q])).logits
            for s, q in zip(support.split(size), query.split(size), strict=True)
        ]
    )

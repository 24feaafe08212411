"""Episodes by position: pure functions of a seed, so that every method meets the same ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fsar_core.seeds import generator

_CHUNK = 1000


@dataclass(frozen=True, kw_only=True)
class EpisodeList:
    """E episodes as positions of clips; queries stand class by class."""

    classes: np.ndarray
    """(E, N) class of each column of the logits."""
    support: np.ndarray
    """(E, N, K)"""
    query: np.ndarray
    """(E, Q)"""
    labels: np.ndarray
    """(Q,) in 0..N-1, the same in every episode."""

    def __len__(self) -> int:
        return len(self.classes)


def draw_episodes(
    members: Sequence[np.ndarray], *, way: int, shot: int, queries: int, rng: np.random.Generator, count: int = 1
) -> EpisodeList:
    """``count`` episodes: classes without replacement, then shot + queries different clips of each, all uniform.

    ``members`` holds the clip positions of every class. Raises ValueError if classes or clips are too few.
    """
    sizes = np.array([len(own) for own in members])
    if len(sizes) < way or sizes.min() < shot + queries:
        raise ValueError(
            f"{way}-way {shot}-shot with {queries} queries per class needs {way} classes of {shot + queries} clips"
        )
    table = np.zeros((len(sizes), sizes.max()), dtype=np.int64)
    for i, own in enumerate(members):
        table[i, : len(own)] = own
    classes = rng.random((count, len(sizes))).argsort(axis=1)[:, :way]
    keys = rng.random((count, way, sizes.max()))
    keys[np.arange(sizes.max()) >= sizes[classes][:, :, None]] = 2.0
    chosen = table[classes[:, :, None], keys.argsort(axis=2)[:, :, : shot + queries]]
    return EpisodeList(
        classes=classes,
        support=chosen[:, :, :shot],
        query=chosen[:, :, shot:].reshape(count, -1),
        labels=np.repeat(np.arange(way), queries),
    )


def fixed_episodes(
    members: Sequence[np.ndarray], *, way: int, shot: int, queries: int, count: int, seed: int, fingerprint: str
) -> EpisodeList:
    """The episodes of a measurement: fixed by (fingerprint, way, shot, queries, seed). A longer list begins with the
    shorter one."""
    purpose = f"episodes {fingerprint} {way}-way {shot}-shot {queries} queries"
    chunks = [
        draw_episodes(members, way=way, shot=shot, queries=queries, rng=generator(seed, purpose, start), count=_CHUNK)
        for start in range(0, count, _CHUNK)
    ]
    return EpisodeList(
        classes=np.concatenate([c.classes for c in chunks])[:count],
        support=np.concatenate([c.support for c in chunks])[:count],
        query=np.concatenate([c.query for c in chunks])[:count],
        labels=chunks[0].labels,
    )


def shortage(
    labels: Sequence[str], sizes: Sequence[int], *, split: str, way: int, shot: int, queries: int
) -> list[str]:
    """Why these classes cannot give such episodes; empty if they can."""
    faults: list[str] = []
    if len(labels) < way:
        faults.append(f"{way}-way episodes need {way} classes in {split}, which has {len(labels)}")
    need = shot + queries
    faults += [
        f"{shot}-shot episodes with {queries} queries per class need {need} videos a class, "
        f"but {label!r} in {split} has {size}"
        for label, size in zip(labels, sizes, strict=True)
        if size < need
    ]
    return faults

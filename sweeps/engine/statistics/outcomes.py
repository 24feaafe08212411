"""What one row of a table got right, seed by seed and episode by episode: all that the statistics read."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Every seed of a row on the same test episodes. Raises ValueError for an array that cannot be that."""

    accuracies: NDArray[np.float64]
    """(S, E) fraction of the queries answered right, by seed and episode."""

    def __post_init__(self) -> None:
        found = self.accuracies
        if found.ndim != 2 or 0 in found.shape:
            raise ValueError(
                f"outcomes must be an array of seeds x episodes, at least one of each; its shape is {found.shape}"
            )
        if not ((found >= 0) & (found <= 1)).all():  # nan fails as well
            raise ValueError(
                "accuracies of episodes must be fractions from 0 to 1; "
                f"there are values from {found.min()} to {found.max()}: divide counts by the queries asked"
            )

    @classmethod
    def from_counts(cls, correct: Sequence[NDArray[np.integer]], asked: int) -> "Outcomes":
        """From one (E,) array of right answers per seed, and the number of queries of an episode, way * queries."""
        lengths = [len(own) for own in correct]
        if not lengths or len(set(lengths)) > 1 or asked < 1:
            raise ValueError(
                "a row must have at least one seed, all on the same episodes, and at least one query an episode; "
                f"episodes by seed: {lengths}, queries: {asked}"
            )
        return cls(np.stack([np.asarray(own, np.float64) for own in correct]) / asked)

    @property
    def seeds(self) -> int:
        return self.accuracies.shape[0]

    @property
    def episodes(self) -> int:
        return self.accuracies.shape[1]

    @cached_property
    def by_seed(self) -> NDArray[np.float64]:
        """(S,) mean over episodes."""
        return self.accuracies.mean(1)

    @property
    def mean(self) -> float:
        return float(self.by_seed.mean())


def check_same_episodes(rows: Sequence[Outcomes]) -> None:
    """Raises ValueError for rows that cannot have met the same episodes."""
    counts = [row.episodes for row in rows]
    if len(set(counts)) > 1:
        raise ValueError(
            f"rows can be compared on the same test episodes only, but they have {counts} of them: "
            "evaluate them with the same number of episodes and episode seed"
        )


def check_same_seeds(rows: Sequence[Outcomes]) -> None:
    """Raises ValueError for rows whose seeds cannot be paired."""
    counts = [row.seeds for row in rows]
    if len(set(counts)) > 1:
        raise ValueError(
            f"seeds can be paired only where every row has the same ones, but there are {counts} seeds: "
            "leave out those that not every row has, or compare without pairing"
        )

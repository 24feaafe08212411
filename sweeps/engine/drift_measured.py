"""What a rerun measured, cell by cell, found again in its records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fsar_core.config import EvalConfig
from sweeps.engine.drift_band import Sample
from sweeps.engine.records import RunFolder, Store
from sweeps.engine.reruns import Number, Rerun


class Place(NamedTuple):
    """By which a cell is found again in other reruns, whatever code and data have become."""

    table: str
    row: str
    column: str

    def __str__(self) -> str:
        return ", ".join(part for part in self[1:] if part)


@dataclass(frozen=True, eq=False)
class Measured:
    """A cell of one rerun, with the seeds that have a number."""

    numbers: tuple[Number, ...]
    """By seed."""
    storage: Path
    evaluation: EvalConfig

    @property
    def sample(self) -> Sample:
        return Sample(self.seeds, np.array([number.accuracy for number in self.numbers]))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(number.seed for number in self.numbers)

    @property
    def trainings(self) -> tuple[Path, ...]:
        """Folders of the runs: two reruns that have them in common show the same records."""
        return tuple(self.folder(number).path for number in self.numbers)

    @property
    def printed(self) -> float | None:
        """A fraction; None where no printed value may be compared with."""
        percent = self.numbers[0].printed
        return None if percent is None else percent / 100

    @property
    def asked(self) -> int:
        """Queries of an episode."""
        return self.evaluation.way * self.evaluation.queries

    @property
    def episodes_met(self) -> tuple[object, ...]:
        """Equal where the test episodes are."""
        e = self.evaluation
        data = self.numbers[0].fingerprint
        return data, e.split, e.max_seconds, e.way, e.shot, e.queries, e.episodes, e.seed

    def folder(self, number: Number) -> RunFolder:
        return Store(self.storage).folder_of(number.run)

    def number(self, seed: int) -> Number:
        """Of a seed that has one."""
        return next(number for number in self.numbers if number.seed == seed)

    def outcomes(self, seed: int) -> NDArray[np.float64]:
        """(episodes,) fraction of the queries answered right. Raises OSError or ValueError where the record is gone or
        damaged."""
        own = self.number(seed)
        return self.folder(own).outcomes(own.eval_id, own.fingerprint) / self.asked


@dataclass(frozen=True, eq=False)
class Seen:
    """A rerun with what it measured."""

    rerun: Rerun
    cells: Mapping[Place, Measured]
    lost: int
    """Numbers that its ``rerun.json`` names and that have no readable record any more; they are not used."""


def seen(rerun: Rerun) -> Seen:
    """Reads one small file per number."""
    kept: dict[Place, dict[int, tuple[Number, EvalConfig]]] = {}
    lost = 0
    for number in rerun.numbers:
        evaluation = _evaluation(Store(rerun.storage), number)
        if evaluation is None:
            lost += 1
        else:
            place = Place(number.table, number.row, number.column)
            kept.setdefault(place, {})[number.seed] = (number, evaluation)
    cells = {place: _measured(rerun, list(own.values())) for place, own in kept.items()}
    return Seen(rerun, cells, lost)


def _measured(rerun: Rerun, found: Sequence[tuple[Number, EvalConfig]]) -> Measured:
    return Measured(tuple(number for number, _ in found), rerun.storage, found[0][1])


def _evaluation(store: Store, number: Number) -> EvalConfig | None:
    try:
        record = store.folder_of(number.run).evaluation(number.eval_id, number.fingerprint)
    except (OSError, ValueError):
        return None
    return None if record is None else record.evaluation

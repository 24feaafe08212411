"""Are the numbers of a rerun the very same as before? On a CPU they are, as long as nothing has changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.engine.drift_measured import Measured, Place, Seen


@dataclass(frozen=True, eq=False)
class Equality:
    """Trainings with the same settings and seed that two reruns did each for itself, compared digit by digit."""

    other: Seen
    compared: int
    """Numbers: cells times seeds."""
    outcomes_differ: tuple[tuple[Place, int], ...]
    """Cell and seed whose test episodes did not end alike."""
    losses_differ: int
    """How many of all numbers come from trainings whose losses and looks at val are not the same."""

    @property
    def bitwise(self) -> bool:
        return not self.outcomes_differ and not self.losses_differ


def equality(new: Seen, earlier: Sequence[Seen]) -> Equality | None:
    """With the newest of ``earlier`` that trained some of the same runs itself; None where none did.

    Raises OSError or ValueError where a record cannot be read.
    """
    for other in reversed(earlier):
        pairs = [(place, *pair) for place in new.cells for pair in _pairs(place, new, other)]
        if pairs:
            differ = tuple((place, seed) for place, seed, one, two in pairs if not _same_outcomes(one, two, seed))
            losses = sum(_losses(one, seed) != _losses(two, seed) for _, seed, one, two in pairs)
            return Equality(other, len(pairs), differ, losses)
    return None


def _pairs(place: Place, new: Seen, other: Seen) -> list[tuple[int, Measured, Measured]]:
    one, two = new.cells[place], other.cells.get(place)
    if two is None or one.storage == two.storage or one.episodes_met != two.episodes_met:
        return []
    runs = {number.seed: (number.run, number.eval_id) for number in two.numbers}
    return [(n.seed, one, two) for n in one.numbers if runs.get(n.seed) == (n.run, n.eval_id)]


def _same_outcomes(one: Measured, two: Measured, seed: int) -> bool:
    return np.array_equal(one.outcomes(seed), two.outcomes(seed))


def _losses(cell: Measured, seed: int) -> list[tuple[int, dict[str, float]]]:
    record = cell.folder(cell.number(seed)).record()
    if record is None:
        raise ValueError("a training has no record any more")
    return [(point.step, point.metrics) for point in record.history]

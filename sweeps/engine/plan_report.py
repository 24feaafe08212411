"""What a plan asks for and takes, as data: trainings, evaluations, time, memory, disk, and what sharing saves."""

from typing import Literal

from fsar_core.frozen import Frozen
from sweeps.engine.estimate import Source
from sweeps.engine.savings import Savings

VERSION = 1
State = Literal["new", "begun", "to measure", "done"]
"""``to measure``: trained, but evaluations are missing."""


class PlannedTable(Frozen):
    """What a table asks for; what tables share counts for each."""

    name: str
    cells: int
    """Times seeds."""
    trainings: int
    trainings_known: int
    trainings_shared: int
    """That another table of the plan needs too."""
    evaluations: int
    evaluations_known: int


class PlannedEvaluation(Frozen):
    """A measurement of a training."""

    eval_id: str
    dataset: str
    way: int
    shot: int
    episodes: int
    known: bool


class PlannedTraining(Frozen):
    """One run. Nothing is said of numbers that nothing tells (null in JSON)."""

    key: str
    """Names its folder and its row in MLflow."""
    run_id: str
    what: str
    dataset: str
    seed: int
    tables: tuple[str, ...]
    needs: tuple[str, ...]
    """Keys of the trainings before it."""
    state: State
    steps: int
    steps_left: int
    seconds: float | None
    """Of the steps that are left, and for what is not measured yet of embedding test clips and matching episodes."""
    seconds_from: Source | None
    memory_bytes: int | None
    """Counted: most that tensors of a step take."""
    disk_bytes: int
    """Computed: checkpoint and records that are not there yet, at most."""
    evaluations: tuple[PlannedEvaluation, ...]


class Totals(Frozen):
    """Over the whole plan, everything once."""

    cells: int
    trainings: int
    trainings_known: int
    trainings_begun: int
    trainings_first: int
    """Needed by others."""
    trainings_shared: int
    """Needed by more than one table."""
    evaluations: int
    evaluations_known: int
    steps_left: int
    seconds: float
    """Of the unfinished runs whose speed is known, one after the other."""
    unknown: int
    """Unfinished runs whose speed nothing tells: in no time of this report."""
    tests_unknown: int = 0
    """Tests to come whose matching nothing tells: in no time either."""
    gpus: float | None
    """That were named to reckon with; None: none were."""
    at_once: int
    gpu_hours: float | None
    wall_seconds: float
    """With ``at_once`` runs at a time, each after what it needs."""
    memory_bytes: int | None
    """Of the largest step that was counted."""
    memory_verdict: str | None
    memory_counted: int
    """Kinds of unfinished trainings whose memory was counted."""
    memory_uncounted: int
    disk_bytes: int
    """Checkpoints and records to come."""
    frame_bytes: int | None
    """Frames to be decoded; None where no clips are known."""


class PlanReport(Frozen):
    """``plan.json``. Fields may be added under the same ``version``; another meaning raises it."""

    version: int = VERSION
    tables: tuple[PlannedTable, ...]
    trainings: tuple[PlannedTraining, ...]
    totals: Totals
    savings: Savings
    sources: tuple[str, ...]
    """Where times, memory and disk come from."""

    def json_bytes(self) -> bytes:
        """As a file."""
        return self.model_dump_json(indent=1).encode() + b"\n"

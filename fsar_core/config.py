"""A run is one training, an evaluation one measurement on it: what decides the result, nothing about the machine."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from fsar_core.data.config import DataConfig
from fsar_core.data.frame_sampling import FrameSampling
from fsar_core.frozen import Frozen, content_id
from fsar_core.method import MethodConfig
from fsar_core.optimizer import OptimizerConfig, Schedule, Steps


class EpisodeBatches(Frozen):
    """Training on N-way K-shot episodes."""

    kind: Literal["episodes"] = "episodes"
    way: int = Field(default=5, ge=2)
    shot: int = Field(default=1, ge=1)
    queries: int = Field(default=6, ge=1)
    """Query clips per class."""
    per_step: int = Field(default=16, ge=1)
    """Episodes whose gradients are averaged in one optimiser step."""


class ClipBatches(Frozen):
    """Training on labelled clips of the base classes."""

    kind: Literal["clips"] = "clips"
    size: int = Field(default=128, ge=1)
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """Share of each class's training clips on which the run is selected; never trained on."""


Batches = Annotated[EpisodeBatches | ClipBatches, Field(discriminator="kind")]


class Training(Frozen):
    """How long, and how often val is looked at."""

    steps: int = Field(ge=1)
    """Optimiser steps."""
    val_every: int = Field(ge=1)
    """Optimiser steps between two looks at val; the last step always has one."""


class Selection(Frozen):
    """Which weights of a run are evaluated."""

    keep: Literal["best", "last"] = "best"
    """``best``: highest accuracy on val (for clips: on the held-out ones); the earlier one wins a tie."""
    episodes: int = Field(default=2000, ge=1)
    """Episodes of a look; 1 query per class."""
    seed: int = 0
    on: Literal["val", "test"] = "val"
    """``test`` is what several code bases do. Its numbers are too high, and every table that shows them says so."""

    later: ClassVar[frozenset[str]] = frozenset({"on"})


class Need(Frozen):
    """Weights that another run must have made first. That run is planned before, once for all that need it."""

    run: "RunConfig"
    source: str = Field(pattern=r"^[a-z][a-z0-9_.]*$")
    """Where the weights stand in that run's method, e.g. ``steps.scores``."""
    target: str = Field(pattern=r"^[a-z][a-z0-9_.]*$")
    """Where they go in this one's, e.g. ``losses.0.guide``."""


class RunConfig(Frozen):
    """One training. Equal configs have equal ``run_id`` on every machine."""

    __slots__ = ("_run_id",)

    method: MethodConfig
    data: DataConfig
    batches: Batches = EpisodeBatches()
    optimizer: OptimizerConfig
    schedule: Schedule = Steps()
    training: Training
    selection: Selection = Selection()
    needs: tuple[Need, ...] = ()
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults: list[str] = []
        try:
            self.method.wiring(self.data.frames, self.data.crop, classes=2)
        except ValueError as error:
            faults.append(f"method: {error}")
        if self.data.resize.size < self.data.crop:
            faults.append(f"data.crop must be at most data.resize.size {self.data.resize.size}, got {self.data.crop}")
        if bool(self.method.heads) != (self.batches.kind == "episodes"):
            faults.append(
                f"heads need batches of kind 'episodes', and only they; "
                f"got {len(self.method.heads)} heads, {self.batches.kind!r}"
            )
        elif self.batches.kind == "clips" and not any(loss.kind == "classification" for loss in self.method.losses):
            faults.append("batches of kind 'clips' need a loss 'classification', whose scores select the run")
        if self.batches.kind == "clips" and self.method.frame_sampler.by_episode():
            faults.append(
                f"frame_sampler {self.method.frame_sampler.kind!r} chooses by the supports of an episode, "
                "so that batches must be of kind 'episodes'"
            )
        if self.batches.kind == "clips" and self.selection.on == "test":
            faults.append("selection.on 'test' needs batches of kind 'episodes'; clips are selected on held-out ones")
        targets = [need.target for need in self.needs]
        if len(set(targets)) != len(targets):
            faults.append(f"needs: each target once, got {targets}")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def run_id(self) -> str:
        """16 hexadecimal digits of the canonical JSON."""
        return self.remembered("_run_id", lambda: content_id(self.canonical_json()))

    def with_seed(self, seed: int) -> "RunConfig":
        """The same training from another seed. What it needs first is shared, and keeps its own.

        Raises ValueError for a negative one. No other field is checked again: none of them depends on the seed.
        """
        if seed < 0:
            raise ValueError(f"seed must be at least 0, got {seed}")
        return self if seed == self.seed else self.model_copy(update={"seed": seed})


class EvalConfig(Frozen):
    """What is measured on a run's weights: on ``test`` classes what is reported, on ``val`` what is chosen from."""

    dataset: str | None = None
    """None: the run's own."""
    way: int = Field(default=5, ge=2)
    shot: int = Field(default=1, ge=1)
    queries: int = Field(default=1, ge=1)
    """Query clips per class."""
    episodes: int = Field(default=10_000, ge=1)
    seed: int = 0
    """Of the episodes: with the data's fingerprint, way, shot and queries it fixes them for every method."""
    frame_sampling: FrameSampling | None = None
    """None: the run's test sampling."""
    method: MethodConfig | None = None
    """None: the run's method. Else the one that is measured, with the run's weights."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Only clips that last at most so long (SSv2-3s and SSv2-5s of I2ST). None: all."""
    split: Literal["test", "val"] = "test"
    """Whose clips are asked and shown. ``val`` can only be that of the run's own data set."""

    later: ClassVar[frozenset[str]] = frozenset({"max_seconds", "split"})

    @model_validator(mode="after")
    def _chooses_at_home(self) -> Self:
        if self.split == "val" and self.dataset is not None:
            raise ValueError(
                f"split 'val' is what a run is chosen by, so that it must be of the run's own data; dataset must be "
                f"left out or split be 'test', got dataset {self.dataset!r}"
            )
        return self

    def eval_id(self, run: RunConfig) -> str:
        """16 hexadecimal digits of the run's id and the canonical JSON."""
        return content_id(run.run_id(), self.canonical_json())

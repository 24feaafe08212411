"""What a preset fixes: everything of a run but its method."""

from typing import ClassVar

from pydantic import Field

from fsar_core.backbones import BackboneConfig
from fsar_core.config import Batches, EpisodeBatches, Need, RunConfig, Selection, Training
from fsar_core.data.config import DataConfig
from fsar_core.frozen import Frozen
from fsar_core.losses import Classification
from fsar_core.method import MethodConfig, Step
from fsar_core.optimizer import OptimizerConfig, Schedule
from fsar_core.presets.loss_scale import LossScale, with_loss_scale
from fsar_core.stages import ClassScores, SpatialPool


class Course(Frozen):
    """Batches, optimiser and length of a training."""

    batches: Batches
    optimizer: OptimizerConfig
    schedule: Schedule
    training: Training


class Recipe(Frozen):
    """A published or house-made way to train, for one data set."""

    backbone: BackboneConfig
    data: DataConfig
    episodes: Course
    """Few-shot training."""
    scores: Course
    """Training of a class-score network on a frozen backbone, with deterministic clips."""
    selection: Selection
    needs: tuple[Need, ...] = ()
    """What the backbone itself needs first."""
    loss_scale: LossScale = "method"
    """Whether the loss of an episode is a sum or a mean over its queries; ``method``: as each method has it."""
    queries_by_shot: tuple[tuple[int, int], ...] = ()
    """(shot, queries per class) of trainings with other numbers of shots. Empty: the queries stay."""

    test_episodes: int = Field(default=10_000, ge=1)
    """Of every cell of a table. A fact of the tests, not of the trainings."""

    later: ClassVar[frozenset[str]] = frozenset({"loss_scale", "queries_by_shot", "test_episodes"})

    def few_shot(self, method: MethodConfig, needs: tuple[Need, ...] = ()) -> RunConfig:
        """The few-shot training of a method on this recipe's backbone."""
        batches = self.episodes.batches
        if isinstance(batches, EpisodeBatches):
            method = with_loss_scale(method, self.loss_scale, queries=batches.way * batches.queries)
        return self._run(method, self.episodes, self.data, self.selection, (*self.needs, *needs))

    def class_scores(self, layers: ClassScores.Config) -> RunConfig:
        """The training of Phi_cls: backbone frozen, every clip as a test would see it (SGTM, section 3.4).

        It is selected on held-out train clips under every preset, and where tests draw frames at random it sees the
        middle of each segment.
        """
        method = MethodConfig(
            backbone=self.backbone.model_copy(update={"frozen": True}),
            steps=scored(layers),
            losses=(Classification.Config(),),
        )
        selection = self.selection.model_copy(update={"keep": "best", "on": "val"})
        return self._run(method, self.scores, self.data.deterministic(), selection, self.needs)

    def with_shot(self, shot: int) -> "Recipe":
        """The recipe for trainings with so many supports per class; queries as published for the nearest number."""
        batches = self.episodes.batches
        if not isinstance(batches, EpisodeBatches):
            raise ValueError(f"a recipe's few-shot training needs batches of kind 'episodes', got {batches.kind!r}")
        changed: dict[str, int] = {"shot": shot}
        if self.queries_by_shot:
            changed["queries"] = min(self.queries_by_shot, key=lambda pair: abs(pair[0] - shot))[1]
        course = self.episodes.model_copy(update={"batches": batches.model_copy(update=changed)})
        return self.model_copy(update={"episodes": course})

    def with_backbone(self, backbone: BackboneConfig) -> "Recipe":
        """The recipe on another backbone. Runs that make the weights it starts from are then made with this one too."""
        needs = tuple(
            need.model_copy(update={"run": _on(backbone, need.run)}) if need.target == "backbone" else need
            for need in self.needs
        )
        return self.model_copy(update={"backbone": backbone, "needs": needs})

    def _run(
        self, method: MethodConfig, course: Course, data: DataConfig, selection: Selection, needs: tuple[Need, ...]
    ) -> RunConfig:
        return RunConfig(
            method=method,
            data=data,
            batches=course.batches,
            optimizer=course.optimizer,
            schedule=course.schedule,
            training=course.training,
            selection=selection,
            needs=needs,
        )


def _on(backbone: BackboneConfig, run: RunConfig) -> RunConfig:
    method = MethodConfig.model_validate({**dict(run.method), "backbone": backbone})
    return RunConfig.model_validate({**dict(run), "method": method})


def scored(layers: ClassScores.Config) -> tuple[Step, ...]:
    """Class scores of pooled frames."""
    return (Step(name="pooled", stage=SpatialPool.Config()), Step(name="scores", stage=layers))

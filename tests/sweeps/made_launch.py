"""Launches without Ray: a test says what becomes of every run."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest

from sweeps.engine import launch
from sweeps.engine.plan import Plan, PlannedRun
from sweeps.engine.records import EvaluationRecord
from sweeps.engine.site import Site
from sweeps.engine.telling import Watcher
from tests.sweeps.made_records import ORIGIN, train_record

Outcome = Callable[[PlannedRun, Plan], None]


def without_ray(_: Site) -> AbstractContextManager[None]:
    return nullcontext()


def succeed(planned: PlannedRun, plan: Plan) -> None:
    own = planned.run.data.dataset
    record = train_record(planned.run).model_copy(update={"fingerprint": plan.fingerprints[own]})
    planned.folder.write_record(record)
    for evaluation in planned.missing:
        correct = np.arange(evaluation.episodes) % (evaluation.way + 1)
        measured = EvaluationRecord(
            run_id=planned.run.run_id(),
            evaluation=evaluation,
            fingerprint=plan.fingerprints[evaluation.dataset or own],
            accuracy=float((correct / evaluation.way).mean()),
            ci95=0.05,
            per_class={},
            seconds=1.0,
            ended_ms=record.ended_ms,
            origin=ORIGIN,
        )
        planned.folder.write_evaluation(evaluation.eval_id(planned.run), measured, correct)


def without_launch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Outcome], list[Plan]]:
    """Says what becomes of every run; gives the plans that were carried out."""

    def becoming(outcome: Outcome) -> list[Plan]:
        seen: list[Plan] = []

        def carried_out(plan: Plan, site: Site, commit: str, watcher: Watcher) -> None:
            seen.append(plan)
            for planned in plan.todo():
                outcome(planned, plan)

        monkeypatch.setattr(launch, "ray_session", without_ray)
        monkeypatch.setattr(launch, "run_plan", carried_out)
        return seen

    return becoming

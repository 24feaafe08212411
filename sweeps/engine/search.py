"""Search: Optuna proposes, Ray Tune trains and stops early, val decides. The study is the only state."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, Trial, TrialState
from ray.tune.search import Searcher
from sqlalchemy.exc import SQLAlchemyError

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Space
from sweeps.engine.launch import job_of
from sweeps.engine.plan import Plan, PlannedRun, make_plan
from sweeps.engine.records import Origin, Store
from sweeps.engine.site import BadRequest, Site
from sweeps.engine.tracking_connection import hide_credentials

_ATTEMPTS = 200
_HELD_AT_MOST = 4
KEY = "run"
"""User attribute of a trial: the key of its run in the store."""
TWIN = "same_as"
"""User attribute of a trial that proposed a point again: the number of the first one. It is not trained."""


class StudySearcher(Searcher):
    """Proposes points until the study holds ``budget`` of them, finished, stopped or at work.

    A point that fails takes one from the budget of this launch; the next launch may put another in its place.
    Runs that a point needs first are trained as soon as the point is proposed, once for all points that need them.
    Points left at work by a killed driver are taken up again and go on from their checkpoints.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        recipe: Recipe,
        budget: int,
        store: Store,
        site: Site,
        fingerprints: Mapping[str, str],
        origin: Origin,
    ) -> None:
        super().__init__(metric="val_accuracy", mode="max")
        self._study, self._space, self._recipe, self._budget = study, space, recipe, budget
        self._store, self._site, self._fingerprints, self._origin = store, site, dict(fingerprints), origin
        self._orphans = [
            _live(study, trial) for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        ]
        self._held: list[tuple[Trial, Plan]] = []
        self._at_work: dict[str, tuple[PlannedRun, Trial | None]] = {}
        self._failed = set[str]()
        """Keys of the points and needs that failed under this driver; the next launch tries them again."""
        self._failures = 0
        self.exhausted = False
        """Whether the space gave no new point in many draws."""

    def suggest(self, trial_id: str) -> Any:
        """A point, or a run that one needs; None while points wait for what they need; FINISHED after the last."""
        while True:
            ready = self._startable(trial_id)
            if ready is not None:
                return ready
            trial = self._next() if len(self._held) < _HELD_AT_MOST else None
            if trial is None:
                return None if self._held else Searcher.FINISHED
            self._held.append((trial, self._plan(trial)))

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        _, trial = self._at_work[trial_id]
        if trial is not None and "val_accuracy" in result:
            trial.report(result["val_accuracy"], result["step"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        planned, trial = self._at_work.pop(trial_id)
        record = planned.folder.record()
        if trial is None:
            if record is None:
                self._failed.add(planned.key)
            return
        if record is not None:
            self._study.tell(trial, record.val_accuracy, skip_if_finished=True)
        elif error or result is None or result.get("failed"):
            self._fail(trial, planned.key)
        else:
            if "val_accuracy" in result:  # Tune tells the look that stopped a trial here, not to on_trial_result
                trial.report(result["val_accuracy"], result["step"])
            self._study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)

    def __getstate__(self) -> dict[str, Any]:
        """Tune writes a copy of the searcher to disk, which nobody reads; a study's connection cannot be written."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the study is in its database."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore; see ``save``."""

    def _startable(self, trial_id: str) -> dict[str, Any] | None:
        """A held point whose needs are done, or a run that a held point needs."""
        for held in list(self._held):
            trial, plan = held
            missing = [run for run in plan.runs[:-1] if run.folder.record() is None]
            if any(run.key in self._failed for run in missing):
                self._held.remove(held)
                self._fail(trial, plan.runs[-1].key)
            elif not missing:
                self._held.remove(held)
                return self._start(trial_id, plan.runs[-1], plan, trial)
            else:
                waiting = {run.key for run in missing}
                at_work = {planned.key for planned, _ in self._at_work.values()}
                for run in missing:
                    if run.key not in at_work and not waiting.intersection(run.needs):
                        return self._start(trial_id, run, plan, None)
        return None

    def _start(self, trial_id: str, planned: PlannedRun, plan: Plan, trial: Trial | None) -> dict[str, Any]:
        self._at_work[trial_id] = (planned, trial)
        folders = {run.key: run.folder for run in plan.runs}
        job = job_of(planned, folders, self._fingerprints, self._site, self._origin)
        return {"job": job.model_dump_json(), "key": planned.key, "judged": trial is not None}

    def _fail(self, trial: Trial, key: str) -> None:
        self._failed.add(key)
        self._failures += 1
        self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def _next(self) -> Trial | None:
        """A point to train: one that a dead driver left, or a new one; None when the budget is used."""
        if self._orphans:
            orphan = self._orphans.pop(0)
            orphan.set_user_attr(KEY, self._plan(orphan).runs[-1].key)  # its driver may have died before this
            return orphan
        for _ in range(_ATTEMPTS):
            known = counted(self._study)
            if len(known) + self._failures >= self._budget:
                return None
            trial = self._study.ask()
            planned = self._plan(trial).runs[-1]
            twin = next((t for t in known if t.user_attrs.get(KEY) == planned.key), None)
            record = planned.folder.record()
            if twin is not None:
                trial.set_user_attr(TWIN, twin.number)
            trial.set_user_attr(KEY, planned.key)
            if twin is None and record is None and planned.key not in self._failed:
                return trial
            if record is not None:
                self._study.tell(trial, record.val_accuracy)
            else:
                self._study.tell(trial, state=TrialState.FAIL)
        self.exhausted = not self._failures
        return None

    def _plan(self, trial: Trial) -> Plan:
        run: RunConfig = self._space.define(trial, self._recipe)
        return make_plan([(run, None)], self._store, self._fingerprints)


def _live(study: optuna.Study, trial: FrozenTrial) -> Trial:
    """A stored trial that can be told again; Optuna has no public way back."""
    return Trial(study, trial._trial_id)  # pyright: ignore[reportPrivateUsage] - see above


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that a budget counts: finished, stopped early or at work, each point once."""
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    return [
        t for t in study.get_trials(deepcopy=False, states=states) if KEY in t.user_attrs and TWIN not in t.user_attrs
    ]


def best_first(study: optuna.Study) -> list[FrozenTrial]:
    """Those that a budget counts: finished ones from the best down, then the others."""
    return sorted(counted(study), key=lambda t: (t.state is TrialState.COMPLETE, _accuracy(t)), reverse=True)


def accuracy_text(trial: FrozenTrial) -> str:
    """Per cent on val; of a point that was stopped or is at work, what it had when, for it has no result."""
    text = f"{100 * _accuracy(trial):.1f}"
    if trial.state is TrialState.COMPLETE:
        return text
    step = max(trial.intermediate_values, default=0)
    return f"{text} {'stopped' if trial.state is TrialState.PRUNED else 'so far'} at step {step}"


def _accuracy(trial: FrozenTrial) -> float:
    if trial.state is TrialState.COMPLETE and trial.value is not None:
        return trial.value
    return trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else 0.0


def open_study(uri: str, name: str, space: Space) -> optuna.Study:
    """The study of this name, made if it is new, with the space's first points waiting in front. Raises BadRequest.

    The sampler's seed is the number of trials there are: a driver that goes on does not draw the same points again.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with reaching_studies(uri):
        study = optuna.create_study(storage=uri, study_name=name, load_if_exists=True, direction="maximize")
        study.sampler = optuna.samplers.TPESampler(seed=len(study.get_trials(deepcopy=False)))
        for point in space.first:
            study.enqueue_trial(dict(point), skip_if_exists=True)
    return study


@contextmanager
def reaching_studies(uri: str) -> Generator[None]:
    """Turns what Optuna's database raises where it cannot be used into a BadRequest."""
    try:
        yield
    except (StorageInternalError, SQLAlchemyError, ImportError) as error:
        reason = hide_credentials(str(error)).strip().splitlines()[0]
        fault = f"the Optuna database {hide_credentials(uri)} must be reachable and writable, but: {reason}"
        raise BadRequest([f"{fault}; check study_uri in the site file"]) from None

"""Search: Optuna proposes, Ray Tune trains and stops early, val decides. The study is the only state."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.trial import BaseTrial, FixedTrial, FrozenTrial, Trial, TrialState
from ray.tune.search import Searcher

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Space
from sweeps.engine.launch import job_of
from sweeps.engine.plan import Plan, PlannedRun, make_plan
from sweeps.engine.records import Origin, Store
from sweeps.engine.retry import held_back
from sweeps.engine.search_queue import failed_points
from sweeps.engine.search_study import AGAIN, KEY, LOOKS, LOST, RECORDED, REFUSED, TWIN, looks, points, why_lost
from sweeps.engine.site import Site

_ATTEMPTS = 200
_INSISTING = 20
"""Known points in a row after which draws are made at random: a Gaussian process may insist on one for ever."""
_HELD_AT_MOST = 4


class StudySearcher(Searcher):
    """Proposes points until the study holds ``budget`` of them, finished, stopped or at work, beside those that were
    recorded before it asked for them: these are told at once.

    A point that fails takes one from the budget of this launch. The next launch tries it again first, unless it has
    failed twice as a bug under the code of ``origin``. Runs that a point needs first are trained as soon as the point
    is proposed, once for all points that need them. Points left at work by a killed driver are taken up again and go
    on from their checkpoints. Only one driver may have the study: it is read once.

    Where its database is lost, what is at work goes on to its end, and the next driver finds it on disk.
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
        cost: Callable[[RunConfig], float] | None = None,
    ) -> None:
        """``cost``: what a study with two objectives minimizes."""
        super().__init__(metric="val_accuracy", mode="max")
        self._study, self._space, self._recipe, self._budget = study, space, recipe, budget
        self._store, self._site, self._fingerprints, self._origin = store, site, dict(fingerprints), origin
        self._cost = cost
        orphans = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._orphans = [_live(study, trial) for trial in orphans]
        self._looks = {trial.number: dict(looks(trial)) for trial in orphans}
        met = [trial for trial in points(study) if trial.state is not TrialState.RUNNING]
        self._known = {trial.user_attrs[KEY]: trial.number for trial in met}
        self._told = {trial.user_attrs[KEY]: trial.values for trial in met if trial.state is TrialState.COMPLETE}
        self._used = sum(RECORDED not in trial.user_attrs for trial in met)
        self._held: list[tuple[Trial, Plan]] = []
        self._at_work: dict[str, tuple[PlannedRun, Trial | None]] = {}
        self._failed: dict[str, int] = {}
        """By key, the trials of points that this driver does not try again."""
        self._failed_needs = set[str]()
        self._failures = 0
        self.exhausted = False
        """Whether the space gave no new point in many draws."""
        self.at_random = 0
        """Points drawn at random, because the sampler gave known ones only."""
        self.tried_again = self.held_back = 0
        """Points that failed under earlier drivers: given out once more; left alone, as they would fail again."""
        self.refused = 0
        """Points that the space could not make a run of."""
        self.lost = ""
        """Why the study's database cannot be used any more: then no further point is given out."""
        for trial in failed_points(study):
            self._try_again(trial)

    def suggest(self, trial_id: str) -> Any:
        """A point, or a run that one needs; None while points wait for what they need; FINISHED after the last."""
        try:
            return self._suggested(trial_id)
        except LOST as error:
            self.lost = why_lost(error)
            return Searcher.FINISHED

    def _suggested(self, trial_id: str) -> Any:
        while not self.lost:
            ready = self._startable(trial_id)
            if ready is not None:
                return ready
            held = self._next() if len(self._held) < _HELD_AT_MOST else None
            if held is None:
                return None if self._held else Searcher.FINISHED
            self._held.append(held)
        return Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        _, trial = self._at_work[trial_id]
        if trial is not None and not self.lost:
            with self._keeping():
                self._look(trial, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        planned, trial = self._at_work.pop(trial_id)
        if not self.lost:
            with self._keeping():
                self._ended(planned, trial, result, error=error)

    def _ended(self, planned: PlannedRun, trial: Trial | None, result: dict[str, Any] | None, *, error: bool) -> None:
        recorded = planned.folder.head()
        if trial is None:
            if recorded is None:
                self._failed_needs.add(planned.key)
        elif recorded is not None:
            self._tell(trial, planned, recorded.val_accuracy)
        elif error or result is None or result.get("failed"):
            self._fail(trial, planned.key)
        else:
            self._look(trial, result)  # Tune tells the look that stopped a trial here, not to on_trial_result
            self._study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)

    @contextmanager
    def _keeping(self) -> Generator[None]:
        """Tune would take the loss of the database for a failure of the trial that it was met with."""
        try:
            yield
        except LOST as error:
            self.lost = why_lost(error)

    def __getstate__(self) -> dict[str, Any]:
        """Tune writes a copy of the searcher to disk, which nobody reads; a study's connection cannot be written."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the study is in its database."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore; see ``save``."""

    def _look(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """Keeps a look at val once: a run that goes on from a checkpoint may come past the same step again."""
        seen = self._looks.setdefault(trial.number, {})
        if "val_accuracy" not in result or result["step"] in seen:
            return
        seen[result["step"]] = result["val_accuracy"]
        if self._cost is None:
            trial.report(result["val_accuracy"], result["step"])
        else:
            trial.set_user_attr(LOOKS, {str(step): value for step, value in seen.items()})

    def _startable(self, trial_id: str) -> dict[str, Any] | None:
        """A held point whose needs are done, or a run that a held point needs."""
        for held in list(self._held):
            trial, plan = held
            missing = [run for run in plan.runs[:-1] if not run.folder.has_record()]
            if any(run.key in self._failed_needs or run.key in self._failed for run in missing):
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
        return job.given(planned.key, judged=trial is not None)

    def _tell(self, trial: Trial, planned: PlannedRun, accuracy: float) -> None:
        values = [accuracy] if self._cost is None else [accuracy, self._cost(planned.run)]
        self._told[planned.key] = values
        self._study.tell(trial, values, skip_if_finished=True)

    def _fail(self, trial: Trial, key: str) -> None:
        self._failed[key] = trial.number
        self._known.pop(key)
        self._used -= 1
        self._failures += 1
        self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def _try_again(self, trial: FrozenTrial) -> None:
        plan = self._plan(FixedTrial(trial.params))
        planned = plan.runs[-1]
        if any(held.key == planned.key for held in held_back(plan, self._origin.git_commit)):
            self._failed[planned.key] = trial.number
            self.held_back += 1
        else:
            self._study.enqueue_trial(trial.params, user_attrs={AGAIN: trial.number})

    def _next(self) -> tuple[Trial, Plan] | None:
        """A point to train: one that a dead driver left, or a new one; None when the budget is used."""
        while self._orphans:
            trial = self._orphans.pop(0)
            plan = self._taken(trial)
            if plan is not None:
                return trial, plan
        sampler, twins = self._study.sampler, 0
        try:
            while twins < _ATTEMPTS and self._used + self._failures < self._budget:
                if twins == _INSISTING:
                    self._study.sampler = optuna.samplers.RandomSampler(seed=self._used)
                known = len(self._known)
                trial = self._study.ask()
                plan = self._taken(trial)
                if plan is not None:
                    self.at_random += twins >= _INSISTING
                    return trial, plan
                twins += len(self._known) == known
        finally:
            self._study.sampler = sampler
        self.exhausted = twins == _ATTEMPTS and not self._failures
        return None

    def _taken(self, trial: Trial) -> Plan | None:
        """What to train for a point; None for one that is known or recorded, which is told at once, or refused.

        The key is written last, and makes a point one of the study: before, it is as if it had just been asked for.
        """
        try:
            plan = self._plan(trial)
        except optuna.TrialPruned as reason:
            self.refused += 1
            trial.set_user_attr(REFUSED, str(reason))
            self._study.tell(trial, state=TrialState.PRUNED)
            return None
        planned, attributes = plan.runs[-1], trial.user_attrs
        first = self._known.get(planned.key, self._failed.get(planned.key))
        if first is not None or TWIN in attributes:
            self._mark_twin(trial, planned.key, attributes.get(TWIN, first))
            return None
        self._known[planned.key] = trial.number
        recorded = planned.folder.head() if planned.trained else None
        before = RECORDED in attributes or (recorded is not None and KEY not in attributes)
        if before:
            trial.set_user_attr(RECORDED, True)
        if attributes.get(KEY) != planned.key:
            trial.set_user_attr(KEY, planned.key)
        self._used += not before
        if recorded is None:
            self.tried_again += AGAIN in attributes
            return plan
        self._tell(trial, planned, recorded.val_accuracy)
        return None

    def _mark_twin(self, trial: Trial, key: str, first: int) -> None:
        trial.set_user_attr(TWIN, first)
        trial.set_user_attr(KEY, key)
        values = self._told.get(key)
        if values is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, values)

    def _plan(self, trial: BaseTrial) -> Plan:
        run: RunConfig = self._space.define(trial, self._recipe)
        return make_plan([(run, None)], self._store, self._fingerprints)


def _live(study: optuna.Study, trial: FrozenTrial) -> Trial:
    """A stored trial that can be told again; Optuna has no public way back."""
    return Trial(study, trial._trial_id)  # pyright: ignore[reportPrivateUsage] - see above

"""Completing a study: Optuna proposes, Ray Tune trains, ASHA stops what lags behind."""

from dataclasses import dataclass

import optuna

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Cost, Space
from sweeps.engine.failures import KilledForMemoryError, StudyLostError
from sweeps.engine.launch import fit, ray_session
from sweeps.engine.node_frames import decode_run
from sweeps.engine.plan import make_plan
from sweeps.engine.recording import Recording
from sweeps.engine.records import Store
from sweeps.engine.request import Prepared
from sweeps.engine.run_watcher import RunWatcher
from sweeps.engine.search import StudySearcher
from sweeps.engine.search_costs import cost_function
from sweeps.engine.search_stopping import LastingAsha
from sweeps.engine.search_study import done
from sweeps.engine.sweep import opened_tracking, origin
from sweeps.engine.telling import Telling
from sweeps.engine.watch import Display

AHEAD = 8
"""One of so many points may be drawn before a cluster has room for it, and so before others have taught anything."""


@dataclass(frozen=True, kw_only=True)
class Searching:
    """A space on one data set, found good."""

    space: Space
    prepared: Prepared
    recipe: Recipe
    example: RunConfig
    """Of the paper's setting."""
    cost: Cost | None
    stopping: bool

    def store(self) -> Store:
        """Where its runs are recorded, beside those of tables."""
        return Store(self.prepared.site.storage)


def complete(searching: Searching, study: optuna.Study, points: int, display: Display) -> StudySearcher:
    """Trains until the study holds so many points, or the space has no more; what failed is in the runs' folders.

    Where Ray kills a worker for memory, Tune ends with it: then the rest is launched again, as often as the site
    retries. Raises KilledForMemoryError after that, and StudyLostError where the study's database is lost.
    """
    prepared = searching.prepared
    decode_run(searching.example, prepared, display)
    kills = 0
    while True:
        searcher = _searcher(searching, study, points)
        try:
            with ray_session(prepared.site), Recording(display) as recording:
                telling = Telling(_watcher(searching, study, points, display, recording))
                fit(searcher, prepared.site, telling, _asha(searching, study), ahead=max(1, points // AHEAD))
            if searcher.lost:
                raise StudyLostError(prepared.site.optuna_uri(), searcher.lost)
            return searcher
        except KilledForMemoryError as killed:
            kills += 1
            if kills > prepared.site.retries:
                raise
            display.console.print(f"a worker was killed: {killed.told.splitlines()[0]}", highlight=False, markup=False)


def _searcher(searching: Searching, study: optuna.Study, points: int) -> StudySearcher:
    prepared = searching.prepared
    return StudySearcher(
        study,
        searching.space,
        searching.recipe,
        points,
        searching.store(),
        prepared.site,
        prepared.fingerprints(),
        origin(prepared),
        cost=None if searching.cost is None else cost_function(searching.cost, prepared.site),
    )


def _watcher(
    searching: Searching, study: optuna.Study, points: int, display: Display, recording: Recording
) -> RunWatcher:
    left, prepared = points - len(done(study)), searching.prepared
    plan = make_plan([(searching.example, None)], searching.store(), prepared.fingerprints())
    needs = [run for run in plan.runs[:-1] if not run.trained]
    steps = left * searching.example.training.steps + sum(run.steps_left for run in needs)
    return RunWatcher(display, opened_tracking(prepared), recording, runs=left + len(needs), steps=steps)


def _asha(searching: Searching, study: optuna.Study) -> LastingAsha | None:
    """None: nothing is stopped."""
    if not searching.stopping:
        return None
    return LastingAsha(searching.example.training, study.get_trials(deepcopy=False))

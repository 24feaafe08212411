"""Drivers of one study after another, killed or not."""

import os
from multiprocessing import get_context
from pathlib import Path

from ray.tune.search import Searcher

from sweeps.engine.records import Store
from sweeps.engine.search import StudySearcher
from sweeps.engine.search_study import KEY, open_study
from tests.fsar_core.tiny import recipe
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_records import ORIGIN, PRINTS, TRAIN, run_config
from tests.sweeps.made_search import finish, made_space, plain, states


def test_the_papers_points_stand_in_front_and_are_enqueued_once(tmp_path: Path, store: Store) -> None:
    space = made_space(plain, {"lam": 0.5}, {"lam": 0.75})
    uri = f"sqlite:///{tmp_path / 'studies.db'}"
    open_study(uri, "s", space, "motionshapes")
    study = open_study(uri, "s", space, "motionshapes")
    searcher = StudySearcher(study, space, recipe(), 3, store, made_site(tmp_path), PRINTS, ORIGIN)
    keys = [searcher.suggest(trial_id)["key"] for trial_id in "abc"]
    assert keys[:2] == [store.key(run_config(lam), TRAIN) for lam in (0.5, 0.75)]
    assert keys[2] not in keys[:2]


def drive(folder: Path, budget: int, killed_after: int | None) -> None:
    """A driver, in a process of its own, that may be killed with a point at work."""
    study = open_study(f"sqlite:///{folder / 'studies.db'}", "s", made_space(plain, {"lam": 0.5}), "motionshapes")
    store = Store(folder / "store")
    searcher = StudySearcher(study, made_space(), recipe(), budget, store, made_site(folder), PRINTS, ORIGIN)
    for i in range(budget):
        given = searcher.suggest(str(i))
        if given == Searcher.FINISHED:
            break
        if i == killed_after:
            os._exit(9)
        finish(searcher, store, str(i), given)


def test_drivers_in_processes_one_after_another_never_double_a_trial(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'studies.db'}"
    for budget, killed_after in ((3, 2), (6, None)):
        driver = get_context("spawn").Process(target=drive, args=(tmp_path, budget, killed_after))
        driver.start()
        driver.join()
        assert driver.exitcode == (9 if killed_after else 0)
    study = open_study(uri, "s", made_space(plain, {"lam": 0.5}), "motionshapes")
    assert states(study) == ["COMPLETE"] * 6
    assert len({trial.user_attrs[KEY] for trial in study.trials}) == 6
    assert study.trials[0].params == {"lam": 0.5}

"""The database of a study is lost in the middle of a search."""

import sqlite3
from pathlib import Path

import pytest
from ray.tune.search import Searcher

from sweeps.engine.failures import StudyLostError
from sweeps.engine.records import Store
from sweeps.engine.search import StudySearcher
from sweeps.engine.search_study import KEY, done, keeping_studies, open_study
from tests.fsar_core.tiny import recipe
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_records import ORIGIN, PRINTS
from tests.sweeps.made_search import finish, made_space, plain

POINTS = 3


def rename(folder: Path, old: str, new: str) -> None:
    """Of a table of the study's database."""
    with sqlite3.connect(folder / "studies.db") as database:
        database.execute(f"ALTER TABLE {old} RENAME TO {new}")


def searching(folder: Path, store: Store) -> StudySearcher:
    study = open_study(f"sqlite:///{folder / 'studies.db'}", "s", made_space(), "motionshapes")
    return StudySearcher(study, made_space(plain), recipe(), POINTS, store, made_site(folder), PRINTS, ORIGIN)


@pytest.mark.parametrize("step", ["a look", "an end", "a proposal"])
def test_no_trial_fails_of_it_and_the_next_driver_tells_the_study_what_ended_meanwhile(
    tmp_path: Path, store: Store, step: str
) -> None:
    first = searching(tmp_path, store)
    given = {trial: first.suggest(trial) for trial in "ab"}
    rename(tmp_path, "trials", "away")
    if step == "a look":
        first.on_trial_result("a", {"step": 4, "val_accuracy": 0.5})
    if step == "a proposal":
        assert first.suggest("c") == Searcher.FINISHED
    for trial, own in given.items():
        finish(first, store, trial, own)
    assert "no such table: trials" in first.lost
    assert first.suggest("d") == Searcher.FINISHED
    rename(tmp_path, "away", "trials")
    second = searching(tmp_path, store)
    new = second.suggest("e")
    assert new["key"] not in {own["key"] for own in given.values()}
    finish(second, store, "e", new)
    assert second.suggest("f") == Searcher.FINISHED
    assert second.lost == ""
    study = open_study(f"sqlite:///{tmp_path / 'studies.db'}", "s", made_space(), "motionshapes")
    assert len({trial.user_attrs[KEY] for trial in done(study)}) == len(done(study)) == POINTS


def test_what_reads_the_study_later_says_so_without_the_password(tmp_path: Path) -> None:
    study = open_study(f"sqlite:///{tmp_path / 'studies.db'}", "s", made_space(), "motionshapes")
    rename(tmp_path, "trials", "away")
    with (
        pytest.raises(StudyLostError, match=r"postgresql://\*\*\*@host/studies .* no such table: trials.*launch again"),
        keeping_studies("postgresql://me:word@host/studies"),
    ):
        study.get_trials()

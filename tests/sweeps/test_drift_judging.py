"""Verdicts over a series of reruns, from records on disk."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sweeps.engine.drift_judging import Judgement, judged, mean_place
from sweeps.engine.drift_measured import Place, seen
from sweeps.engine.reruns import reruns
from sweeps.engine.site import Site
from tests.sweeps.made_drift import NAME, made_rerun, slot
from tests.sweeps.made_records import small_table

LEVELS = np.array([[0.45], [0.55], [0.60]])
OTAM, BIMHM = (Place("strm/table2", row, "1-shot") for row in ("otam", "bimhm"))
MEAN = mean_place("strm/table2")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(storage=tmp_path / "output", cache=tmp_path / "cache", datasets={})


def means(number: int, bimhm: float = 0.0, *, seeds: int = 2) -> list[list[float]]:
    """Of an honest rerun but for what ``bimhm`` adds to one of three cells."""
    found = LEVELS + 0.005 * np.random.default_rng([7, number]).standard_normal((3, seeds))
    found[1] += bimhm
    return found.tolist()


def history(site: Site) -> list[Judgement]:
    return judged(seen(rerun) for rerun in reruns(site, NAME))


def series(site: Site, shifts: Sequence[float]) -> list[Judgement]:
    """Three honest reruns, then one for each shift of a cell."""
    for number, shift in enumerate([0.0, 0.0, 0.0, *shifts]):
        made_rerun(site, number, means(number, shift))
    return history(site)


def test_below_once_is_suspicious_and_twice_running_a_regression(site: Site) -> None:
    found = series(site, [0.0, -0.1, -0.1, -0.1, 0.0])
    assert [own.verdict for own in found] == [
        *["insufficient data"] * 3,
        *["fine", "suspicious", "regression", "regression", "fine"],
    ]
    assert {place: own.standing for place, own in found[5].cells.items() if place != MEAN} == {
        OTAM: "fine",
        BIMHM: "regression",
        OTAM._replace(row="protonet"): "fine",
    }


def test_below_twice_with_a_fine_one_between_is_no_regression(site: Site) -> None:
    assert [own.verdict for own in series(site, [-0.1, 0.0, -0.1])[3:]] == ["suspicious", "fine", "suspicious"]


def test_a_rerun_that_left_the_band_is_not_compared_with(site: Site) -> None:
    found = series(site, [-0.1, 0.1, 0.0])
    assert [own.counts for own in found] == [True, True, True, False, False, True]
    assert len(found[5].cells[BIMHM].earlier) == 3


def test_above_the_band_is_told_and_no_alarm(site: Site) -> None:
    (found,) = series(site, [0.1])[3:]
    assert (found.verdict, found.cells[BIMHM].standing) == ("fine", "better")


def test_the_mean_over_a_table_is_looked_at_as_a_cell_is(site: Site) -> None:
    found = series(site, [0.0] * 6)[-1]
    mean = found.cells[MEAN]
    assert mean.sample.means.tolist() == pytest.approx(
        np.mean([found.cells[p].sample.means for p in found.averaged(MEAN.table)], axis=0).tolist()
    )
    assert len(mean.earlier) == 8
    assert mean.standing == "fine"


def test_what_is_lacking_is_named_before_there_is_a_band(site: Site) -> None:
    for number in range(2):
        made_rerun(site, number, means(number, seeds=1))
    found = history(site)[-1]
    assert found.verdict == "insufficient data"
    assert found.cells[OTAM].lacks == ("1 of 3 earlier reruns", "1 of 3 different seeds in earlier reruns")


def test_few_test_episodes_are_no_ground_for_a_verdict(site: Site) -> None:
    table = small_table()
    cells = tuple(
        c.model_copy(update={"evaluation": c.evaluation.model_copy(update={"episodes": 50})}) for c in table.cells
    )
    for number in range(5):
        made_rerun(site, number, means(number), table=table.model_copy(update={"cells": cells}))
    assert history(site)[-1].cells[OTAM].lacks == ("50 of 100 test episodes",)


def test_reruns_that_show_the_same_trainings_count_once(site: Site) -> None:
    for number in range(6):
        made_rerun(site, number, means(0), seeds=(0, 1), fresh=False)
    found = history(site)[-1]
    assert found.cells[OTAM].lacks[0] == "0 of 3 earlier reruns; 5 more show the same trainings"
    assert {own.standing for own in found.cells.values()} == {"insufficient data"}


def test_reruns_on_other_test_episodes_are_not_compared_with(site: Site) -> None:
    table = small_table()
    moved = tuple(c.model_copy(update={"evaluation": c.evaluation.model_copy(update={"seed": 1})}) for c in table.cells)
    for number in range(3):
        made_rerun(site, number, means(number), table=table.model_copy(update={"cells": moved}))
    made_rerun(site, 3, means(3))
    assert history(site)[-1].cells[OTAM].lacks[0] == "0 of 3 earlier reruns; 3 more met other test episodes"


def test_a_cell_without_a_number_leaves_the_others_judged(site: Site) -> None:
    for number in range(3):
        made_rerun(site, number, means(number))
    made_rerun(site, 3, means(3)[:1])
    found = history(site)[-1]
    assert [*found.cells] == [OTAM]
    assert found.verdict == "fine"


def test_a_number_whose_record_is_gone_is_counted_and_not_used(site: Site) -> None:
    found = series(site, [0.0])
    lost = found[0].seen.cells[OTAM]
    for number in lost.numbers:
        lost.folder(number).outcomes_path(number.eval_id, number.fingerprint).with_suffix(".json").unlink()
    after = history(site)
    assert [own.seen.lost for own in after] == [2, 0, 0, 0]
    assert after[-1].cells[OTAM].lacks == ("2 of 3 earlier reruns",)
    assert after[-1].cells[BIMHM].standing == "fine"
    assert after[0].seen.rerun.slot == slot(0)

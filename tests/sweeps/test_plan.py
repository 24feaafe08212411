"""From cells to work: nothing twice, nothing that is recorded, what is needed first."""

import numpy as np
import pytest

from sweeps.engine.plan import asked, make_plan
from sweeps.engine.records import Store
from sweeps.engine.results import UnreadableResultError
from tests.sweeps.made_plans import FIRST, made_cell, made_table, needing, write_checkpoint
from tests.sweeps.made_records import PRINTS, TRAIN, run_config, write_outcomes, write_run


def test_cells_that_share_a_run_are_trained_once_and_each_seed_on_its_own(store: Store) -> None:
    one, two = run_config(0.1), run_config(0.2)
    table = made_table(made_cell("a", one), made_cell("b", one), made_cell("c", two))
    plan = make_plan(asked(table.cells, (0, 1)), store, PRINTS)
    assert plan.cells == 6
    assert {planned.run.run_id() for planned in plan.runs} == {
        run.with_seed(seed).run_id() for run in (one, two) for seed in (0, 1)
    }
    assert len(plan.runs) == 4


def test_cells_with_one_run_and_one_evaluation_share_the_number(store: Store) -> None:
    run = run_config()
    cells = (made_cell("a", run), made_cell("b", run), made_cell("c", run, episodes=50))
    plan = make_plan(asked(cells, (0,)), store, PRINTS)
    assert (plan.cells, plan.evaluations()) == (3, 2)
    assert [evaluation.episodes for evaluation in plan.runs[0].missing] == [40, 50]


def test_what_runs_need_comes_before_them_and_is_shared_by_all_seeds(store: Store) -> None:
    middle = needing(run_config(0.5), FIRST)
    cells = (made_cell("a", needing(run_config(0.1), middle)), made_cell("b", needing(run_config(0.2), FIRST, middle)))
    plan = make_plan(asked(cells, (0, 1)), store, PRINTS)
    keys = [planned.key for planned in plan.runs]
    assert len(keys) == len(set(keys)) == 6
    for planned in plan.runs:
        assert all(keys.index(need) < keys.index(planned.key) for need in planned.needs)
        assert len(planned.needs) == len(planned.run.needs)
    assert keys[:2] == [store.key(FIRST, TRAIN), store.key(middle, TRAIN)]
    assert plan.runs[0].evaluations == ()


def test_a_recorded_run_with_its_evaluations_is_left_out(store: Store) -> None:
    done, half, new = run_config(0.1), run_config(0.2), run_config(0.3)
    cells = [made_cell(name, run) for name, run in (("a", done), ("b", half), ("c", new))]
    write_run(store, done)
    write_run(store, half)
    write_outcomes(store, done, cells[0].evaluation, np.arange(40) % 6)
    plan = make_plan(asked(cells, (0,)), store, PRINTS)
    assert [planned.run for planned in plan.todo()] == [half, new]
    assert [planned.trained for planned in plan.runs] == [True, True, False]
    assert [planned.steps_left for planned in plan.runs] == [0, 0, 600]
    assert plan.evaluations_known() == 1
    assert not plan.complete()


def test_a_plan_whose_cells_are_all_recorded_is_complete(store: Store) -> None:
    cell = made_cell("a", run_config())
    write_run(store, cell.run)
    write_outcomes(store, cell.run, cell.evaluation, np.arange(40) % 6)
    assert make_plan(asked([cell], (0,)), store, PRINTS).complete()


def test_only_the_steps_after_the_newest_checkpoint_are_left(store: Store) -> None:
    run = run_config(steps=600)
    write_checkpoint(store.folder(run, TRAIN), 250)
    (planned,) = make_plan([(run, None)], store, PRINTS).runs
    assert planned.steps_left == 350
    assert not planned.done


def test_a_fresh_generation_has_folders_of_its_own_for_the_same_ids(store: Store) -> None:
    cell = made_cell("a", needing(run_config(), FIRST))
    write_run(store, cell.run)
    write_run(store, FIRST)
    record = make_plan(asked([cell], (0,)), store, PRINTS)
    again = make_plan(asked([cell], (0,)), Store(store.root, generation=1), PRINTS)
    assert [planned.run.run_id() for planned in again.runs] == [planned.run.run_id() for planned in record.runs]
    assert not {planned.key for planned in again.runs} & {planned.key for planned in record.runs}
    assert not {planned.folder.path for planned in again.runs} & {planned.folder.path for planned in record.runs}
    assert again.runs[-1].needs == (again.runs[0].key,)
    assert not any(planned.trained for planned in again.runs)


def test_other_videos_are_other_work_and_leave_the_record_alone(store: Store) -> None:
    cell = made_cell("a", run_config())
    write_run(store, cell.run)
    before = store.folder(cell.run, TRAIN).record()
    changed = make_plan(asked([cell], (0,)), store, PRINTS | {"motionshapes": "ffff0000ffff0000"})
    assert changed.runs[0].key != store.key(cell.run, TRAIN)
    assert not changed.runs[0].trained
    assert store.folder(cell.run, TRAIN).record() == before


def test_other_videos_of_a_tested_data_set_are_another_evaluation_of_the_same_run(store: Store) -> None:
    cell = made_cell("a", run_config())
    write_run(store, cell.run)
    write_outcomes(store, cell.run, cell.evaluation, np.arange(40) % 6)
    assert make_plan(asked([cell], (0,)), store, PRINTS).complete()
    (planned,) = make_plan(asked([cell], (0,)), store, PRINTS | {"hmdb51": "ffff0000ffff0000"}).runs
    assert planned.trained
    assert planned.missing == (cell.evaluation,)


def test_a_damaged_record_is_named_with_its_folder(store: Store) -> None:
    run = run_config()
    write_run(store, run)
    path = store.folder(run, TRAIN).path / "run.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UnreadableResultError, match=store.key(run, TRAIN)):
        make_plan([(run, None)], store, PRINTS)

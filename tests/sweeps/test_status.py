"""How far tables have come: numbers, lines, plain values."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search_spaces.table import Table
from sweeps.engine.failures import Failure, Kind
from sweeps.engine.moments import ago
from sweeps.engine.plan import Plan, asked, make_plan
from sweeps.engine.records import Store
from sweeps.engine.results import TableResult, collect
from sweeps.engine.run_log import LOG
from sweeps.engine.status import status, status_json
from tests.sweeps.made_plans import FIRST, made_cell, made_table, needing, write_checkpoint
from tests.sweeps.made_records import PRINTS, TRAIN, fill, ratio_table, run_config, small_table, write_evaluation
from tests.sweeps.made_records import write_run as trained

NOW = 1_800_000_000_000


def of(store: Store, *tables: Table, seeds: tuple[int, ...] = (0, 1)) -> tuple[list[TableResult], Plan]:
    results = [collect(table, seeds, store, PRINTS) for table in tables]
    return results, make_plan([pair for table in tables for pair in asked(table.cells, seeds)], store, PRINTS)


def numbers(store: Store, *tables: Table) -> Any:
    return json.loads(json.dumps(status_json(*of(store, *tables))))


def shown(store: Store, *tables: Table, width: int = 100) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(status(*of(store, *tables), now_ms=NOW))
    return captured.get().splitlines()


def fail(store: Store, table: Table, cell: int, seed: int, kind: Kind) -> None:
    folder = store.folder(table.cells[cell].run.with_seed(seed), TRAIN)
    folder.write_failure(Failure(kind=kind, traceback="x"))


def changed(folder: Path, name: str, time_ms: int) -> None:
    (folder / name).touch()
    os.utime(folder / name, ns=(time_ms * 10**6, time_ms * 10**6))


def test_nothing_begun_is_all_pending(store: Store) -> None:
    table = small_table()
    assert numbers(store, table)["total"] == {
        "cells": 3,
        "done": 0,
        "pending": 3,
        "failed": {},
        "trainings": 6,
        "trained": 0,
        "begun": 0,
        "steps": 3600,
        "steps_done": 0,
        "active_ms": None,
    }


def test_cells_and_trainings_are_counted_by_how_far_they_are(store: Store) -> None:
    table = small_table()
    first, second, third = (own.run for own in table.cells)
    for seed in (0, 1):
        trained(store, first.with_seed(seed))
        write_evaluation(store, first.with_seed(seed), table.cells[0].evaluation, 0.5)
    trained(store, second)
    write_checkpoint(store.folder(third, TRAIN), 150)
    fail(store, table, 2, 1, "oom")
    own = numbers(store, table)["tables"]["strm/table2"]
    assert (own["done"], own["pending"], own["failed"]) == (1, 1, {"oom": 1})
    assert (own["trainings"], own["trained"], own["begun"]) == (6, 3, 1)
    assert own["steps_done"] == 3 * 600 + 150


def test_a_cell_that_failed_in_two_ways_counts_as_the_one_that_needs_a_person(store: Store) -> None:
    table = small_table()
    fail(store, table, 0, 0, "needs")
    fail(store, table, 0, 1, "bug")
    fail(store, table, 1, 0, "preempted")
    assert numbers(store, table)["total"]["failed"] == {"bug": 1, "preempted": 1}


def test_what_tables_share_and_what_runs_need_counts_once_over_all(store: Store) -> None:
    shared = made_cell("shared", run_config(0.7))
    one = made_table(shared, made_cell("needs", needing(run_config(0.8), FIRST)))
    other = made_table(shared).model_copy(update={"name": "other"})
    found = numbers(store, one, other)
    assert found["tables"]["made"]["trainings"] == 2 * 2 + 1, "the run that is needed has one seed"
    assert found["tables"]["other"]["trainings"] == 2
    assert found["total"]["trainings"] == 5
    assert found["total"]["cells"] == 3
    text = "\n".join(shown(store, one, other))
    assert "the last line counts trainings that tables share once: 2 fewer than the lines above" in text


def test_the_last_change_is_that_of_the_newest_file_of_any_training(store: Store) -> None:
    table = small_table()
    for seed, age in ((0, 50_000), (1, 400_000)):
        folder = store.folder(table.cells[0].run.with_seed(seed), TRAIN).path
        folder.mkdir(parents=True)
        changed(folder, LOG, NOW - age)
    assert numbers(store, table)["total"]["active_ms"] == NOW - 50_000
    assert shown(store, table)[1].rstrip().endswith("50 s ago")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (7300, "2 h"), (86400, "1 day"), (200000, "2 days")],
)
def test_ages_are_in_the_largest_unit_that_fits(seconds: float, words: str) -> None:
    assert ago(NOW - round(1000 * seconds), NOW) == f"{words} ago"


def test_a_line_has_bar_counts_and_kinds_and_the_notes_say_what_to_do(store: Store) -> None:
    big, small = ratio_table(), small_table()
    fill(store, small)
    fail(store, big, 3, 0, "oom")
    fail(store, big, 4, 0, "bug")
    lines = shown(store, big, small)
    head, first, second, total, *notes = lines
    assert head.split() == [
        "table",
        "cells",
        "done",
        "pending",
        "failed",
        "trained",
        "begun",
        "steps",
        "last",
        "change",
    ]
    assert "░░░░░░░░░░ 0/22" in first
    assert "1 bug, 1 oom" in first
    assert "██████████ 3/3" in second
    assert "100 %" in second
    assert total.startswith("all 2 tables")
    assert "3/25" in total
    assert any("fsar retry --only KIND` tries again: bug, oom" in note for note in notes)
    assert max(map(len, lines)) <= 100


def test_a_complete_table_alone_has_one_line_and_no_notes(store: Store) -> None:
    fill(store, small_table())
    assert len(shown(store, small_table())) == 2

"""Tables with columns on val beside test: said as such in every format, never compared with printed values."""

import csv
import io

from fsar_core.config import EvalConfig
from search_spaces.table import Published, Table
from sweeps.engine.formats import csv_text, markdown
from sweeps.engine.protocol import protocol
from sweeps.engine.records import Store
from sweeps.engine.results import TableResult, collect
from sweeps.engine.tracking_fields import measurements
from sweeps.engine.tracking_notes import run_note
from tests.sweeps.made_records import PRINTS, cell, fill, run_config, train_record, write_evaluation

PRINTED = Published(percent=45.2, dataset="MotionShapes", source="STRM, table 2")
ON_TEST = EvalConfig(queries=2, episodes=400)
ON_VAL = EvalConfig(queries=2, episodes=400, seed=1, split="val")


def both(store: Store) -> TableResult:
    cells = tuple(
        cell(row, 1, lam, published=PRINTED).model_copy(update={"column": name, "evaluation": evaluation})
        for row, lam in (("otam", 0.1), ("bimhm", 0.2))
        for name, evaluation in (("val", ON_VAL), ("test", ON_TEST))
    )
    table = Table(name="made", title="Made", cells=cells, reference="otam")
    fill(store, table)
    return collect(table, (0, 1), store, PRINTS)


def test_the_protocol_says_which_columns_are_val_and_what_they_are_worth(store: Store) -> None:
    lines = [line for line in protocol(both(store)) if "episodes:" in line]
    assert lines == [
        "Test episodes: 400 5-way 1-shot with 2 queries per class (episode seed 0); the same for every row; "
        "columns: “test”.",
        "Val episodes: 400 5-way 1-shot with 2 queries per class (episode seed 1); the same for every row; "
        "columns: “val”, on val classes, from which settings and weights are chosen: for comparing rows, no result of "
        "a method.",
    ]
    assert "Val episodes" in markdown(both(store))


def test_a_number_on_val_is_not_compared_with_a_printed_one(store: Store) -> None:
    result = both(store)
    on_val, on_test = result.at("otam", "val"), result.at("otam", "test")
    assert on_val is not None
    assert on_test is not None
    assert (on_val.printed, on_val.printed_minus_ours) == (None, None)
    assert on_test.printed == PRINTED


def test_rows_measured_on_other_splits_are_not_paired(store: Store) -> None:
    rows = (("otam", 0.1, ON_TEST), ("bimhm", 0.2, ON_TEST.model_copy(update={"split": "val"})))
    cells = tuple(cell(row, 1, lam).model_copy(update={"evaluation": own}) for row, lam, own in rows)
    table = Table(name="made", title="Made", cells=cells, reference="otam")
    fill(store, table)
    result = collect(table, (0, 1), store, PRINTS)
    assert result.difference(result.cells[1]) is None


def test_the_csv_names_the_split_of_every_cell(store: Store) -> None:
    lines = csv.DictReader(io.StringIO(csv_text(both(store))))
    assert [(line["column"], line["split"]) for line in lines] == [("val", "val"), ("test", "test")] * 2


def test_mlflow_keeps_val_apart_from_test(store: Store) -> None:
    run = run_config()
    records = {own.eval_id(run): write_evaluation(store, run, own, 0.4) for own in (ON_VAL, ON_TEST)}
    metrics = {own.name: own.value for own in measurements(run, records)}
    assert metrics.keys() == {f"{split}/5way1shot/{part}" for split in ("val", "test") for part in ("accuracy", "ci95")}
    note = run_note(train_record(run), metrics | {"val/accuracy": 0.4, "val/ci95": 0.1})
    rows = [line.split(" | ")[0] for line in note.splitlines() if line.startswith("| 5way")]
    assert rows == ["| 5way1shot", "| 5way1shot on val"]

"""From run folders to tables and figures, on records without any training."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from fsar_core.data.config import Limit
from search_spaces.table import Cell, Table
from sweeps.engine.failures import Failure
from sweeps.engine.formats import csv_text, markdown, terminal
from sweeps.engine.latex import latex
from sweeps.engine.page import html_page
from sweeps.engine.plot import draw
from sweeps.engine.protocol import protocol
from sweeps.engine.records import RunFolder, Store
from sweeps.engine.report import grid, points
from sweeps.engine.results import TableResult, UnreadableResultError
from tests.sweeps.made_outcomes import SEEDS, draws, results, table_by_hand
from tests.sweeps.made_records import (
    TRAIN,
    fill,
    ratio_table,
    small_table,
    write_evaluation,
    write_outcomes,
    write_run,
)


def rendered(result: TableResult) -> dict[str, str]:
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(terminal(result, 200))
    texts = {"terminal": console.export_text(), "markdown": markdown(result), "html": html_page(result)}
    return {**texts, "latex": latex(result), "csv": csv_text(result)}


def test_accuracy_interval_and_seed_spread_are_those_of_the_outcomes(store: Store) -> None:
    result, outcomes = table_by_hand(store)
    for cell, own in zip(result.cells, outcomes, strict=True):
        seeds = [float(np.mean(o / 10)) for o in own]
        episodes = [(a + b) / 20 for a, b in zip(*own, strict=True)]
        mean = sum(episodes) / 400
        variance = sum((value - mean) ** 2 for value in episodes) / 399
        assert cell.accuracy == pytest.approx(mean)
        assert cell.ci95 == pytest.approx(1.96 * (variance / 400) ** 0.5)
        assert cell.seed_sd == pytest.approx(abs(seeds[0] - seeds[1]) / 2**0.5)


def test_one_seed_has_the_interval_of_its_record_and_no_spread(store: Store) -> None:
    table = small_table()
    record = write_evaluation(store, table.cells[0].run, table.cells[0].evaluation, 0.5)
    cell = results(table, store, (0,)).cells[0]
    assert cell.ci95 == pytest.approx(record.ci95)
    assert cell.seed_sd is None


def partly_done(store: Store) -> TableResult:
    """protonet complete, bimhm with one seed of two, otam failed."""
    table = small_table()
    otam, bimhm, protonet = table.cells
    for seed in SEEDS:
        write_evaluation(store, protonet.run.with_seed(seed), protonet.evaluation, 0.3, noise=seed)
    write_evaluation(store, bimhm.run, bimhm.evaluation, 0.9)
    store.folder(otam.run, TRAIN).write_failure(Failure(traceback="Traceback: no memory"))
    return results(table, store)


def test_unfinished_cells_are_named_in_every_format(store: Store) -> None:
    for name, text in rendered(partly_done(store)).items():
        assert "pending 1/2 seeds" in text, name
        assert "failed, 0/2 seeds" in text, name
        assert "protonet" in text, name


def test_unfinished_cells_are_never_best(store: Store) -> None:
    table = ratio_table()
    fill(store, table)
    result = results(table, store)
    best = max(result.column("1-shot"), key=lambda cell: cell.accuracy or 0)
    seed = best.seeds[1]
    seed.folder.outcomes_path(seed.eval_id, TRAIN).with_suffix(".json").unlink()
    marked = {row: entries[0].rank for row, entries in grid(results(table, store)).rows if entries[0]}
    assert marked[best.cell.row] is None
    assert sorted(rank for rank in marked.values() if rank) == ["best", "second"]


def test_a_single_complete_cell_is_not_called_best(store: Store) -> None:
    assert not any(entry and entry.rank for _, entries in grid(partly_done(store)).rows for entry in entries)


def test_a_table_without_any_result_is_shown(store: Store) -> None:
    result = results(small_table(), store)
    assert result.state == "pending"
    for name, text in rendered(result).items():
        assert text.count("pending 0/2 seeds") == 3, name
    assert draw(result, "png")


def test_cells_that_share_an_evaluation_read_its_files_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = small_table().cells[0]
    table = Table(name="a", title="a", cells=tuple(first.model_copy(update={"row": f"row {i}"}) for i in range(5)))
    fill(store, table, (0,))
    read: list[str] = []
    outcomes = RunFolder.outcomes

    def counted(self: RunFolder, eval_id: str, fingerprint: str) -> np.ndarray:
        read.append(eval_id)
        return outcomes(self, eval_id, fingerprint)

    monkeypatch.setattr(RunFolder, "outcomes", counted)
    assert results(table, store, (0,)).state == "done"
    assert len(read) == 1


def test_damaged_settings_of_a_training_are_named_when_they_are_asked_for(store: Store) -> None:
    table = small_table()
    fill(store, table)
    path = store.folder(table.cells[0].run, TRAIN).path / "run.json"
    path.write_text(path.read_text().replace('"steps": 600', '"steps": -600'))
    seed = results(table, store).cells[0].seeds[0]
    with pytest.raises(UnreadableResultError, match=r"(?s)run\.json.*launch again") as caught:
        assert seed.run_record
    assert "steps" in str(caught.value)


@pytest.mark.parametrize("damage", [b"", b"PAR1 not really"])
def test_damaged_outcomes_are_named_with_what_to_do(store: Store, damage: bytes) -> None:
    table = small_table()
    fill(store, table)
    own = table.cells[0]
    folder = store.folder(own.run, TRAIN)
    folder.outcomes_path(own.evaluation.eval_id(own.run), TRAIN).write_bytes(damage)
    with pytest.raises(UnreadableResultError, match="launch again") as caught:
        results(table, store)
    assert str(folder.path) in str(caught.value)


def test_outcomes_of_another_length_are_refused(store: Store) -> None:
    own = small_table().cells[0]
    write_outcomes(store, own.run, own.evaluation, draws(0, 399))
    with pytest.raises(UnreadableResultError, match="400 outcomes expected, 399 found"):
        results(small_table(), store)


def test_values_printed_on_other_data_are_shown_but_never_compared(store: Store) -> None:
    table = small_table(printed_on="Kinetics-100")
    fill(store, table)
    result = results(table, store)
    assert all(cell.printed_minus_ours is None for cell in result.cells)
    for name, text in rendered(result).items():
        assert "45.2" in text, name
        assert name == "csv" or "printed on Kinetics-100, not comparable with motionshapes" in text, name


@pytest.mark.parametrize("printed_on", ["motionshapes", "MotionShapes"])
def test_values_printed_on_the_same_data_are_compared(store: Store, printed_on: str) -> None:
    table = small_table(printed_on=printed_on)
    fill(store, table)
    result = results(table, store)
    cell = result.cells[1]
    assert cell.accuracy is not None
    assert cell.printed_minus_ours == pytest.approx(0.452 - cell.accuracy)
    assert f"45.20 ({points(0.452 - cell.accuracy, 2)})" in markdown(result)


def test_narrow_intervals_are_shown_with_two_decimals(store: Store) -> None:
    table = Table(name="a", title="a", cells=(_with_episodes(small_table().cells[0], 20_000),))
    fill(store, table, (0,))
    entry = grid(results(table, store, (0,))).rows[0][1][0]
    assert entry is not None
    assert len(entry.value.split(".")[1]) == 2


@pytest.mark.parametrize(("fraction", "text"), [(0.0123, "+1.2"), (-0.0123, "−1.2"), (-0.00001, "0.0")])
def test_differences_carry_a_sign_and_zero_does_not(fraction: float, text: str) -> None:
    assert points(fraction, 1) == text


def test_names_cannot_break_any_format(store: Store) -> None:
    nasty = "<script>x</script> a_b & 50% | *c* $λ$ {d} \\e"
    first, *others = small_table().cells
    table = small_table(reference=None).model_copy(update={"cells": (first.model_copy(update={"row": nasty}), *others)})
    fill(store, table)
    text = rendered(results(table, store))
    assert nasty in text["terminal"]
    assert "<script>" not in text["html"]
    escaped = r"$<$script$>$x$<$/script$>$ a\_b \& 50\% \textbar{} *c* \$$\lambda$\$ \{d\} \textbackslash{}e"
    assert escaped in text["latex"]
    line = next(line for line in text["markdown"].splitlines() if "script" in line)
    assert line.replace(r"\|", "").count("|") == 4
    assert "&lt;script&gt;x&lt;/script&gt; a\\_b &amp; 50%" in line
    assert next(csv.DictReader(io.StringIO(text["csv"])))["row"] == nasty


def test_latex_marks_best_and_second_with_booktabs_and_protocol(store: Store) -> None:
    result, _ = table_by_hand(store)
    text = latex(result)
    assert text.count(r"\textbf{") == 1
    assert text.count(r"\underline{") == 1
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"\footnotesize" in text
    assert text.count("{") == text.count("}")


def test_csv_has_a_line_per_cell_with_its_settings(store: Store) -> None:
    table = ratio_table()
    fill(store, table)
    result = results(table, store)
    lines = list(csv.DictReader(io.StringIO(csv_text(result))))
    assert [(line["row"], line["column"]) for line in lines] == [(c.cell.row, c.cell.column) for c in result.cells]
    assert [float(line["accuracy"]) for line in lines] == [cell.accuracy for cell in result.cells]
    assert lines[1]["setting.ratio"] == "0.15"
    assert lines[0]["setting.ratio"] == ""


def test_the_protocol_says_how_the_numbers_came_about(store: Store) -> None:
    fill(store, small_table())
    text = markdown(results(small_table(), store))
    for fact in (
        "motionshapes",
        TRAIN,
        "segment-centre",
        "chosen on val",
        "Seeds: 0, 1",
        "400 5-way 1-shot",
        "±",
    ):
        assert fact in text


def test_a_run_without_its_record_still_counts_by_its_evaluation(store: Store) -> None:
    own = small_table().cells[0]
    write_evaluation(store, own.run, own.evaluation, 0.5)
    before = results(small_table(), store, (0,)).cells[0]
    write_run(store, own.run)
    after = results(small_table(), store, (0,)).cells[0]
    assert (before.state, after.state) == ("done", "done")
    assert before.seeds[0].run_record is None
    assert after.seeds[0].run_record is not None
    assert replace(before, seeds=()).accuracy is None


def _with_episodes(cell: Cell, episodes: int) -> Cell:
    return cell.model_copy(update={"evaluation": cell.evaluation.model_copy(update={"episodes": episodes})})


def test_the_protocol_says_how_few_videos_a_training_had(store: Store) -> None:
    table = small_table()
    data = table.cells[0].run.data.model_copy(update={"limit": Limit(per_class=20, seed=3)})
    few = table.cells[0].model_copy(update={"run": table.cells[0].run.model_copy(update={"data": data})})
    result = results(table.model_copy(update={"cells": (few, *table.cells[1:])}), store)
    assert "20 videos of each class (drawn with seed 3)" in "".join(protocol(result))
    assert "videos of each class" not in "".join(protocol(results(table, store)))

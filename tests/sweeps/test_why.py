"""What is said of a cell, and how it is found."""

import io

import pytest
from rich.console import Console

from search_spaces.table import Table
from sweeps.engine.failures import Failure, not_started
from sweeps.engine.find_cell import cell_name, find_cell
from sweeps.engine.records import RunFolder, Store
from sweeps.engine.results import TableResult, collect
from sweeps.engine.run_log import LOG
from sweeps.engine.site import BadRequest
from sweeps.engine.why import explain
from tests.sweeps.made_plans import FIRST, made_cell, made_table, needing, write_checkpoint
from tests.sweeps.made_records import (
    PRINTS,
    START_MS,
    TRAIN,
    fill,
    ratio_table,
    run_config,
    small_table,
    write_evaluation,
    write_run,
)

TRACE = "\n".join(
    [
        "Traceback (most recent call last):",
        *(f'  File "loss.py", line {i}, in forward' for i in range(30)),
        "ValueError: a bug",
    ]
)
BUG = Failure(
    traceback=TRACE,
    host="node-2",
    device="A100",
    started_ms=START_MS,
    time_ms=START_MS + 130_000,
    step=240,
    git_commit="0123456789abcdef",
)


def of(store: Store, table: Table, seeds: tuple[int, ...] = (0,)) -> TableResult:
    return collect(table, seeds, store, PRINTS)


def said(result: TableResult, row: str, *, full: bool = False, width: int = 150) -> str:
    cell = next(cell for cell in result.cells if cell.cell.row == row)
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(explain(result, cell, full=full))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def folder(store: Store, table: Table, cell: int, seed: int = 0) -> RunFolder:
    return store.folder(table.cells[cell].run.with_seed(seed), TRAIN)


def fact(text: str, name: str) -> str:
    (line,) = (line for line in text.splitlines() if line.startswith(f"  {name} "))
    return line.removeprefix(f"  {name}").strip()


class TestExplain:
    def test_a_failed_seed_has_place_times_step_traceback_log_and_what_to_do(self, store: Store) -> None:
        table = small_table()
        own = folder(store, table, 0)
        own.write_failure(BUG)
        write_checkpoint(own, 200)
        (own.path / LOG).write_text("".join(f"line {i}\n" for i in range(40)))
        text = said(of(store, table, (0, 1)), "otam")
        assert text.startswith("strm/table2:otam:1-shot  failed\n\nseed 0  failed: bug\n")
        assert fact(text.split("seed 1")[0], "run") == table.cells[0].run.run_id()
        assert fact(text, "where") == "node-2, A100, code 0123456789abcdef"
        assert fact(text, "failed") == "2023-11-14 22:15:30 UTC, 2 min after its start at 2023-11-14 22:13:20 UTC"
        assert fact(text.split("seed 1")[0], "step").startswith("240 of 600; the newest checkpoint is of step 200, ")
        assert "its end; --full shows 20 more lines" in text
        assert "line 18, in forward" not in text
        assert "ValueError: a bug" in text
        assert "line 20\n" in text
        assert "line 19\n" not in text
        assert fact(text.split("seed 1")[0], "to do").endswith("then `fsar retry strm/table2 --only bug`")
        assert "seed 1  pending" in text

    def test_the_whole_traceback_is_shown_when_asked_for(self, store: Store) -> None:
        table = small_table()
        folder(store, table, 0).write_failure(BUG)
        text = said(of(store, table), "otam", full=True)
        assert "--full" not in text
        assert all(f"line {i}, in forward" in text for i in range(30))

    def test_a_failure_that_is_tried_again_says_so(self, store: Store) -> None:
        table = small_table()
        own = folder(store, table, 0)
        own.write_failure(BUG)
        own.write_failure(BUG)
        (own.path / LOG).write_text("started again\n")
        text = said(of(store, table), "otam")
        assert fact(text, "since then").startswith("it was taken up again; last line of its log 0 s ago")
        assert "it failed 2 times in this way" in text

    def test_a_run_that_was_not_started_names_the_failure_of_the_one_it_needs(self, store: Store) -> None:
        table = made_table(made_cell("a", needing(run_config(), FIRST)))
        first = store.folder(FIRST, TRAIN)
        first.write_failure(BUG)
        folder(store, table, 0).write_failure(not_started([first.path.name]))
        text = said(of(store, table), "a")
        assert fact(text, "needs") == f"{first.path.name}, which failed (bug): ValueError: a bug"
        assert fact(text, "where") == "not known, code not known"

    def test_a_pending_seed_says_how_far_it_is_and_what_is_lacking(self, store: Store) -> None:
        table = made_table(made_cell("a", needing(run_config(), FIRST)))
        first = store.folder(FIRST, TRAIN).path.name
        text = said(of(store, table), "a")
        assert fact(text, "step") == "0 of 600, no checkpoint"
        assert fact(text, "to do") == f"`fsar run made` trains first what it needs: {first}"
        write_run(store, FIRST)
        assert fact(said(of(store, table), "a"), "to do") == "`fsar run made` trains and measures it"
        write_run(store, table.cells[0].run)
        assert fact(said(of(store, table), "a"), "to do") == "`fsar run made` measures it"

    def test_what_a_repetition_needs_is_a_repetition_too(self, store: Store) -> None:
        again = Store(store.root, generation=2)
        table = made_table(made_cell("a", needing(run_config(), FIRST)))
        write_run(store, FIRST)
        assert f"{again.folder(FIRST, TRAIN).path.name}" in said(of(again, table), "a")

    def test_a_done_seed_says_where_its_number_comes_from(self, store: Store) -> None:
        table = small_table()
        run, evaluation = table.cells[1].run, table.cells[1].evaluation
        write_run(store, run)
        record = write_evaluation(store, run, evaluation, 0.5)
        text = said(of(store, table), "bimhm", width=250)
        assert fact(text, "accuracy") == (
            f"{100 * record.accuracy:.2f} ± {100 * record.ci95:.2f} % over 400 episodes, measured in 1.5 s"
        )
        assert fact(text, "from") == f"evaluations/{evaluation.eval_id(run)}-{TRAIN}.json"
        assert fact(text, "trained") == "node-1, cpu, code 0123456789abcdef"
        assert "to do" not in text

    def test_an_old_failure_without_facts_is_explained_as_far_as_it_goes(self, store: Store) -> None:
        table = small_table()
        own = folder(store, table, 0)
        own.path.mkdir(parents=True)
        (own.path / "failure.json").write_text('{"traceback": "ValueError: old"}')
        text = said(of(store, table), "otam")
        assert "ValueError: old" in text
        assert "\n  failed " not in text

    def test_nothing_in_a_log_moves_the_cursor(self, store: Store) -> None:
        table = small_table()
        own = folder(store, table, 0)
        own.write_failure(BUG)
        (own.path / LOG).write_text("\x1b[2Jgone [bold]x[/]\n")
        text = said(of(store, table), "otam")
        assert "\x1b" not in text
        assert "[2Jgone [bold]x[/]" in text


class TestFindCell:
    @pytest.fixture
    def results(self, store: Store) -> list[TableResult]:
        greek = made_table(made_cell("λ=0.3", run_config(0.7)), made_cell("λ=0.35", run_config(0.8)))
        return [of(store, table) for table in (small_table(), ratio_table(), greek)]

    @pytest.mark.parametrize(
        ("asked", "name"),
        [
            ("strm/table2:otam:1-shot", "strm/table2:otam:1-shot"),
            ("STRM/Table2 : OTAM", "strm/table2:otam:1-shot"),
            ("bimhm", "strm/table2:bimhm:1-shot"),
            ("no mask:5-shot", "sgtm/table3:no mask:5-shot"),
            ("otam, 15:1-shot", "sgtm/table3:OTAM, 15% masked:1-shot"),
            ("lambda=0.3", "made:λ=0.3:1-shot"),
            ("made:λ=0.35:", "made:λ=0.35:1-shot"),
        ],
    )
    def test_a_whole_name_or_a_part_of_it_is_enough(self, results: list[TableResult], asked: str, name: str) -> None:
        assert cell_name(*find_cell(results, asked)) == name

    def test_every_cell_is_found_by_its_own_name(self, results: list[TableResult]) -> None:
        for result in results:
            for cell in result.cells:
                assert find_cell(results, cell_name(result, cell)) == (result, cell)

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            ("no mask", "must name one cell, but 2 fit:\n  sgtm/table3:no mask:1-shot\n  sgtm/table3:no mask:5-shot$"),
            ("masked", r"20 fit:\n"),
            ("protonett", "did you mean 'strm/table2:protonet:1-shot'"),
            ("xyz", r"no cell is called 'xyz'.*; there are:\n  strm/table2:otam:1-shot\n(.*\n)+  and 7 more"),
            (" : ", r"no cell is called ' : '"),
        ],
    )
    def test_none_or_several_are_refused_and_listed(self, results: list[TableResult], asked: str, words: str) -> None:
        with pytest.raises(BadRequest, match=words):
            find_cell(results, asked)


def test_everything_of_a_whole_table_can_be_explained(store: Store) -> None:
    table = small_table()
    fill(store, table)
    for row in table.rows():
        assert "done" in said(of(store, table, (0, 1)), row)

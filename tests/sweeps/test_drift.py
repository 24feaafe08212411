"""A drift report: what is the same, what changed, what is printed, and what its pages show."""

import html
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from sweeps.engine import drift_files, drift_views
from sweeps.engine.drift import chosen, drift
from sweeps.engine.drift_report import Report
from sweeps.engine.reruns import Code, Rerun
from sweeps.engine.site import BadRequest, Site
from tests.sweeps.made_drift import CODE, NAME, machines, made_rerun, slot
from tests.sweeps.made_records import small_table

SAME = [[0.45, 0.46], [0.55, 0.56], [0.605, 0.61]]
SEEDS = (0, 1)
OTHER_CODE = Code(git_commit="fedcba9876543210", dirty=True, source="bbbb")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(storage=tmp_path / "output", cache=tmp_path / "cache", datasets={})


def honest(site: Site, count: int, start: int = 0) -> list[Rerun]:
    draws = np.random.default_rng(start)
    levels = np.array([[0.45], [0.55], [0.60]])
    return [
        made_rerun(site, number, (levels + 0.005 * draws.standard_normal((3, 2))).tolist())
        for number in range(start, start + count)
    ]


def regressed(site: Site) -> Report:
    """Five honest reruns, then two with a cell far below and another code."""
    found = honest(site, 5)
    low: Sequence[Sequence[float]] = [[0.45, 0.45], [0.45, 0.44], [0.60, 0.60]]
    found += [made_rerun(site, number, low, code=OTHER_CODE, where=machines(torch="2.16.0")) for number in (5, 6)]
    return drift(found)


class TestSameness:
    """Of trainings that two reruns did with the same settings and seeds."""

    def test_bitwise_equal_is_fine_however_few_reruns_there_are(self, site: Site) -> None:
        found = drift([made_rerun(site, number, SAME, seeds=SEEDS) for number in (0, 1)])
        assert found.verdict == "fine"
        assert found.same.startswith("Bitwise equal: 6 numbers of trainings repeated")
        assert found.says == f"Of 3 cells: 3 without a band yet. Bitwise equal to {slot(0)}."

    def test_other_numbers_are_suspicious_where_nothing_changed(self, site: Site) -> None:
        found = drift([made_rerun(site, number, SAME, seeds=SEEDS, draw=number) for number in (0, 1)])
        assert found.verdict == "suspicious"
        assert "although nothing changed" in found.says
        assert "6 differ in test episodes (strm/table2: otam, 1-shot, seed 0" in found.same
        assert found.same.endswith("The trainings are equal to the last digit: look at what happens at test time.")
        assert found.changes == ()

    def test_losses_that_differ_point_at_the_training(self, site: Site) -> None:
        first = made_rerun(site, 0, SAME, seeds=SEEDS)
        found = drift([first, made_rerun(site, 1, SAME, seeds=SEEDS, loss=1.5)])
        assert found.verdict == "suspicious"
        assert found.same.endswith("0 differ in test episodes; 6 come from trainings whose losses differ.")

    def test_other_numbers_are_told_where_the_code_changed(self, site: Site) -> None:
        first = made_rerun(site, 0, SAME, seeds=SEEDS)
        found = drift([first, made_rerun(site, 1, SAME, seeds=SEEDS, draw=1, code=OTHER_CODE)])
        assert found.verdict == "insufficient data"
        assert found.same.startswith("Not bitwise equal, as something changed")

    def test_a_gpu_need_not_give_the_same_digits(self, site: Site) -> None:
        found = [
            made_rerun(site, number, SAME, seeds=SEEDS, draw=number, where=machines("NVIDIA GeForce RTX 4090"))
            for number in (0, 1)
        ]
        assert drift(found).verdict == "insufficient data"

    @pytest.mark.parametrize(("before", "told"), [(1, "1"), (None, "not known")])
    def test_another_number_of_threads_need_not_either_and_is_named(
        self, site: Site, before: int | None, told: str
    ) -> None:
        places = machines(threads=before), machines(threads=4)
        made = [made_rerun(site, n, SAME, seeds=SEEDS, draw=n, where=where) for n, where in enumerate(places)]
        found = drift(made)
        assert found.verdict == "insufficient data"
        assert found.same.startswith("Not bitwise equal, as something changed")
        assert [(own.kind, own.what, own.before, own.after) for own in found.changes] == [
            ("hardware", "threads of a training", told, "4")
        ]

    def test_the_same_number_of_threads_must_give_the_same_digits(self, site: Site) -> None:
        made = [made_rerun(site, n, SAME, seeds=SEEDS, draw=n, where=machines(threads=4)) for n in (0, 1)]
        assert drift(made).verdict == "suspicious"

    def test_from_a_cpu_to_a_gpu_only_the_device_is_named(self, site: Site) -> None:
        places = machines(threads=4), machines("NVIDIA GeForce RTX 4090")
        made = [made_rerun(site, n, SAME, seeds=SEEDS, where=where) for n, where in enumerate(places)]
        assert [own.what for own in drift(made).changes] == ["device"]

    def test_reused_records_are_no_repetition(self, site: Site) -> None:
        found = drift([made_rerun(site, number, SAME, seeds=SEEDS, fresh=False) for number in (0, 1)])
        assert (found.verdict, found.same) == ("insufficient data", "")
        assert "The rerun trained nothing of its own: only `fresh = true`" in " ".join(found.notes)


class TestChanges:
    def test_code_data_libraries_and_hardware_are_named_since_the_last_fine_rerun(self, site: Site) -> None:
        found = regressed(site)
        assert (found.verdict, found.since) == ("regression", slot(4))
        assert [(own.kind, own.what, own.before, own.after) for own in found.changes] == [
            ("code", "commit", "0123456789ab", "fedcba987654 with uncommitted changes"),
            ("libraries", "torch", "2.15.0", "2.16.0"),
        ]

    def test_another_commit_with_the_same_sources_explains_nothing(self, site: Site) -> None:
        first = made_rerun(site, 0, SAME, seeds=SEEDS)
        committed = CODE.model_copy(update={"git_commit": "fedcba9876543210"})
        found = drift([first, made_rerun(site, 1, SAME, seeds=SEEDS, draw=1, code=committed)])
        assert [own.explains for own in found.changes] == [False]
        assert found.verdict == "suspicious"

    def test_a_changed_recipe_is_named_by_its_settings_and_cells(self, site: Site) -> None:
        first = made_rerun(site, 0, SAME, seeds=SEEDS)
        table = small_table()
        optimizer = table.cells[0].run.optimizer.model_copy(update={"lr": 0.01})
        cells = tuple(
            cell.model_copy(update={"run": cell.run.model_copy(update={"optimizer": optimizer})})
            for cell in table.cells
        )
        second = made_rerun(site, 1, SAME, seeds=SEEDS, table=table.model_copy(update={"cells": cells}))
        (change,) = drift([first, second]).changes
        assert (change.kind, change.what) == ("recipe", "optimizer.lr (3 cells)")
        assert (change.before, change.after) == ("0.001", "0.01")


class TestChosen:
    def test_a_slot_and_a_since_bound_what_is_looked_at(self, site: Site) -> None:
        found = honest(site, 5)
        picked = chosen(found, NAME, slot=slot(3), since=slot(1))
        assert [own.slot for own in picked] == [slot(1), slot(2), slot(3)]

    def test_all_faults_are_told_together(self, site: Site) -> None:
        with pytest.raises(BadRequest) as refused:
            chosen(honest(site, 2), NAME, slot="20200101T000000Z", since="never")
        assert [fault.partition(" must")[0] for fault in refused.value.faults] == ["--slot", "--since"]
        assert slot(1) in refused.value.faults[0]

    def test_a_since_after_the_rerun_and_no_rerun_at_all_are_refused(self, site: Site) -> None:
        with pytest.raises(BadRequest, match="--since must not be after"):
            chosen(honest(site, 3), NAME, slot=slot(0), since=slot(2))
        with pytest.raises(BadRequest, match="fsar schedule run nightly"):
            chosen([], NAME, slot=None, since=None)


def test_printed_values_are_compared_beside_the_verdict(site: Site) -> None:
    cells = {cell.name: cell for cell in drift(honest(site, 4)).cells}
    assert cells["bimhm, 1-shot"].printed == 0.452
    assert cells["bimhm, 1-shot"].against_printed == "better"
    assert cells["otam, 1-shot"].against_printed is None


def test_a_changed_level_can_become_the_one_to_compare_with(site: Site) -> None:
    assert f"--since {slot(5)}." in " ".join(regressed(site).notes)


def test_cells_without_numbers_are_counted(site: Site) -> None:
    found = drift([*honest(site, 3), made_rerun(site, 3, SAME[:2])])
    assert "1 of 3 cells lack numbers in this rerun" in found.notes[0]


@pytest.mark.parametrize("width", [100, 150])
def test_the_terminal_shows_verdicts_changes_and_the_series(site: Site, width: int) -> None:
    out = io.StringIO()
    Console(width=width, file=out).print(drift_views.terminal(regressed(site), width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    (cell,) = (line for line in lines if "bimhm" in line and "│" in line)
    assert "regression" in cell
    text = " ".join(lines)
    for part in ("2026-11-07 03:00:00 UTC: regression", "fedcba987654", "–––··sR", "99 % of"):
        assert part in text, part


class TestFiles:
    def test_equal_reports_are_equal_files_and_json_reads_back(self, site: Site) -> None:
        report = regressed(site)
        made = drift_files.files(report)
        assert made == drift_files.files(report)
        assert Report.model_validate_json(made["report.json"]) == report
        assert [*made] == ["report.html", "report.md", "report.json", "strm-table2-1ce1.png"]
        assert made["strm-table2-1ce1.png"].startswith(b"\x89PNG")

    def test_the_page_stands_alone_and_escapes_every_name(self, site: Site) -> None:
        report = regressed(site)
        nasty = "<script>alert(1)</script> | `x`"
        cells = tuple(cell.model_copy(update={"row": nasty}) for cell in report.cells)
        made = drift_files.files(report.model_copy(update={"cells": cells}))
        page = made["report.html"].decode()
        assert "<script>" not in page
        assert html.escape(nasty) in page
        assert 'src="data:image/png;base64,' in page
        assert 'class="regression"' in page
        assert "<script>" not in made["report.md"].decode()

    def test_files_lie_in_the_reruns_folder_whatever_a_table_is_called(self, site: Site) -> None:
        report = regressed(site)
        cells = tuple(cell.model_copy(update={"table": "../../../etc/x"}) for cell in report.cells)
        written = drift_files.write(report.model_copy(update={"cells": cells}), site)
        folder = site.storage / "reruns" / NAME / slot(6) / "drift"
        assert {path.resolve().parent for path in written.values()} == {folder.resolve()}
        assert json.loads(written["report.json"].read_text())["verdict"] == "regression"

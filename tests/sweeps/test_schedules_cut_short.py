"""Slots that began and did not come to their end: which a server takes up, and when."""

import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sweeps.engine import schedules_cut_short, schedules_serve
from sweeps.engine.reruns import slot_of
from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_cut_short import keep_taking_up, take_up_cut_short
from sweeps.engine.schedules_serve import serve
from sweeps.engine.schedules_slots import left_out, mark_begun, slot_held, state
from sweeps.engine.site import Site
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_schedules import starts_noted, wait_for

FILE = Path("schedules.toml")
NIGHTLY = Schedule(script="mask_ratio", cron="0 3 * * *")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made_site(tmp_path)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    return starts_noted(schedules_cut_short, monkeypatch)


class TestCutShort:
    @pytest.mark.parametrize(("missed", "age_h", "goes_on"), [("run", 1, True), ("run", 30, False), ("skip", 1, False)])
    def test_a_rerun_that_was_killed_goes_on_as_the_schedule_says(
        self, site: Site, started: list[tuple[str, str]], missed: str, age_h: int, goes_on: bool
    ) -> None:
        schedule = NIGHTLY.model_copy(update={"missed": missed})
        slot = slot_of(datetime.now(UTC) - timedelta(hours=age_h))
        mark_begun(site, "nightly", slot)
        assert state(site, "nightly", slot) == "cut short"
        take_up_cut_short(FILE, "nightly", schedule, site)
        assert started == ([("nightly", slot)] if goes_on else [])
        assert state(site, "nightly", slot) == ("cut short" if goes_on else "left out")

    @pytest.mark.parametrize(("ages_h", "goes_on"), [((1, 2, 3), 1), ((1, 30), 1), ((30, 40), 0)])
    def test_of_several_the_newest_goes_on(
        self, site: Site, started: list[tuple[str, str]], ages_h: tuple[int, ...], goes_on: int
    ) -> None:
        slots = [slot_of(datetime.now(UTC) - timedelta(hours=age)) for age in ages_h]
        for slot in slots:
            mark_begun(site, "nightly", slot)
        take_up_cut_short(FILE, "nightly", NIGHTLY, site)
        assert started == [("nightly", slot) for slot in slots[:goes_on]]
        others = [left_out(site, "nightly", slot) for slot in slots]
        assert others[:goes_on] == [None] * goes_on
        why = "a newer slot is taken up instead" if goes_on else "grace 720 minutes"
        assert all(own is not None and own.why == "cut short" and why in own.said[0] for own in others[goes_on:])

    def test_what_is_held_by_a_process_is_left_to_it(self, site: Site, started: list[tuple[str, str]]) -> None:
        slot = slot_of(datetime.now(UTC))
        mark_begun(site, "nightly", slot)
        with slot_held(site, "nightly", slot):
            take_up_cut_short(FILE, "nightly", NIGHTLY, site)
        assert (started, left_out(site, "nightly", slot)) == ([], None)

    def test_what_was_started_here_is_not_started_again_before_it_has_its_lock(
        self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        go = tmp_path / "go"
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\nwhile [ ! -e {go} ]; do sleep 0.05; done\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        mark_begun(site, "nightly", slot_of(datetime.now(UTC)))
        said: list[str] = []
        for _ in range(3):
            take_up_cut_short(FILE, "nightly", NIGHTLY, site)
        go.touch()
        wait_for(lambda: said.append(capsys.readouterr().out) or "ended with exit code 0" in "".join(said))
        assert "".join(said).count("begins as process") == 1
        take_up_cut_short(FILE, "nightly", NIGHTLY, site)
        wait_for(lambda: said.append(capsys.readouterr().out) or "".join(said).count("ended with exit code 0") == 2)


class TestLookingAgain:
    @pytest.fixture(autouse=True)
    def often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schedules_cut_short, "_LOOK_S", 0.01)

    def test_what_is_cut_short_later_is_taken_up_by_a_server_at_work(
        self, site: Site, tmp_path: Path, started: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slot = slot_of(datetime.now(UTC))

        class Ends:
            """Runs until something has been started."""

            def start(self) -> None:
                assert started == []
                mark_begun(site, "nightly", slot)
                wait_for(lambda: started)

            def shutdown(self, wait: bool) -> None:
                assert not wait

        def scheduler(*_: object) -> Ends:
            return Ends()

        monkeypatch.setattr(schedules_serve, "scheduler_of", scheduler)
        serve(FILE, {"nightly": NIGHTLY}, {"nightly": site}, f"sqlite:///{tmp_path / 'schedules.db'}")
        assert set(started) == {("nightly", slot)}

    def test_an_error_is_said_and_neither_ends_the_looks_nor_keeps_others_waiting(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stopped, found = threading.Event(), list[str]()

        def start(file: str, name: str, slot: str, folder: Path) -> None:
            if name == "first":
                raise OSError("no process is left")
            found.append(name)
            if len(found) == 3:
                stopped.set()

        monkeypatch.setattr(schedules_cut_short, "start", start)
        schedules = {"first": NIGHTLY, "second": NIGHTLY}
        for name in schedules:
            mark_begun(site, name, slot_of(datetime.now(UTC)))
        keep_taking_up(FILE, schedules, dict.fromkeys(schedules, site), stopped)
        assert found == ["second"] * 3
        said = capsys.readouterr().out
        assert said.count("first: what was cut short cannot be taken up now: no process is left") == 3

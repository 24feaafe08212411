"""The server's memory and what it does with slots that were missed."""

import stat
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from typer.testing import CliRunner

from sweeps.engine import schedules_fire, schedules_store
from sweeps.engine.fsar import app
from sweeps.engine.reruns import slot_of
from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_serve import scheduler_of
from sweeps.engine.schedules_slots import left_out
from sweeps.engine.schedules_store import open_store, store_uri, stored, take_up
from sweeps.engine.site import BadRequest, Site
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_schedules import starts_noted, wait_for

FILE = Path("schedules.toml")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NIGHTLY = Schedule(script="mask_ratio", cron="0 3 * * *")
SOON = NIGHTLY.model_copy(update={"cron": "*/5 * * * *"})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made_site(tmp_path)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'own' / 'schedules.db'}"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    return starts_noted(schedules_fire, monkeypatch)


def taken_up(uri: str, site: Site, now: datetime = NOW, **schedules: Schedule) -> list[str]:
    return take_up(open_store(uri), FILE, schedules, dict.fromkeys(schedules, site), now)


def due(uri: str) -> dict[str, datetime]:
    """By schedule, what the store says comes next."""
    return {name: job.next_run_time.astimezone(UTC) for name, job in stored(open_store(uri)).items()}


class TestTakingUp:
    def test_what_was_missed_is_remembered_and_counted(self, uri: str, site: Site) -> None:
        assert taken_up(uri, site, nightly=NIGHTLY) == []
        first = datetime(2026, 11, 22, 3, tzinfo=UTC)
        assert due(uri) == {"nightly": first}
        (line,) = taken_up(uri, site, NOW + timedelta(days=3), nightly=NIGHTLY.model_copy(update={"seeds": 3}))
        assert "no server was there for 3 slots since 2026-11-22 03:00 UTC" in line
        assert due(uri) == {"nightly": first}

    def test_what_is_due_now_stays_due(self, uri: str, site: Site) -> None:
        before = datetime.now(UTC) - timedelta(days=3)
        taken_up(uri, site, before, nightly=NIGHTLY)
        first = due(uri)
        taken_up(uri, site, datetime.now(UTC), nightly=NIGHTLY)
        assert due(uri) == first
        assert first["nightly"] < datetime.now(UTC)

    def test_changed_times_begin_anew_and_removed_schedules_are_forgotten(self, uri: str, site: Site) -> None:
        taken_up(uri, site, nightly=NIGHTLY, weekly=NIGHTLY)
        later = NOW + timedelta(days=3)
        (line,) = taken_up(uri, site, later, nightly=NIGHTLY.model_copy(update={"time_zone": "Asia/Tokyo"}))
        assert "weekly is no longer in schedules.toml" in line
        assert due(uri) == {"nightly": datetime(2026, 11, 24, 18, tzinfo=UTC)}

    def test_a_new_store_is_for_its_owner_alone(self, uri: str) -> None:
        open_store(uri)
        assert stat.S_IMODE(Path(uri.removeprefix("sqlite:///")).stat().st_mode) == 0o600

    @pytest.mark.parametrize("bad", ["nonsense", "sqlite:////proc/none/a.db", "mysterious://me:secret@host/a"])
    def test_a_store_that_cannot_be_opened_is_refused_without_its_password(self, bad: str) -> None:
        with pytest.raises(BadRequest, match="--store") as refusal:
            open_store(bad)
        assert "secret" not in str(refusal.value)

    @pytest.mark.parametrize("bad", ["fsar:secret@127.0.0.1/a", "fsar@127.0.0.1/a?password=secret"])
    def test_a_password_that_a_list_of_processes_would_show_is_refused(self, bad: str) -> None:
        with pytest.raises(BadRequest, match=r"must hold no password: others see it; write \$\{NAME\}") as refusal:
            open_store(f"postgresql://{bad}")
        assert "secret" not in str(refusal.value)

    def test_a_password_may_stand_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[URL] = []

        def without_server(url: URL, **_: object) -> None:
            asked.append(url)
            raise SQLAlchemyError("no server")

        monkeypatch.setattr(schedules_store, "create_engine", without_server)
        uri = "postgresql://fsar:${FSAR_MADE}@127.0.0.1/a"
        monkeypatch.delenv("FSAR_MADE", raising=False)
        with pytest.raises(BadRequest, match="needs the environment to set FSAR_MADE"):
            open_store(uri)
        monkeypatch.setenv("FSAR_MADE", "p@ss/word")
        with pytest.raises(BadRequest, match="must be a database that can be opened: no server"):
            open_store(uri)
        assert [(url.username, url.password, url.host) for url in asked] == [("fsar", "p@ss/word", "127.0.0.1")]

    def test_a_common_storage_holds_the_store(self, site: Site) -> None:
        assert store_uri({"a": site, "b": site}) == f"sqlite:///{site.storage / 'schedules.db'}"
        other = site.model_copy(update={"storage": site.storage / "other"})
        with pytest.raises(BadRequest, match="name a store for all of them with --store"):
            store_uri({"a": site, "b": other})


class TestMissed:
    @pytest.fixture
    def serving(self, uri: str, site: Site) -> Iterator[Callable[[Schedule], None]]:
        """A server that starts now, half an hour after it was stopped."""
        running: list[Callable[[], None]] = []

        def serve(schedule: Schedule) -> None:
            taken_up(uri, site, datetime.now(UTC) - timedelta(minutes=31), nightly=schedule)
            scheduler = scheduler_of(open_store(uri), {"nightly": schedule}, {"nightly": site})
            thread = threading.Thread(target=scheduler.start)
            thread.start()
            running.extend((scheduler.shutdown, thread.join))

        yield serve
        for end in running:
            end()

    def test_the_newest_is_made_up_for_once(
        self, serving: Callable[[Schedule], None], started: list[tuple[str, str]], uri: str
    ) -> None:
        serving(SOON)
        newest = SOON.times().due(datetime.now(UTC))
        wait_for(lambda: due(uri)["nightly"] > datetime.now(UTC) and started)
        assert started in ([("nightly", slot_of(moment))] for moment in (newest, SOON.times().due(datetime.now(UTC))))

    def test_or_is_left_out_and_kept_so(
        self, serving: Callable[[Schedule], None], started: list[tuple[str, str]], site: Site
    ) -> None:
        hourly = SOON.model_copy(update={"cron": _minutes_ago(20), "missed": "skip"})
        serving(hourly)
        slot = slot_of(hourly.times().due(datetime.now(UTC)))
        wait_for(lambda: left_out(site, "nightly", slot))
        missing = left_out(site, "nightly", slot)
        assert missing is not None
        assert missing.why == "missed"
        assert started == []


def test_a_slot_that_is_due_becomes_a_process_with_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/echo")
    schedules_fire.fire("own.toml", "nightly", "0 3 * * *", "UTC", str(tmp_path / "reruns"))
    slot = slot_of(NIGHTLY.times().due(datetime.now(UTC)))
    said: list[str] = []
    wait_for(lambda: said.append(capsys.readouterr().out) or "ended with exit code 0" in "".join(said))
    assert f"nightly {slot} begins as process" in "".join(said)
    log = (tmp_path / "reruns" / slot / "log.txt").read_text()
    assert log == f"-m sweeps schedule run nightly --file own.toml --slot {slot}\n"


def test_a_server_without_a_good_file_does_not_start(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schedule", "serve", "--file", str(tmp_path / "none.toml")])
    assert result.exit_code == 2
    assert "cannot be read" in result.output


def _minutes_ago(count: int) -> str:
    """Hourly, so many minutes ago."""
    return f"{(datetime.now(UTC) - timedelta(minutes=count)).minute} * * * *"

"""Calls to a tracking server in a thread of their own."""

import io
import threading

import pytest

from sweeps.engine import recording
from sweeps.engine.recording import Recording
from sweeps.engine.tracking_connection import TrackingError
from sweeps.engine.watch import Display


def test_calls_are_made_in_order_beside_the_work_and_all_of_them_when_it_ends(display: Display) -> None:
    made, go_on = list[int](), threading.Event()

    def call(number: int) -> None:
        go_on.wait()
        made.append(number)

    with Recording(display) as own:
        for number in range(20):
            own.add(lambda number=number: call(number))
        assert made == []
        go_on.set()
    assert made == list(range(20))


def test_a_backlog_at_the_end_is_counted(
    display: Display, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_SHOWN_AFTER_S", 0.0)
    ended = threading.Event()
    with Recording(display) as own:
        own.add(ended.wait)
        own.add(lambda: None)
        threading.Timer(0.2, ended.set).start()
    assert "telling MLflow: 2/2" in output.getvalue()


def test_after_a_store_that_is_away_no_further_call_is_made(display: Display, output: io.StringIO) -> None:
    def away() -> None:
        raise TrackingError("http://nowhere:5000", "connection refused")

    made = list[str]()
    with Recording(display) as own:
        own.add(away)
        own.add(lambda: made.append("later"))
    assert made == []
    assert "connection refused" in own.stopped_by
    assert output.getvalue().count("tracking stopped, training goes on") == 1


def test_an_error_of_the_sweep_drops_what_waits(display: Display) -> None:
    made, begun, go_on = list[int](), threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        go_on.wait()
        made.append(0)

    def interrupted() -> None:
        with Recording(display) as own:
            own.add(first)
            own.add(lambda: made.append(1))
            begun.wait()
            threading.Timer(0.2, go_on.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert made == [0]


@pytest.mark.parametrize("later", [0, 1])
def test_an_error_that_is_not_the_servers_is_raised(display: Display, later: int) -> None:
    def wrong() -> None:
        raise ZeroDivisionError

    def recorded() -> None:
        with Recording(display) as own:
            for call in (wrong, *[list[int]] * later):
                own.add(call)

    with pytest.raises(ZeroDivisionError):
        recorded()

"""What a person sees of work that goes on, with and without a terminal."""

import io

import pytest
from rich.console import Console

from sweeps.engine import watch
from sweeps.engine.watch import Display
from tests.sweeps.made_clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(watch, "time", made)
    return made


def test_counting_prints_plain_lines_now_and_then_and_the_last_one(
    display: Display, output: io.StringIO, clock: Clock
) -> None:
    with display.shown():
        count = display.counting("reading hmdb51")
        for done in range(0, 31):
            count(done, 30)
            clock.now += 1
    assert output.getvalue().splitlines() == [
        "reading hmdb51: 0/30",
        "reading hmdb51: 10/30, 1.0/s, 0.3 min left",
        "reading hmdb51: 20/30, 1.0/s, 0.2 min left",
        "reading hmdb51: 30/30, 1.0/s, 0.0 min left",
    ]


def test_a_terminal_shows_bars_instead_of_lines(output: io.StringIO, clock: Clock) -> None:
    terminal = Display(Console(file=output, width=200, force_terminal=True))
    with terminal.shown():
        terminal.counting("reading hmdb51")(3, 30)
    assert "reading hmdb51:" not in output.getvalue()
    assert "3/30" in output.getvalue()

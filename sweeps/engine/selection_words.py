"""What is said of how a run's weights were chosen: the one place that words it, for every table, page and record.

Weights chosen on the test videos have too high a number on them. Whatever shows such a number marks it.
"""

from collections.abc import Iterable
from math import ceil

from fsar_core.config import RunConfig, Selection

MARK = "‡"
"""Stands at every number of weights that were chosen on test."""
SHORT = f"{MARK} weights chosen on test"
_TOO_HIGH = "Such numbers are too high, and say nothing against numbers of weights chosen on val."
CHOSEN_ON = "weights_chosen_on"
"""Name of a column or tag; its value is ``chosen_on``."""


def on_test(selection: Selection) -> bool:
    """Whether weights are chosen so."""
    return selection.keep == "best" and selection.on == "test"


def chosen_on_test(run: RunConfig) -> bool:
    """Also where only what the run needs first was."""
    return on_test(run.selection) or any(chosen_on_test(need.run) for need in run.needs)


def chosen_on(run: RunConfig) -> str:
    """A few words for a column or a tag: ``test``, ``val``, ``held-out train clips``, ``last step``."""
    if chosen_on_test(run):
        return "test"
    if run.selection.keep == "last":
        return "last step"
    return "held-out train clips" if run.batches.kind == "clips" else "val"


def selection(run: RunConfig) -> str:
    """As part of a sentence: which weights are evaluated."""
    look = f"({run.selection.episodes:,} episodes each look)"
    if chosen_on_test(run):
        looks = ceil(run.training.steps / run.training.val_every)
        return f"the best of {looks} looks at the test videos {look}"
    if run.selection.keep == "last":
        return "those of the last step"
    return "chosen on held-out training clips" if run.batches.kind == "clips" else f"chosen on val {look}"


def weights_line(runs: Iterable[RunConfig]) -> str:
    """The sentence below a table."""
    runs = tuple(runs)
    said = "; ".join(dict.fromkeys(map(selection, runs)))
    return f"Weights: {said}." if any(map(chosen_on_test, runs)) else f"Weights: {said}; test is never used to choose."


def cautions(runs: Iterable[RunConfig]) -> tuple[str, ...]:
    """The footnote of the mark; empty where no weights were chosen on test."""
    if not any(map(chosen_on_test, runs)):
        return ()
    return (f"{SHORT}: of many looks at the test videos the best was kept, as the published code does. {_TOO_HIGH}",)


def caution_of_code(preset: str) -> str:
    """The footnote of the mark for weights of the code that a preset follows."""
    return f"{SHORT} by the code that the preset {preset} follows: of many looks the best is kept. {_TOO_HIGH}"


def titled(title: str, runs: Iterable[RunConfig]) -> str:
    """A title, with the mark and its meaning where it is needed."""
    return f"{title} ({SHORT})" if any(map(chosen_on_test, runs)) else title


def marked(text: str, run: RunConfig) -> str:
    """A name or number, with the mark where it is needed."""
    return f"{text} {MARK}" if chosen_on_test(run) else text

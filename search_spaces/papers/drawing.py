"""How a table of a paper is drawn: lines where one number varies, points where it is about cost, bars elsewhere."""

from collections.abc import Mapping, Sequence
from functools import cache

from fsar_core.config import RunConfig
from fsar_core.cost import parameters_in_tests
from search_spaces.papers.printed import PrintedCell, PrintedTable
from search_spaces.table import Axis, Scatter, Setting

_LABELS = {
    "lambda": "weight λ",
    "dense_frames": "frames scanned, M",
    "frames": "frames, T",
    "scan_size": "pixels of a scanned frame",
    "mu_intra": "weight μ of the intra-video loss",
}
_FEWEST_POINTS = 3
_PARAMETERS = "million_parameters"


def drawn(
    printed: PrintedTable, own: Sequence[PrintedCell], runs: Mapping[str, RunConfig]
) -> tuple[Axis | Scatter | None, Mapping[str, Mapping[str, Setting]]]:
    """The drawing, and by row what it needs beside the printed settings. ``runs``: a run of each row."""
    if printed.kind == "complexity":
        costs = {row: {_PARAMETERS: _million_parameters(run)} for row, run in runs.items()}
        return Scatter(x=_PARAMETERS, x_label="parameters in a test (million)"), costs
    ways = {cell.way for cell in own}
    if len(ways) >= _FEWEST_POINTS:
        return Axis(x="way", x_label="classes per episode (way)", group="row", panel="dataset"), {}
    for name in printed.varies:
        values = {cell.settings.get(name) for cell in own}
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(printed.varies) == 1 and len(numbers) >= _FEWEST_POINTS:
            return Axis(x=name, x_label=_LABELS.get(name, name), group="method"), {}
    return None, {}


def _million_parameters(run: RunConfig) -> float:
    return _counted(run.canonical_json())


@cache
def _counted(run: str) -> float:
    return round(parameters_in_tests(RunConfig.model_validate_json(run)) / 1e6, 3)

"""Decoding what the runs of a plan will read, once for this node; workers on other nodes do it there."""

from collections.abc import Iterable

from fsar_core.config import RunConfig
from fsar_core.data.config import DataConfig
from fsar_core.data.datasets import decode_splits
from fsar_core.data.folder_scan import SPLITS, Split
from fsar_core.data.frame_cache import CacheError
from sweeps.engine.plan import Plan
from sweeps.engine.request import Prepared
from sweeps.engine.site import BadRequest
from sweeps.engine.watch import Display


def decode(plan: Plan, prepared: Prepared, display: Display) -> None:
    """Every frame that is missing. Of data sets on which runs are only tested, the test clips."""
    wanted: dict[str, tuple[DataConfig, tuple[Split, ...]]] = {}
    for planned in plan.todo():
        run = planned.run
        wanted[run.data.canonical_json()] = run.data, SPLITS
        for evaluation in planned.missing:
            tested = run.data.model_copy(update={"dataset": evaluation.dataset or run.data.dataset})
            wanted.setdefault(tested.canonical_json(), (tested, ("test",)))
    decode_data(wanted.values(), prepared, display)


def decode_run(run: RunConfig, prepared: Prepared, display: Display) -> None:
    """As ``decode``, for one run and what it needs first."""
    runs = [run, *(need.run for need in run.needs)]
    decode_data([(own.data, SPLITS) for own in runs], prepared, display)


def decode_data(wanted: Iterable[tuple[DataConfig, tuple[Split, ...]]], prepared: Prepared, display: Display) -> None:
    """Raises BadRequest where the disk has no room or a cache is damaged."""
    for data, splits in wanted:
        place, index = prepared.site.place(data.dataset), prepared.indices[data.dataset]
        try:
            decode_splits(place, data, index, display.counting, splits=splits)
        except CacheError as error:
            raise BadRequest([str(error)]) from error

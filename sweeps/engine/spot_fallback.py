"""Where the autoscaler is to go when a cloud has no spot machine left: to the same machine on demand.

Ray's autoscaler remembers for half an hour which type of node it was refused, but scores types without looking at it,
and so asks for spot machines for ever; version 2 does not even remember. ``RAY_AUTOSCALER_UTILIZATION_SCORER`` on the
head names ``score`` instead.
"""

from numbers import Real
from typing import Any

from ray.autoscaler._private.node_provider_availability_tracker import NodeAvailabilitySummary
from ray.autoscaler._private.resource_demand_scheduler import (
    _default_utilization_scorer,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType] - the hook's default
)


def score(
    node_resources: dict[str, Real],
    resources: list[dict[str, Real]],
    node_type: str,
    *,
    node_availability_summary: NodeAvailabilitySummary,
) -> tuple[Any, ...] | None:
    """Ray's own score, less for a type that was refused lately; None where nothing of ``resources`` fits.

    Of types with equal scores the autoscaler takes the last by name: ``gpu_spot`` before ``gpu_on_demand``.
    """
    fit = _default_utilization_scorer(
        node_resources, resources, node_type, node_availability_summary=node_availability_summary
    )
    if fit is None:
        return None
    spares_gpus, *rest = fit
    record = node_availability_summary.node_availabilities.get(node_type)
    return spares_gpus, record is None or record.is_available, *rest

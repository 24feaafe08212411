"""Ray's own parts that decide on the next node and launch it, on a provider that the test gives."""

import time
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from ray.autoscaler._private.constants import AUTOSCALER_UTILIZATION_SCORER_KEY
from ray.autoscaler._private.event_summarizer import EventSummarizer
from ray.autoscaler._private.node_launcher import BaseNodeLauncher
from ray.autoscaler._private.node_provider_availability_tracker import NodeProviderAvailabilityTracker
from ray.autoscaler._private.prom_metrics import AutoscalerPrometheusMetrics
from ray.autoscaler._private.resource_demand_scheduler import ResourceDemandScheduler
from ray.autoscaler._private.util import ConcurrentCounter
from ray.autoscaler.tags import NODE_KIND_WORKER, TAG_RAY_NODE_KIND

SCORER = "sweeps.engine.spot_fallback.score"


class Autoscaler:
    """A head with no work on it, and no workers yet."""

    def __init__(self, config: dict[str, Any], provider: Any) -> None:
        self.config, self.provider = config, provider
        self._late_s = 0.0
        self._refused = NodeProviderAvailabilityTracker(timer=lambda: time.time() + self._late_s)
        self._pending = ConcurrentCounter()

    def wanted(self, *, runs: int, scorer: str | None = SCORER) -> dict[str, int]:
        """Nodes to start, by type, for so many runs of 8 cores and a GPU. ``scorer`` None: Ray's own."""
        with pytest.MonkeyPatch.context() as patch:
            if scorer is not None:
                patch.setenv(AUTOSCALER_UTILIZATION_SCORER_KEY, scorer)
            scheduler = ResourceDemandScheduler(
                cast(Any, _EMPTY),
                self.config["available_node_types"],
                self.config["max_workers"],
                "head",
                upscaling_speed=1e6,
            )
        launch, _ = scheduler.get_nodes_to_launch(
            nodes=[],
            launching_nodes={"head": 1},
            resource_demands=cast(Any, [{"CPU": 8, "GPU": 1}] * runs),
            unused_resources_by_ip={},
            pending_placement_groups=[],
            max_resources_by_ip={},
            ensure_min_cluster_size=[],
            node_availability_summary=self._refused.summary(),
        )
        return dict(launch)

    def launch(self) -> None:
        """One node of the type that one run wants; a refusal is remembered as the autoscaler does."""
        ((kind, count),) = self.wanted(runs=1).items()
        metrics = AutoscalerPrometheusMetrics(session_name="test", registry=CollectorRegistry())
        launcher = BaseNodeLauncher(
            self.provider, self._pending, EventSummarizer(), self._refused, prom_metrics=metrics
        )
        self._pending.inc(kind, count)
        launcher.launch_node(self.config, count, kind)

    def workers(self) -> list[str]:
        return self.provider.non_terminated_nodes({TAG_RAY_NODE_KIND: NODE_KIND_WORKER})

    def later(self, seconds: float) -> None:
        """Lets time pass for what is remembered."""
        self._late_s += seconds


_EMPTY = None
"""For a provider: of a cluster without a node the scheduler asks it nothing."""

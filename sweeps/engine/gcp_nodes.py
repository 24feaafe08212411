"""Machines of Google's cloud for Ray's autoscaler, which hears of it when there are none."""

import sys
from typing import Any

from ray.autoscaler._private.gcp.node_provider import GCPNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException


class GcpNodes(GCPNodeProvider):
    """Ray's provider raises a plain exception when a zone has run out of a machine; only a NodeLaunchException counts
    as refused, which ``spot_fallback`` needs."""

    def create_node(self, base_config: dict[str, Any], tags: dict[str, str], count: int) -> dict[str, Any]:
        """Raises NodeLaunchException with Google's words."""
        try:
            return super().create_node(base_config, tags, count)
        except NodeLaunchException:
            raise
        except Exception as error:
            raise NodeLaunchException("GCP", str(error), sys.exc_info()) from error

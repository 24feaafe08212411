"""The launcher file for Google against the description of its API that comes with its client, and a full zone."""

import json
from typing import Any

import pytest

pytest.importorskip("googleapiclient", reason="needs google-api-python-client")

from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery, discovery_cache
from googleapiclient.http import HttpMock, HttpMockSequence
from ray.autoscaler._private.gcp.node import GCPCompute
from ray.autoscaler.node_launch_exception import NodeLaunchException

from sweeps.engine.gcp_nodes import GcpNodes
from tests.cluster.autoscaling import Autoscaler
from tests.cluster.launcher_files import prepared

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

_DONE = {"name": "operation", "status": "DONE"}
_FULL = {"name": "operation", "error": {"errors": [{"code": "ZONE_RESOURCE_POOL_EXHAUSTED"}]}}


def faults(value: Any, schema: dict[str, Any], schemas: dict[str, Any], where: str) -> list[str]:
    """Where ``value`` is not what a discovery document describes."""
    if "$ref" in schema:
        return faults(value, schemas[schema["$ref"]], schemas, where)
    if schema.get("type") == "array":
        if not isinstance(value, list):
            return [f"{where}: not a list"]
        return [fault for item in value for fault in faults(item, schema["items"], schemas, where)]
    if "properties" in schema:
        known: dict[str, Any] = schema["properties"]
        unknown = [f"{where}.{key}: no such field" for key in value if key not in known]
        below = [
            fault
            for key in value
            if key in known
            for fault in faults(value[key], known[key], schemas, f"{where}.{key}")
        ]
        return unknown + below
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        return [f"{where}: {value!r} is none of {allowed}"]
    kinds = {"string": (str, int), "boolean": bool, "integer": int}
    return (
        [] if isinstance(value, kinds.get(schema.get("type", ""), object)) else [f"{where}: {value!r} is no {schema}"]
    )


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return json.loads(discovery_cache.get_static_doc("compute", "v1") or "")["schemas"]


def test_every_node_is_a_machine_as_google_describes_it(schemas: dict[str, Any]) -> None:
    for name, kind in prepared("gcp")["available_node_types"].items():
        assert faults(kind["node_config"], schemas["Instance"], schemas, name) == []


def test_a_wrong_field_or_value_would_be_found(schemas: dict[str, Any]) -> None:
    wrong = {"machineTipe": "x", "scheduling": {"provisioningModel": "CHEAP"}, "disks": {"boot": True}}
    assert len(faults(wrong, schemas["Instance"], schemas, "node")) == 3


def provider(monkeypatch: pytest.MonkeyPatch, *operations: dict[str, Any]) -> GcpNodes:
    """Whose requests to start a machine end like ``operations``, one after the other."""
    compute = discovery.build("compute", "v1", http=HttpMock(), static_discovery=True)
    started = [answer for ended in operations for answer in ({"name": "operation"}, ended)]
    answers = HttpMockSequence([({"status": "200"}, json.dumps(answer)) for answer in started])

    def clients(_config: dict[str, Any]) -> tuple[Any, ...]:
        return None, None, compute, None

    def authorized(_self: GCPCompute, _http: Any) -> HttpMockSequence:
        return answers

    monkeypatch.setattr(GCPCompute, "get_new_authorized_http", authorized)
    monkeypatch.setattr("ray.autoscaler._private.gcp.node_provider.construct_clients_from_provider_config", clients)
    compute._http.credentials = AnonymousCredentials()
    return GcpNodes(prepared("gcp")["provider"], "fsar-gcp")


def test_a_full_zone_is_told_to_the_autoscaler(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = provider(monkeypatch, _FULL)
    config = prepared("gcp")["available_node_types"]["gpu_spot"]["node_config"]
    with pytest.raises(NodeLaunchException, match="ZONE_RESOURCE_POOL_EXHAUSTED"):
        nodes.create_node(config, {"ray-node-name": "worker"}, 1)


def test_without_spot_machines_the_next_is_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    autoscaler = Autoscaler(prepared("gcp"), provider(monkeypatch, _FULL, _DONE))
    assert autoscaler.wanted(runs=2) == {"gpu_spot": 2}
    autoscaler.launch()
    assert autoscaler.wanted(runs=2) == {"gpu_on_demand": 2}
    autoscaler.launch()
    assert autoscaler.wanted(runs=2) == {"gpu_on_demand": 2}

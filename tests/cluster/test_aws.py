"""The launcher file for Amazon against a simulated one: what Ray makes of it, also without spot machines."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("moto.ec2", reason="needs moto[ec2,iam]")

from botocore.exceptions import ClientError
from moto import mock_aws
from ray.autoscaler._private.aws import utils
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import validate_config
from ray.autoscaler.tags import NODE_KIND_HEAD, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

from tests.cluster.autoscaling import Autoscaler
from tests.cluster.launcher_files import prepared

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def not_at_all(_seconds: float) -> None: ...


@pytest.fixture(scope="module")
def bootstrapped(home: Path) -> Iterator[dict[str, Any]]:
    """As `ray up` completes it, in an account with the default network."""
    for cached in (utils.resource_cache, utils.client_cache):
        cached.cache_clear()
    with pytest.MonkeyPatch.context() as patch, mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        patch.setenv("HOME", str(home))
        patch.setattr("ray.autoscaler._private.aws.config.time", SimpleNamespace(sleep=not_at_all))
        config = AWSNodeProvider.fillout_available_node_types_resources(prepared("aws"))
        validate_config(config)
        yield AWSNodeProvider.bootstrap_config(config)


@pytest.fixture
def autoscaler(bootstrapped: dict[str, Any]) -> Iterator[Autoscaler]:
    made = Autoscaler(bootstrapped, AWSNodeProvider(bootstrapped["provider"], bootstrapped["cluster_name"]))
    yield made
    made.provider.terminate_nodes(made.workers())


def refuse_spot(autoscaler: Autoscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    """As EC2 does when a zone has none left."""
    create = autoscaler.provider.ec2_fail_fast.create_instances

    def refusing(**asked: Any) -> Any:
        if asked.get("InstanceMarketOptions", {}).get("MarketType") == "spot":
            raise ClientError({"Error": {"Code": "InsufficientInstanceCapacity", "Message": "none"}}, "RunInstances")
        return create(**asked)

    monkeypatch.setattr(autoscaler.provider.ec2_fail_fast, "create_instances", refusing)


def test_every_type_of_node_gets_network_group_and_key(bootstrapped: dict[str, Any], home: Path) -> None:
    for kind in bootstrapped["available_node_types"].values():
        assert {"SubnetIds", "SecurityGroupIds", "KeyName"} <= kind["node_config"].keys()
    assert "IamInstanceProfile" in bootstrapped["head_node"]
    key = Path(bootstrapped["auth"]["ssh_private_key"])
    assert key.is_relative_to(home)
    assert key.stat().st_mode & 0o077 == 0


def test_the_head_is_a_machine_as_amazon_describes_it(bootstrapped: dict[str, Any], autoscaler: Autoscaler) -> None:
    own = bootstrapped["available_node_types"]["head"]["node_config"]
    head = autoscaler.provider.create_node({**bootstrapped["head_node"], **own}, {TAG_RAY_NODE_KIND: NODE_KIND_HEAD}, 1)
    assert [node.instance_type for node in head.values()] == ["m6i.xlarge"]


def test_a_run_on_a_gpu_is_given_a_spot_machine(autoscaler: Autoscaler) -> None:
    assert autoscaler.wanted(runs=2) == {"gpu_spot": 2}
    autoscaler.launch()
    (node,) = autoscaler.workers()
    assert autoscaler.provider.node_tags(node)[TAG_RAY_USER_NODE_TYPE] == "gpu_spot"


def test_without_spot_machines_the_next_is_on_demand(autoscaler: Autoscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_spot(autoscaler, monkeypatch)
    autoscaler.launch()
    assert autoscaler.workers() == []
    assert autoscaler.wanted(runs=1) == {"gpu_on_demand": 1}
    autoscaler.launch()
    (node,) = autoscaler.workers()
    assert autoscaler.provider.node_tags(node)[TAG_RAY_USER_NODE_TYPE] == "gpu_on_demand"


def test_rays_own_choice_would_ask_for_spot_for_ever(autoscaler: Autoscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_spot(autoscaler, monkeypatch)
    autoscaler.launch()
    assert autoscaler.wanted(runs=1, scorer=None) == {"gpu_spot": 1}


def test_after_half_an_hour_spot_machines_are_tried_again(
    autoscaler: Autoscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_spot(autoscaler, monkeypatch)
    autoscaler.launch()
    autoscaler.later(29 * 60)
    assert autoscaler.wanted(runs=1) == {"gpu_on_demand": 1}
    autoscaler.later(2 * 60)
    assert autoscaler.wanted(runs=1) == {"gpu_spot": 1}


def test_no_more_machines_than_the_file_allows(autoscaler: Autoscaler) -> None:
    assert autoscaler.wanted(runs=100) == {"gpu_spot": 4}


def test_work_without_a_gpu_starts_no_machine_that_costs(autoscaler: Autoscaler) -> None:
    assert autoscaler.wanted(runs=0) == {}

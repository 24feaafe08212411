"""``fsar doctor`` on a real Ray of two nodes."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from sweeps.engine import doctor_nodes
from sweeps.engine.doctor import Finding
from sweeps.engine.doctor_nodes import nodes
from sweeps.engine.site import Site
from tests.sweeps.made_folder import files
from tests.sweeps.made_plans import made_site

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def cluster() -> Generator[Cluster]:
    small: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 << 20}
    made = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    made.add_node(**small)
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return made_site(tmp_path).model_copy(update={"ray": "auto"})


def found(site: Site) -> tuple[Finding, list[Finding]]:
    size, *each = nodes(site)
    return size, each


def test_each_node_answers_and_shares_the_storage(cluster: Cluster, site: Site, tmp_path: Path) -> None:
    size, each = found(site)
    assert (size.level, size.told) == ("ok", "2 nodes, 2 CPUs, 0 GPUs")
    assert [finding.level for finding in each] == ["ok", "ok"], each
    assert len({finding.what for finding in each}) == 2
    assert all(finding.told.endswith("shares storage") for finding in each)
    assert files(tmp_path) == {}


def test_a_cluster_without_room_for_a_run_and_nodes_without_the_data_are_named(cluster: Cluster, site: Site) -> None:
    (entry,) = site.datasets.values()
    size, each = found(site.model_copy(update={"cpus_per_run": 8.0, "datasets": {"hmdb51": entry}}))
    assert size.level == "warn"
    assert "none has 8 CPUs" in size.told
    assert [finding.told for finding in each] == ["data that it cannot read: hmdb51"] * 2


def test_a_node_that_does_not_answer_is_a_fault(cluster: Cluster, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_nodes, "_LIMIT_S", 0.0)
    _, each = found(site)
    assert {finding.level for finding in each} == {"fail"}
    assert all("gave no answer" in finding.told for finding in each)

"""The manifests for Kubernetes: valid, closed, in accord with each other and the site. No cluster was at hand."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from sweeps.engine.site import load_site
from tests.cluster.kuberay import SCHEMAS
from tests.cluster.kuberay_rules import faults

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "cluster" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
DOCUMENTS = [(path.name, document) for path in FILES for document in yaml.safe_load_all(path.read_text())]
NAMES = [f"{name}:{document['kind']}" for name, document in DOCUMENTS]
KUBERNETES = "1.37"
RAY_FILES = ("rayjob.yaml", "raycluster.yaml")
POSTGRESQL_OF_DEBIAN = {"bookworm": 15, "trixie": 17}
"""Major version of its package postgresql-client."""


def found(node: Any, key: str) -> Iterator[Any]:
    """What stands under that key, at any depth."""
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        for value in node.values():
            yield from found(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from found(value, key)


def pods() -> dict[str, dict[str, Any]]:
    """The specs of all pods, by file and their first container."""
    specs = [(name, spec) for name, document in DOCUMENTS for spec in found(document, "spec") if "containers" in spec]
    return {f"{name}:{spec['containers'][0]['name']}": spec for name, spec in specs}


def containers() -> dict[str, dict[str, Any]]:
    return {f"{pod}/{container['name']}": container for pod, spec in pods().items() for container in spec["containers"]}


def ray_cluster(name: str) -> dict[str, Any]:
    (document,) = [document for file, document in DOCUMENTS if file == name]
    spec = document["spec"]
    return spec.get("rayClusterSpec", spec)


def check(document: dict[str, Any]) -> None:
    """By its own schema, or, with the pods in it, by those of Kubernetes. Raises a ValidationError."""
    if document["kind"] not in SCHEMAS:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        return
    jsonschema.validate(document, SCHEMAS[document["kind"]])
    for template in found(document, "template"):
        whole = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}
        kubernetes_validate.validate(whole, KUBERNETES, strict=True)


@pytest.mark.parametrize("document", [document for _, document in DOCUMENTS], ids=NAMES)
def test_every_document_is_valid_to_the_last_field(document: dict[str, Any]) -> None:
    check(document)


@pytest.mark.parametrize(
    "document", [own for _, own in DOCUMENTS if own["kind"] in SCHEMAS], ids=lambda own: own["kind"]
)
def test_the_operator_refuses_none_of_its_documents(document: dict[str, Any]) -> None:
    assert faults(document) == []


def misspelt(job: dict[str, Any]) -> None:
    job["spec"]["shutdownAfterJobFinish"] = True


def no_text(job: dict[str, Any]) -> None:
    job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0


def unknown_mode(job: dict[str, Any]) -> None:
    job["spec"]["rayClusterSpec"]["authOptions"]["mode"] = "password"


def no_image(job: dict[str, Any]) -> None:
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["img"] = "x"


@pytest.mark.parametrize("damage", [misspelt, no_text, unknown_mode, no_image], ids=lambda own: own.__name__)
def test_the_schemas_find_faults(damage: Callable[[dict[str, Any]], None]) -> None:
    (job,) = yaml.safe_load_all((FOLDER / "rayjob.yaml").read_text())
    check(job)
    damage(job)
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(job)


HEAD = ("spec", "rayClusterSpec", "headGroupSpec")
WORKERS = ("spec", "rayClusterSpec", "workerGroupSpecs", 0)
REFUSED: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "name FSAR": (("metadata", "name"), "FSAR"),
    "name " + "f" * 48: (("metadata", "name"), "f" * 48),
    "one of rayClusterSpec and clusterSelector": (("spec", "rayClusterSpec"), None),
    "ttlSecondsAfterFinished asks for shutdownAfterJobFinishes": (("spec", "shutdownAfterJobFinishes"), False),
    "backoffLimit below 0": (("spec", "backoffLimit"), -1),
    "activeDeadlineSeconds below 1": (("spec", "activeDeadlineSeconds"), 0),
    "backoffLimit with a cluster that is there, or without a job": (("spec", "submissionMode"), "InteractiveMode"),
    "SidecarMode has no submitter of its own": (("spec", "submissionMode"), "SidecarMode"),
    "enableK8sTokenAuth in a RayJob": (("spec", "rayClusterSpec", "authOptions", "enableK8sTokenAuth"), True),
    "a group without containers": ((*WORKERS, "template", "spec", "containers"), []),
    "resources twice": ((*HEAD, "resources"), {"CPU": "1"}),
    "labels in rayStartParams": ((*WORKERS, "rayStartParams", "labels"), "a=b"),
    "restartPolicy under the autoscaler's version 2": ((*WORKERS, "template", "spec", "restartPolicy"), "Always"),
    "minReplicas, maxReplicas": ((*WORKERS, "minReplicas"), 5),
    "idleTimeoutSeconds of a group": (("spec", "rayClusterSpec", "autoscalerOptions", "version"), "v1"),
    "tokens ask for Ray 2.52 or later": (("spec", "rayClusterSpec", "rayVersion"), "2.51.1"),
    "RAY_REDIS_ADDRESS without gcsFaultToleranceOptions": (
        (*HEAD, "template", "spec", "containers", 0, "env"),
        [{"name": "RAY_REDIS_ADDRESS", "value": "redis:6379"}],
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_the_operator_refuses_is_found(fault: str) -> None:
    (job,) = yaml.safe_load_all((FOLDER / "rayjob.yaml").read_text())
    (*path, last), value = REFUSED[fault]
    place = job
    for key in path:
        place = place[key]
    place[last] = value
    assert faults(job) == [fault]


@pytest.mark.parametrize("spec", pods().values(), ids=pods())
def test_every_pod_is_unprivileged(spec: dict[str, Any]) -> None:
    own = spec["securityContext"]
    assert own["runAsNonRoot"] is True
    assert own["runAsUser"] > 0
    assert own["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert not any("hostPath" in volume for volume in spec["volumes"])


@pytest.mark.parametrize("container", containers().values(), ids=containers())
def test_every_container_is_bounded_and_pinned(container: dict[str, Any]) -> None:
    assert re.search(r":[\d.]+[\w.-]*$", container["image"]), "an image without a version changes by itself"
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert container["resources"]["limits"]["memory"]


def test_servers_are_probed_and_heard_inside_of_the_cluster_only() -> None:
    for name in ("mlflow", "postgres"):
        (container,) = [own for key, own in containers().items() if key == f"{name}.yaml:{name}/{name}"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    kinds = [kind for _, document in DOCUMENTS for key in ("type", "serviceType") for kind in found(document, key)]
    assert {"NodePort", "LoadBalancer"}.isdisjoint(kind for kind in kinds if isinstance(kind, str))
    assert "Ingress" not in {document["kind"] for _, document in DOCUMENTS}
    for name in RAY_FILES:
        assert ray_cluster(name)["authOptions"] == {"mode": "token"}


def test_no_file_holds_a_secret_and_all_that_are_read_are_named() -> None:
    secrets = {document["metadata"]["name"]: document for _, document in DOCUMENTS if document["kind"] == "Secret"}
    assert {value for secret in secrets.values() for value in secret["stringData"].values()} == {""}
    read = {(ref["name"], ref["key"]) for _, document in DOCUMENTS for ref in found(document, "secretKeyRef")}
    assert read == {(name, key) for name, secret in secrets.items() for key in secret["stringData"]}
    for _, document in DOCUMENTS:
        for variables in found(document, "env"):
            for variable in variables:
                if re.search("PASSWORD|SECRET|TOKEN", variable["name"]):
                    assert "value" not in variable
    text = "".join(path.read_text() for path in FILES)
    assert all(f"secret generic {name} " in text for name in secrets)


def test_every_name_that_a_document_refers_to_is_there() -> None:
    names = {(document["kind"], document["metadata"].get("name")) for _, document in DOCUMENTS}
    claims = {claim["claimName"] for _, document in DOCUMENTS for claim in found(document, "persistentVolumeClaim")}
    assert {("PersistentVolumeClaim", claim) for claim in claims} <= names
    configs = {config["name"] for _, document in DOCUMENTS for config in found(document, "configMap")}
    assert {("ConfigMap", config) for config in configs} <= names
    labels = [own["labels"] for _, document in DOCUMENTS for own in found(document, "metadata") if "labels" in own]
    for _, document in DOCUMENTS:
        if document["kind"] == "Service":
            assert any(document["spec"]["selector"].items() <= own.items() for own in labels)
        if document["kind"] in ("Deployment", "StatefulSet"):
            wanted = document["spec"]["selector"]["matchLabels"].items()
            assert wanted <= document["spec"]["template"]["metadata"]["labels"].items()
        if document["kind"] == "NetworkPolicy":
            for selector in found(document, "podSelector"):
                wanted = selector.get("matchLabels", {}).items()
                assert "kuberay" in str(wanted) or any(wanted <= own.items() for own in labels)
    for spec in pods().values():
        volumes = {volume["name"] for volume in spec["volumes"]}
        mounted = {mount["name"] for container in spec["containers"] for mount in container["volumeMounts"]}
        assert mounted - {"data"} == volumes


def test_job_and_cluster_are_the_same_cluster() -> None:
    job, cluster = (ray_cluster(name) for name in RAY_FILES)
    assert job == cluster


def test_the_ray_is_the_pinned_one() -> None:
    pinned = re.search(r"^ray==(.+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    assert ray_cluster("rayjob.yaml")["rayVersion"] == pinned[1]


def test_the_site_lies_on_what_the_pods_mount_and_asks_for_no_more_than_they_have() -> None:
    site = load_site("kubernetes")
    (workers,) = ray_cluster("rayjob.yaml")["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    assert {"/shared", "/cache"} <= {mount["mountPath"] for mount in container["volumeMounts"]}
    shared = [site.storage, site.imports, site.weights, *(entry.root for entry in site.datasets.values())]
    assert all(path is not None and path.is_relative_to("/shared") for path in shared)
    assert site.cache.is_relative_to("/cache")
    assert site.cpus_per_run <= int(container["resources"]["requests"]["cpu"])
    assert site.gpus_per_run <= int(container["resources"]["limits"]["nvidia.com/gpu"])
    assert site.mlflow_uri() == "http://fsar-mlflow:5000"
    assert "fsar-postgres" in site.optuna_uri()


def test_what_the_job_starts_is_in_the_image() -> None:
    (job,) = [document for name, document in DOCUMENTS if name == "rayjob.yaml"]
    _, script, *_ = job["spec"]["entrypoint"].split()
    assert (REPOSITORY / Path(script).relative_to("/fsar")).is_file()
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert {"constraints.txt", "sweeps", "cluster/sites"} <= set(copied)
    assert all((REPOSITORY / path).exists() for path in copied)
    assert any("--constraint constraints.txt" in line for line in lines)
    users = [line for line in lines if line.startswith("USER ")]
    assert users == [
        f"USER {ray_cluster('rayjob.yaml')['headGroupSpec']['template']['spec']['securityContext']['runAsUser']}"
    ]


def test_the_image_can_dump_the_database_of_the_manifests() -> None:
    """pg_dump refuses a server that is newer than itself."""
    text = (FOLDER / "Dockerfile").read_text()
    debian = re.search(r"^FROM python:[\d.]+-slim-(\w+)$", text, re.MULTILINE)
    server = re.search(r":(\d+)", containers()["postgres.yaml:postgres/postgres"]["image"])
    assert debian
    assert server
    assert POSTGRESQL_OF_DEBIAN[debian[1]] == int(server[1])
    assert re.search(r"apt-get install [^&]*\bpostgresql-client\b", text)


def test_the_printed_backup_is_of_the_databases_that_are_served() -> None:
    (line,) = re.findall(
        r"^#   (kubectl exec .* fsar backup .*)$", (FOLDER / "postgres.yaml").read_text(), re.MULTILINE
    )
    pod, command = (part.split() for part in line.split(" -- "))
    served = containers()["mlflow.yaml:mlflow/mlflow"]
    assert ("Deployment", pod[-1].removeprefix("deployment/")) in {
        (document["kind"], document["metadata"].get("name")) for _, document in DOCUMENTS
    }
    for flag in ("--site", "--store"):
        assert command[command.index(flag) + 1] == served["command"][served["command"].index(flag) + 1]
    to = Path(command[2])
    assert to.is_relative_to("/shared")
    assert not to.is_relative_to(load_site("kubernetes").storage)
    assert {"/shared"} <= {mount["mountPath"] for mount in served["volumeMounts"]}
    assert "PGPASSWORD" in {variable["name"] for variable in served["env"]}


def test_records_name_the_commit_that_the_image_was_built_from() -> None:
    texts = [(FOLDER / "Dockerfile").read_text(), (REPOSITORY / "docs" / "operations.md").read_text()]
    builds = [line for text in texts for line in text.splitlines() if "docker build " in line]
    assert len(builds) == len(texts)
    assert all("--build-arg GIT_COMMIT=$(git rev-parse HEAD)" in line for line in builds)
    _, _, after = texts[0].partition("\nARG GIT_COMMIT=unknown\n")
    assert re.search(r"^ENV .*\bFSAR_GIT_COMMIT=\$GIT_COMMIT\b", after, re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_to_edit_is_marked_and_little(path: Path) -> None:
    text = path.read_text()
    count = len(re.findall(r"# EDIT", text))
    assert count <= 5
    assert (f"marked EDIT ({count})" in text) == bool(count)

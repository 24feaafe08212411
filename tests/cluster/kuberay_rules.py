"""What KubeRay's operator refuses though the schema allows it: those rules of its own that a manifest can break.

Written after the operator's validation of RayCluster and RayJob (`ValidateRayClusterSpec`, `ValidateRayJobSpec`, and
what they call) of KubeRay 1.6. Rules of fields that the schema here does not know or does not look into are left out.
"""

import re
from collections.abc import Iterator
from typing import Any

Spec = dict[str, Any]
GENERATED = 5
"""Letters that Kubernetes appends to a `generateName`."""
LONGEST_NAME = {"RayCluster": 53, "RayJob": 47}
"""So that the names of services made from it fit in 63 letters."""
STARTED_WITH = {"num-cpus", "num-gpus", "memory", "resources"}
OLDEST_WITH_TOKENS = (2, 52)


def faults(document: Spec) -> list[str]:
    """Of one document of kind RayCluster or RayJob that fits its schema, what the operator would refuse."""
    spec = document["spec"]
    found = list(_of_name(document))
    if document["kind"] == "RayJob":
        found += _of_job(spec)
    cluster = spec.get("rayClusterSpec") if document["kind"] == "RayJob" else spec
    return found + (list(_of_cluster(cluster)) if cluster else [])


def _of_name(document: Spec) -> Iterator[str]:
    metadata = document["metadata"]
    name = metadata.get("name") or metadata["generateName"] + GENERATED * "x"
    if not re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name) or len(name) > LONGEST_NAME[document["kind"]]:
        yield f"name {name}"


def _of_job(spec: Spec) -> Iterator[str]:
    cluster = spec.get("rayClusterSpec") or {}
    if not cluster and not spec.get("clusterSelector"):
        yield "one of rayClusterSpec and clusterSelector"
    if spec.get("ttlSecondsAfterFinished", 0) > 0 and not spec.get("shutdownAfterJobFinishes"):
        yield "ttlSecondsAfterFinished asks for shutdownAfterJobFinishes"
    if spec.get("suspend") and not spec.get("shutdownAfterJobFinishes"):
        yield "suspend asks for shutdownAfterJobFinishes"
    for name, least in (("backoffLimit", 0), ("ttlSecondsAfterFinished", 0), ("activeDeadlineSeconds", 1)):
        if spec.get(name, least) < least:
            yield f"{name} below {least}"
    if spec.get("backoffLimit") and (spec.get("clusterSelector") or spec.get("submissionMode") == "InteractiveMode"):
        yield "backoffLimit with a cluster that is there, or without a job"
    if spec.get("submissionMode") == "SidecarMode" and {"submitterPodTemplate", "submitterConfig"} & spec.keys():
        yield "SidecarMode has no submitter of its own"
    if cluster.get("authOptions", {}).get("enableK8sTokenAuth"):
        yield "enableK8sTokenAuth in a RayJob"


def _of_cluster(spec: Spec) -> Iterator[str]:
    for group in (spec["headGroupSpec"], *spec.get("workerGroupSpecs", [])):
        started = group.get("rayStartParams", {})
        if not group["template"]["spec"].get("containers"):
            yield "a group without containers"
        if STARTED_WITH & started.keys() and group.get("resources"):
            yield "resources twice"
        if "labels" in started:
            yield "labels in rayStartParams"
        if _scales(spec) and group["template"]["spec"].get("restartPolicy", "Never") != "Never":
            yield "restartPolicy under the autoscaler's version 2"
    for group in spec.get("workerGroupSpecs", []):
        if not 0 <= group["minReplicas"] <= group["maxReplicas"]:
            yield "minReplicas, maxReplicas"
        if "idleTimeoutSeconds" in group and (group["idleTimeoutSeconds"] < 0 or not _scales(spec)):
            yield "idleTimeoutSeconds of a group"
    yield from _of_access(spec)


def _scales(spec: Spec) -> bool:
    return bool(spec.get("enableInTreeAutoscaling")) and spec.get("autoscalerOptions", {}).get("version") == "v2"


def _of_access(spec: Spec) -> Iterator[str]:
    access = spec.get("authOptions", {})
    if access.get("mode") == "token":
        version = re.match(r"(\d+)\.(\d+)", spec.get("rayVersion", ""))
        if not version or tuple(map(int, version.groups())) < OLDEST_WITH_TOKENS:
            yield "tokens ask for Ray 2.52 or later"
    elif access.get("enableK8sTokenAuth"):
        yield "enableK8sTokenAuth asks for mode token"
    environment = spec["headGroupSpec"]["template"]["spec"]["containers"][0].get("env", [])
    own = {variable["name"] for variable in environment}
    if "gcsFaultToleranceOptions" not in spec and "RAY_REDIS_ADDRESS" in own:
        yield "RAY_REDIS_ADDRESS without gcsFaultToleranceOptions"
    if "RAY_enable_autoscaler_v2" in own:
        yield "the autoscaler's version as a variable"

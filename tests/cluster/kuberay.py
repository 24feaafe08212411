"""What KubeRay's custom resources may hold, as JSON schema.

Written after the operator's types of KubeRay 1.6.2 (group ray.io, version v1), from which the file that it installs is
generated, and compared with their generated reference field by field: names, types, which are required, allowed values.
It is not that file itself, a megabyte of which most is pods: these are held against the schemas of Kubernetes.
Unknown fields are faults, as under ``kubectl apply --validate=strict``.
"""

from typing import Any

TEXT, COUNT, NUMBER, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
POD = {"type": "object", "required": ["spec"]}
"""Held against Kubernetes' schema elsewhere."""
CORE = {"type": "object"}
"""Parts of Kubernetes that are not looked into."""
MANAGER = {"enum": ["ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"]}


def fields(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


HEAD = fields(
    required=("template",),
    template=POD,
    headService=CORE,
    enableIngress=FLAG,
    labels=TEXTS,
    rayStartParams=TEXTS,
    resources=TEXTS,
    serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
)
WORKERS = fields(
    required=("groupName", "maxReplicas", "minReplicas", "template"),
    groupName=TEXT,
    idleTimeoutSeconds=COUNT,
    labels=TEXTS,
    maxReplicas=COUNT,
    minReplicas=COUNT,
    numOfHosts=COUNT,
    rayStartParams=TEXTS,
    replicas=COUNT,
    resources=TEXTS,
    scaleStrategy=fields(workersToDelete={"type": "array", "items": TEXT}),
    suspend=FLAG,
    template=POD,
)
AUTOSCALER = fields(
    env={"type": "array"},
    envFrom={"type": "array"},
    idleTimeoutSeconds=COUNT,
    image=TEXT,
    imagePullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    resources=fields(requests=TEXTS, limits=TEXTS),
    securityContext=CORE,
    upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
    version={"enum": ["v1", "v2"]},
    volumeMounts={"type": "array"},
)
CLUSTER = fields(
    required=("headGroupSpec",),
    authOptions=fields(mode={"enum": ["disabled", "token"]}, secretName=TEXT, enableK8sTokenAuth=FLAG),
    autoscalerOptions=AUTOSCALER,
    enableInTreeAutoscaling=FLAG,
    gcsFaultToleranceOptions=CORE,
    headGroupSpec=HEAD,
    headServiceAnnotations=TEXTS,
    managedBy=MANAGER,
    rayVersion=TEXT,
    suspend=FLAG,
    upgradeStrategy=fields(type={"enum": ["Recreate", "None"]}),
    workerGroupSpecs={"type": "array", "items": WORKERS},
)
JOB = fields(
    activeDeadlineSeconds=COUNT,
    backoffLimit=COUNT,
    clusterSelector=TEXTS,
    deletionStrategy=CORE,
    entrypoint=TEXT,
    entrypointNumCpus=NUMBER,
    entrypointNumGpus=NUMBER,
    entrypointResources=TEXT,
    jobId=TEXT,
    managedBy=MANAGER,
    metadata=TEXTS,
    preRunningDeadlineSeconds=COUNT | {"minimum": 1},
    rayClusterSpec=CLUSTER,
    runtimeEnvYAML=TEXT,
    shutdownAfterJobFinishes=FLAG,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
    submitterConfig=fields(backoffLimit=COUNT),
    submitterPodTemplate=POD,
    suspend=FLAG,
    ttlSecondsAfterFinished=COUNT,
)


def resource(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    required = ("apiVersion", "kind", "metadata", "spec")
    return fields(required, apiVersion={"const": "ray.io/v1"}, kind={"const": kind}, metadata=CORE, spec=spec)


SCHEMAS = {"RayJob": resource("RayJob", JOB), "RayCluster": resource("RayCluster", CLUSTER)}

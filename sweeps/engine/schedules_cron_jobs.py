"""Schedules as CronJobs of Kubernetes, which hand reruns to the Ray cluster of cluster/kubernetes/raycluster.yaml."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_export import HEAD, cron_text
from sweeps.engine.site import load_site


@dataclass(frozen=True, kw_only=True)
class Pods:
    """What a rerun is handed in with, and to whom."""

    image: str = "registry.example.org/fsar:0.1.0"
    cluster: str = "fsar"
    """Name of the RayCluster. KubeRay names its service and the secret with its token after it."""
    folder: str = "/shared"
    """On Ray's head and all its pods: there lie the schedule file, and what it and sites name by relative paths."""


def kubernetes(schedules: Mapping[str, Schedule], file: str, pods: Pods) -> str:
    """CronJobs, as a YAML stream whose documents are JSON. ``file``: of the schedules, as ``pods.folder`` has it.

    Raises BadRequest for a site that cannot be read here.
    """
    lines = [
        HEAD,
        f"Each hands its rerun to the RayCluster {pods.cluster}, on whose head {pods.folder}/{file} must lie.",
    ]
    alone = [
        f"{name}: {schedule.site}" for name, schedule in schedules.items() if load_site(schedule.site).ray != "auto"
    ]
    if alone:
        lines.append(f"Their sites work within the head alone, as their ray is not 'auto': {', '.join(alone)}.")
    documents = [_cron_job(name, schedule, file, pods) for name, schedule in schedules.items()]
    return "".join(f"# {line}\n" for line in lines) + "".join(
        f"---\n{json.dumps(own, indent=2)}\n" for own in documents
    )


def _cron_job(name: str, schedule: Schedule, file: str, pods: Pods) -> dict[str, object]:
    labels = {"app.kubernetes.io/name": "fsar-rerun", "app.kubernetes.io/part-of": "fsar", "fsar/schedule": name}
    job = {
        "backoffLimit": 0,
        "template": {"metadata": {"labels": labels}, "spec": _pod(_container(name, file, pods))},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": f"fsar-{name}", "labels": labels},
        "spec": {
            "schedule": cron_text(schedule.times()),
            "timeZone": schedule.time_zone,
            # a job that waits its turn must have been started
            "concurrencyPolicy": "Forbid" if schedule.overlap == "skip" else "Allow",
            "startingDeadlineSeconds": 60 * (schedule.grace_minutes if schedule.missed == "run" else 1),
            "jobTemplate": {"metadata": {"labels": labels}, "spec": job},
        },
    }


def _container(name: str, file: str, pods: Pods) -> dict[str, object]:
    """Follows the log of the rerun and ends with its exit code; if it dies, the rerun goes on."""
    rerun = shlex.join(["fsar", "schedule", "run", name, "--file", file])
    token = {"secretKeyRef": {"name": pods.cluster, "key": "auth_token"}}
    return {
        "name": "rerun",
        "image": pods.image,
        "command": ["ray", "job", "submit", "--", "sh", "-c", f"cd {shlex.quote(pods.folder)} && exec {rerun}"],
        "env": [
            {"name": "HOME", "value": "/tmp"},
            {"name": "RAY_ADDRESS", "value": f"http://{pods.cluster}-head-svc:8265"},
            {"name": "RAY_AUTH_MODE", "value": "token"},
            {"name": "RAY_AUTH_TOKEN", "valueFrom": token},
        ],
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _pod(container: dict[str, object]) -> dict[str, object]:
    user = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": user,
        "containers": [container],
    }

"""Schedules as CronJobs: valid, and in accord with the cluster to which they hand their reruns. No cluster was at hand;
tests/e2e/test_launcher.py carries the command of one out on a Ray."""

import json
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

from sweeps.engine.reruns import SCHEDULE_NAME
from sweeps.engine.schedules import Schedule
from sweeps.engine.schedules_cron_jobs import Pods, kubernetes
from sweeps.engine.site import BadRequest
from tests.cluster.test_kubernetes import FOLDER, KUBERNETES, ray_cluster

(RAY_CLUSTER,) = yaml.safe_load_all((FOLDER / "raycluster.yaml").read_text())


def made(site: str = "kubernetes", **more: object) -> Schedule:
    content = {"tables": ["sgtm/table5"], "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "site": site, **more}
    return Schedule.model_validate_json(json.dumps(content))


def cron_job(name: str, schedule: Schedule, pods: Pods | None = None) -> dict[str, Any]:
    (job,) = yaml.safe_load_all(kubernetes({name: schedule}, "schedules.toml", pods or Pods()))
    return job


def pod_of(job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def test_a_cron_job_is_valid_to_the_last_field() -> None:
    job = cron_job("nightly", made())
    kubernetes_validate.validate(job, KUBERNETES, strict=True)
    assert (job["kind"], job["metadata"]["name"]) == ("CronJob", "fsar-nightly")
    assert (job["spec"]["schedule"], job["spec"]["timeZone"]) == ("0 3 * * *", "Europe/Berlin")


def test_it_hands_its_rerun_to_the_cluster_that_stays() -> None:
    _, container = pod_of(cron_job("nightly", made()))
    env = {own["name"]: own for own in container["env"]}
    name, head = RAY_CLUSTER["metadata"]["name"], ray_cluster("raycluster.yaml")["headGroupSpec"]["template"]["spec"]
    (ray_head,) = head["containers"]
    (port,) = [own["containerPort"] for own in ray_head["ports"] if own["name"] == "dashboard"]
    assert env["RAY_ADDRESS"]["value"] == f"http://{name}-head-svc:{port}"
    assert RAY_CLUSTER["spec"]["authOptions"]["mode"] == env["RAY_AUTH_MODE"]["value"]
    assert env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": name, "key": "auth_token"}
    assert container["image"] == ray_head["image"]
    *submit, script = container["command"]
    assert submit == ["ray", "job", "submit", "--", "sh", "-c"]
    assert script == "cd /shared && exec fsar schedule run nightly --file schedules.toml"
    assert "/shared" in [mount["mountPath"] for mount in ray_head["volumeMounts"]]


def test_its_pod_is_as_closed_as_those_of_ray_and_let_in_by_the_policies() -> None:
    spec, container = pod_of(job := cron_job("nightly", made()))
    head = ray_cluster("raycluster.yaml")["headGroupSpec"]["template"]
    closed = head["spec"]["securityContext"]
    assert spec["securityContext"] == {key: value for key, value in closed.items() if key != "fsGroup"}
    assert container["securityContext"] == head["spec"]["containers"][0]["securityContext"]
    labels = job["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/part-of"] == head["metadata"]["labels"]["app.kubernetes.io/part-of"]


def test_what_it_is_told_is_taken() -> None:
    job = cron_job("a", made(), Pods(image="here/fsar:1", cluster="lab", folder="/data/two words"))
    _, container = pod_of(job)
    env = {own["name"]: own for own in container["env"]}
    assert container["image"] == "here/fsar:1"
    assert env["RAY_ADDRESS"]["value"] == "http://lab-head-svc:8265"
    assert env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "lab"
    assert container["command"][-1].startswith("cd '/data/two words' && exec fsar ")


def test_sites_of_one_machine_are_told_and_others_not() -> None:
    told = kubernetes({"a": made("laptop"), "b": made(), "c": made("workstation")}, "s.toml", Pods())
    assert "# Their sites work within the head alone, as their ray is not 'auto': a: laptop, c: workstation.\n" in told
    assert "alone" not in kubernetes({"b": made()}, "s.toml", Pods())
    with pytest.raises(BadRequest, match="nowhere"):
        kubernetes({"a": made("nowhere")}, "s.toml", Pods())


@pytest.mark.parametrize(
    ("more", "key", "value"),
    [
        ({"overlap": "skip"}, "concurrencyPolicy", "Forbid"),
        ({"overlap": "queue"}, "concurrencyPolicy", "Allow"),
        ({}, "startingDeadlineSeconds", 720 * 60),
        ({"missed": "skip"}, "startingDeadlineSeconds", 60),
        ({"grace_minutes": 10}, "startingDeadlineSeconds", 600),
    ],
)
def test_policies_are_those_of_the_schedule(more: dict[str, Any], key: str, value: object) -> None:
    assert cron_job("a", made(**more))["spec"][key] == value


@pytest.mark.parametrize("name", ["nightly", "a", "x" * 40, "two-words-2"])
def test_good_names_are_such_as_kubernetes_takes(name: str) -> None:
    assert re.fullmatch(SCHEDULE_NAME, name)
    job = cron_job(name, made())
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?", job["metadata"]["name"])
    for value in job["metadata"]["labels"].values():
        assert re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", value)


@pytest.mark.parametrize("name", ["Nightly", "my_table", "end-", "1st", "", "x" * 41, "a/b", ".."])
def test_other_names_are_refused(name: str) -> None:
    assert not re.fullmatch(SCHEDULE_NAME, name)

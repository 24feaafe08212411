"""Artefacts in S3, by MLflow's server: against a stand-in for S3 that speaks its protocol on loopback."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from sweeps.engine.records import Store
from sweeps.engine.tracking_health import status
from tests.e2e.mlflow_server import TrackingServer, served
from tests.e2e.postgres import free_port
from tests.sweeps.made_records import fill, small_table

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
BUCKET = "fsar-artifacts"
_KEYS = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up-too", "AWS_DEFAULT_REGION": "us-east-1"}
_RECORDING = str(Path(__file__).with_name("recording_driver.py"))
_DOWNLOAD = """
import sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
(runs,) = [own for own in client.search_experiments() if own.name == "runs"]
run = client.search_runs([runs.experiment_id])[0]
print(run.info.artifact_uri)
print(open(client.download_artifacts(run.info.run_id, "run.json", sys.argv[2])).read())
"""


@pytest.fixture
def s3(tmp_path: Path) -> Generator[str]:
    """An endpoint with an empty bucket."""
    pytest.importorskip("moto.server", reason="the stand-in for S3 is not installed (pip install 'moto[server]')")
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", url.rpartition(":")[2]]
    with (tmp_path / "s3.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + 120
            while status(url)[0] != 200 and time.monotonic() < deadline:
                time.sleep(0.2)
            in_bucket(url, "create_bucket")
            yield url
        finally:
            process.kill()


def test_artefacts_go_to_s3_and_come_back_through_the_server(s3: str, tmp_path: Path) -> None:
    storage, own = tmp_path / "made", os.environ | _KEYS | {"MLFLOW_S3_ENDPOINT_URL": s3}
    fill(Store(storage), small_table(), (0,))
    (storage / "go").touch()
    with served(TrackingServer(tmp_path, ("--artifacts", f"s3://{BUCKET}/mlflow"), own)) as server:
        subprocess.run([sys.executable, _RECORDING, server.url, str(storage), "made/table0", "1"], check=True)
        read = [sys.executable, "-W", "ignore", "-c", _DOWNLOAD, server.url, str(tmp_path)]
        where, _, record = subprocess.run(read, capture_output=True, text=True, check=True).stdout.partition("\n")
    assert where.startswith("mlflow-artifacts:/")
    assert json.loads(record)["run"]
    names = [entry["Key"] for entry in json.loads(in_bucket(s3, "list_objects_v2"))]
    assert sum(name.endswith("/run.json") for name in names) == 3
    assert sum(name.endswith("/table.csv") for name in names) == 1
    assert all(name.startswith("mlflow/") for name in names)
    assert not (tmp_path / "server" / "artifacts").exists()


def in_bucket(url: str, call: str) -> str:
    """What Amazon's own client says to it, in a process of its own: it warns on import."""
    text = "import boto3, json, sys; s3 = boto3.client('s3', endpoint_url=sys.argv[1]); "
    text += "told = getattr(s3, sys.argv[2])(Bucket=sys.argv[3]); "
    text += "print(json.dumps(told.get('Contents', []), default=str))"
    command = [sys.executable, "-W", "ignore", "-c", text, url, call, BUCKET]
    return subprocess.run(command, env=os.environ | _KEYS, capture_output=True, text=True, check=True).stdout

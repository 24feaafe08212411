"""What a person sees in MLflow: a logged table, opened in a real browser from a real server."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sweeps.engine.records import Store
from sweeps.engine.results import TableResult, collect
from sweeps.engine.tracking import Tracking, prepare
from tests.e2e.processes import kill
from tests.sweeps.made_records import PRINTS, fill, ratio_table

TITLE = "Mask ratio, p < 0.05 & p > 0.01, *, a_b_c | d"
"""With what the pages would take for mark-up."""
_UP_S = 120
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class Pages(NamedTuple):
    """A served store and the addresses of its pages."""

    address: str
    result: TableResult
    experiment: str
    parent: str
    child: str
    training: str


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Generator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    result, experiment, parent, child, training = _log_a_table(uri, Store(folder / "store"))
    with _served(uri, folder) as address:
        yield Pages(address, result, experiment, parent, child, training)


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("these tests need Chromium on the PATH; install it with: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def test_the_experiment_page_shows_the_table_first(pages: Pages, browser: Browser) -> None:
    page = _open(browser, f"{pages.address}/#/experiments/{pages.experiment}/runs?workflowType=machine_learning")
    try:
        shown = _text(page, "OTAM, 15% masked")
        _keep(page, "experiment")
        assert "motionshapes" in shown
    finally:
        page.close()


def test_the_parent_run_shows_every_number_of_the_table(pages: Pages, browser: Browser) -> None:
    page = _open(
        browser, f"{pages.address}/#/experiments/{pages.experiment}/runs/{pages.parent}?workflowType=machine_learning"
    )
    try:
        shown = _text(page, "OTAM, 15% masked")
        _keep(page, "parent")
        for cell in pages.result.cells:
            assert cell.cell.row in shown
            assert f"{100 * (cell.accuracy or 0):.1f} ± {100 * (cell.ci95 or 0):.1f}" in shown
        assert pages.result.fingerprints["motionshapes"] in shown
        assert "not comparable with motionshapes" in shown
        assert TITLE in shown
        expect(page.locator("table td", has_text="OTAM, 15% masked").first).to_be_visible()
    finally:
        page.close()


def test_links_of_the_description_lead_to_the_cells(pages: Pages, browser: Browser) -> None:
    page = _open(
        browser, f"{pages.address}/#/experiments/{pages.experiment}/runs/{pages.parent}?workflowType=machine_learning"
    )
    try:
        _text(page, "cells, best first")
        link = page.get_by_role("link", name="1-shot: cells, best first").first
        address = link.get_attribute("href")
        assert address is not None
        page.goto(pages.address + "/" + address[address.index("#") :])
        expect(page.get_by_role("link", name="Evaluation runs")).to_have_count(0)
        shown = _text(page, "BiMHM, 75% masked, 1-shot")
        _keep(page, "cells")
        assert "no mask, 1-shot" in shown
        assert "no mask, 5-shot" not in shown
    finally:
        page.close()


def test_a_child_run_shows_its_cell_and_leads_to_its_training(pages: Pages, browser: Browser) -> None:
    page = _open(
        browser, f"{pages.address}/#/experiments/{pages.experiment}/runs/{pages.child}?workflowType=machine_learning"
    )
    try:
        shown = _text(page, "training, seed 0")
        _keep(page, "child")
        cell = pages.result.cells[1]
        assert f"{100 * (cell.accuracy or 0):.1f} ± {100 * (cell.ci95 or 0):.1f}" in shown
        address = page.get_by_role("link", name="training, seed 0").first.get_attribute("href")
        assert address is not None
        page.goto(pages.address + "/" + address[address.index("#") :])
        shown = _text(page, "Accuracy on val")
        _keep(page, "training")
        assert pages.training in shown
        assert "45.00 %" in shown
        assert "otam, motionshapes, 5-way 1-shot, seed 0" in shown
    finally:
        page.close()


def test_the_artifact_page_shows_the_table(pages: Pages, browser: Browser) -> None:
    run = f"{pages.address}/#/experiments/{pages.experiment}/runs/{pages.parent}"
    page = _open(browser, f"{run}/artifacts/table.html")
    try:
        frame = page.frame_locator("iframe").first
        expect(frame.get_by_text("OTAM, 15% masked").first).to_be_visible(timeout=30_000)
        _keep(page, "artifact")
    finally:
        page.close()


def test_the_artifact_page_shows_the_plot(pages: Pages, browser: Browser) -> None:
    run = f"{pages.address}/#/experiments/{pages.experiment}/runs/{pages.parent}"
    page = _open(browser, f"{run}/artifacts/plot.png")
    try:
        expect(page.locator("img[src*='plot.png'], img[src^='blob:']").first).to_be_visible(timeout=30_000)
        _keep(page, "plot")
    finally:
        page.close()


def _log_a_table(uri: str, store: Store) -> tuple[TableResult, str, str, str, str]:
    table = ratio_table().model_copy(update={"title": TITLE})
    fill(store, table)
    result = collect(table, (0, 1), store, PRINTS)
    prepare(uri)
    tracking = Tracking(uri)
    training, *_ = (tracking.record_run(seed.key, seed.folder) for seed in result.cells[1].seeds)
    assert training is not None
    parent = tracking.record_table(result, "pages", "motionshapes", "smoke")
    client = MlflowClient(uri)
    experiment = client.get_run(parent).info.experiment_id
    (child,) = client.search_runs([experiment], "tags.`row` = 'OTAM, 15% masked' AND tags.`column` = '1-shot'")
    return result, experiment, parent, child.info.run_id, training


@contextmanager
def _served(uri: str, folder: Path) -> Generator[str]:
    """The address of a server that is up; none of its processes is left afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--artifacts-destination", str(folder / "server-artifacts")]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = folder / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, cwd=folder
        )
    try:
        _wait_until_up(f"http://127.0.0.1:{port}", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        _stop(server)


def _wait_until_up(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _UP_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(f"{address}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the MLflow server was not up within {_UP_S} s; it said: {log.read_text()[-2000:]}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    family = [*psutil.Process(server.pid).children(recursive=True)] if server.poll() is None else []
    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)
    kill(family)


def _open(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": 1500, "height": 1300})
    page.goto(address)
    return page


def _text(page: Page, expected: str) -> str:
    """What is to be read on the page, once ``expected`` is."""
    expect(page.locator("body")).to_contain_text(expected, timeout=60_000)
    return page.locator("body").inner_text()


def _keep(page: Page, name: str) -> None:
    folder = os.environ.get("FSAR_SCREENSHOTS")
    if folder:
        page.wait_for_timeout(1500)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))

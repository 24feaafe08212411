"""A drift report on disk, beside its rerun, and in MLflow, on the rerun's parent run."""

import re
from collections.abc import Mapping
from pathlib import Path

from fsar_core.frozen import content_id
from sweeps.engine.drift_page import html_page
from sweeps.engine.drift_plot import draw
from sweeps.engine.drift_report import Report
from sweeps.engine.drift_views import markdown
from sweeps.engine.records import write_aside
from sweeps.engine.reruns import rerun_folder
from sweeps.engine.site import Site
from sweeps.engine.tracking_connection import connect, log, prepare, reaching

FOLDER = "drift"
"""Of the report, in the folder of the rerun and among the artefacts of its run."""
_DIGEST = "fsar.drift.files"


def files(report: Report) -> dict[str, bytes]:
    """By file name: the page, the same as Markdown, all of it for programs, and a picture per table."""
    pictures = {table: draw(cells) for table, cells in report.tables().items()}
    names = {table: _picture(table) for table in pictures}
    return {
        "report.html": html_page(report, pictures).encode(),
        "report.md": markdown(report, names).encode(),
        "report.json": report.model_dump_json(indent=1).encode() + b"\n",
        **{names[table]: content for table, content in pictures.items()},
    }


def write(report: Report, site: Site) -> dict[str, Path]:
    """By file name, where each lies; each is replaced as a whole."""
    folder = rerun_folder(site, report.schedule, report.slot) / FOLDER
    made = files(report)
    for name, content in made.items():
        write_aside(folder / name, content)
    return {name: folder / name for name in made}


def record(report: Report, written: Mapping[str, Path], site: Site) -> None:
    """On the rerun's parent run; what stands there already is not sent again. Raises TrackingError."""
    uri = site.mlflow_uri()
    prepare(uri)
    with reaching(uri):
        client = connect(uri)
        digest = content_id(*(path.read_bytes().hex() for path in written.values()))
        there = client.get_run(report.tracking_run).data.tags
        if there.get(_DIGEST) == digest:
            return
        for path in written.values():
            client.log_artifact(report.tracking_run, str(path), FOLDER)
        log(client, report.tracking_run, tags={"drift": report.verdict, "drift.says": report.says, _DIGEST: digest})


def _picture(table: str) -> str:
    """No separator comes from a table's name."""
    return f"{re.sub(r'[^a-z0-9]+', '-', table.casefold())}-{content_id(table)[:4]}.png"

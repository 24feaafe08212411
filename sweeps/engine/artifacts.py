"""A table as files: what lies in the output folder and what MLflow keeps are the same bytes."""

from sweeps.engine.formats import csv_text, markdown
from sweeps.engine.latex import latex
from sweeps.engine.page import html_page
from sweeps.engine.plot import draw
from sweeps.engine.results import TableResult


def texts(result: TableResult) -> dict[str, str]:
    """By file name."""
    return {
        "table.csv": csv_text(result),
        "table.md": markdown(result),
        "table.tex": latex(result),
        "table.html": html_page(result),
    }


def artifacts(result: TableResult) -> dict[str, bytes]:
    """By file name: texts and plots."""
    written = {name: text.encode() for name, text in texts(result).items()}
    return written | {"plot.png": draw(result, "png"), "plot.pdf": draw(result, "pdf")}

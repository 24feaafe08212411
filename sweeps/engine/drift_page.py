"""A drift report as one HTML page without any other file."""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence

from sweeps.engine import drift_words as words
from sweeps.engine.drift_report import Report

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem;
  color: #1a1a1a; background: #fff }
h1 { font-size: 1.3rem }
h2 { font-size: 1rem; margin: 1.5rem 0 .3rem }
div { overflow-x: auto }
table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; font-variant-numeric: tabular-nums }
thead { border-bottom: 1px solid }
th, td { padding: .2rem .6rem; text-align: right; font-weight: normal; vertical-align: bottom }
td { white-space: nowrap }
.left, th:first-child, td:first-child { text-align: left }
.changes td { white-space: normal; overflow-wrap: anywhere; text-align: left }
.changes th { text-align: left }
.suspicious td { background: #fff3d6 }
.regression td { background: #fbdcd6; font-weight: bold }
.better td { background: #dcebf7 }
.insufficient td { color: #666; font-style: italic }
img { max-width: 100%; display: block; margin: .6rem 0 }
pre, ul { font-size: .85rem; color: #444 }
pre { white-space: pre-wrap }
"""
_LEFT = ("cell", "verdict", "printed %")


def html_page(report: Report, pictures: Mapping[str, bytes]) -> str:
    """``pictures``: PNG by table, kept inside the page. Every text is escaped."""
    esc = html.escape
    parts = [f"<h1>{esc(words.title(report))}</h1>", f"<p>{esc(report.says)}</p>"]
    for name, cells in report.tables().items():
        heads = words.heads(cells)
        left = [head in _LEFT for head in heads]
        rows = [(cell.standing.split()[0], words.texts(cell, heads)) for cell in cells]
        parts += [f"<h2>{esc(name)}</h2>", _table(heads, rows, left, "")]
        if name in pictures:
            data = base64.b64encode(pictures[name]).decode()
            parts.append(f'<img alt="accuracy by rerun, {esc(name)}" src="data:image/png;base64,{data}">')
    parts.append(f"<h2>{esc(words.changes_head(report))}</h2>")
    if report.changes:
        lines = [("", line) for line in words.changes(report)]
        parts.append(_table(("kind", "what", "before", "now"), lines, [True] * 4, "changes"))
    parts.append(f"<pre>{esc(words.series(report))}</pre>")
    notes = "".join(f"<li>{esc(line)}</li>" for line in words.below(report))
    body = "\n".join([*parts, f"<ul>{notes}</ul>"])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{esc(words.title(report))}</title>'
        f"<style>{_STYLE}</style></head>\n<body>{body}</body></html>\n"
    )


def _table(heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], left: Sequence[bool], kind: str) -> str:
    def cells(tag: str, texts: Sequence[str]) -> str:
        pairs = zip(texts, (' class="left"' * own for own in left), strict=True)
        return "".join(f"<{tag}{side}>{html.escape(text)}</{tag}>" for text, side in pairs)

    body = "\n".join(f'<tr class="{of}">{cells("td", row)}</tr>' for of, row in rows)
    head = f"<thead><tr>{cells('th', heads)}</tr></thead>"
    return f'<div><table class="{kind}">{head}\n<tbody>\n{body}\n</tbody></table></div>'

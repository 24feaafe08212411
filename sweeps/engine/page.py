"""A table as one HTML page."""

import html

from sweeps.engine.protocol import footnotes
from sweeps.engine.report import BETWEEN, Entry, grid, places
from sweeps.engine.results import TableResult

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem;
  color: #1a1a1a; background: #fff }
h1 { font-size: 1.3rem }
div { overflow-x: auto }
table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; font-variant-numeric: tabular-nums }
thead { border-bottom: 1px solid }
th, td { padding: .2rem .6rem; text-align: right; font-weight: normal; vertical-align: bottom }
td { white-space: nowrap }
th:first-child, td:first-child { text-align: left }
.best { font-weight: bold }
.second { text-decoration: underline }
.open { color: #8a5a00; font-style: italic }
ul { font-size: .85rem; color: #444 }
"""


def html_page(result: TableResult) -> str:
    """One page without any other file. Every text is escaped."""
    words, esc = grid(result), html.escape

    def ours(entry: Entry) -> str:
        if not entry.spread:
            return f'<td class="open">{esc(entry.value)}</td>'
        return f'<td><span class="{entry.rank or ""}">{esc(entry.value)}</span>{esc(entry.spread)}</td>'

    def other(text: str) -> str:
        return f"<td>{'<br>'.join(map(esc, text.split(BETWEEN)))}</td>"

    spans = "".join(f'<th colspan="{len(c.headings())}">{esc(c.name)}</th>' for c in words.columns)
    heads = "".join(f"<th>{esc(heading)}</th>" for column in words.columns for heading in column.headings())
    rows = [
        f"<tr><td>{esc(row)}</td>{''.join(places(words, e, ours, other, '<td>–</td>'))}</tr>" for row, e in words.rows
    ]
    notes = "".join(f"<li>{esc(line)}</li>" for line in footnotes(result))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{esc(words.title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{esc(words.title)}</h1>\n<div><table><thead>"
        f"<tr><th></th>{spans}</tr>\n<tr><th>row</th>{heads}</tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + f"\n</tbody></table></div>\n<ul>{notes}</ul></body></html>\n"
    )

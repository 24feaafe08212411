"""What a sweep would take, printed; nothing is launched."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from sweeps.engine.paper_flags import write_out
from sweeps.engine.plan import asked
from sweeps.engine.plan_text import terminal
from sweeps.engine.planning import report
from sweeps.engine.request import Request
from sweeps.engine.selection_words import cautions, weights_line
from sweeps.engine.site import Site
from sweeps.engine.sweep import Tables, planned
from sweeps.engine.watch import Display


def show_plan(
    request: Request,
    tables_of: Tables,
    console: Console,
    *,
    gpus: int | None = None,
    measured: bool = True,
    out: Callable[[Site], Path] | None = None,
) -> None:
    """``gpus`` and ``measured`` as ``planning.report`` has them; ``out``: where on a site the plan goes as JSON."""
    display = Display(console)
    with display.shown():
        sweep = planned(request, tables_of, display)
        wanted = {table.name: asked(table.cells, sweep.prepared.seeds) for table in sweep.tables}
        told = display.counting("measuring and counting")
        site, indices = sweep.prepared.site, sweep.prepared.indices
        found = report(wanted, sweep.plan, site, gpus, indices=indices, measured=measured, progress=told)
    console.print(terminal(found, console.width))
    runs = [own.run for own in sweep.plan.runs]
    console.print(weights_line(runs), highlight=False, markup=False)
    for caution in cautions(runs):
        console.print(caution, style="bold", highlight=False)
    if out is not None:
        path = out(site)
        write_out(path, found.json_bytes())
        console.print(f"plan  {path}", highlight=False, markup=False, soft_wrap=True)

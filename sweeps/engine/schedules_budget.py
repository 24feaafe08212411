"""Whether a rerun stays within the GPU-hours that its schedule allows."""

from collections.abc import Sequence

from search_spaces.table import Table
from sweeps.engine.plan import asked, make_plan
from sweeps.engine.plan_report import Totals
from sweeps.engine.planning import report
from sweeps.engine.records import Store
from sweeps.engine.request import Prepared
from sweeps.engine.site import BadRequest
from sweeps.engine.watch import Display


def within_budget(prepared: Prepared, tables: Sequence[Table], budget: float, display: Display, *, fresh: bool) -> str:
    """What the plan says of it, in words. ``prepared`` is on the site of the record.

    Raises BadRequest where the plan takes more. What nothing tells the time of counts as nothing, and it is said.
    """
    totals = _totals(prepared, tables, display, fresh=fresh)
    if totals.gpu_hours is None:
        return f"budget_gpu_hours = {budget:g} limits nothing: the site gives runs no GPU"
    counts = {f"{totals.unknown} trainings": totals.unknown, f"{totals.tests_unknown} tests": totals.tests_unknown}
    those = " and ".join(whose for whose, count in counts.items() if count)
    unknown = f"; the time of {those} is not known and not counted" if those else ""
    if totals.gpu_hours > budget:
        fault = f"the plan takes {totals.gpu_hours:.2f} GPU-hours{unknown}; budget_gpu_hours allows {budget:g}"
        raise BadRequest([f"{fault}: raise it, or ask for fewer tables or seeds"])
    return f"the plan takes {totals.gpu_hours:.2f} of {budget:g} GPU-hours{unknown}"


def _totals(prepared: Prepared, tables: Sequence[Table], display: Display, *, fresh: bool) -> Totals:
    """Measured only where no record tells how long something takes."""
    wanted = {table.name: asked(table.cells, prepared.seeds) for table in tables}
    cells = [own for table in wanted.values() for own in table]
    root = prepared.site.storage
    # there nothing is recorded, and under other keys the trainings of the record tell the time of their like
    store = Store(root / "reruns", generation=1) if fresh else Store(root)
    plan = make_plan(cells, store, prepared.fingerprints())
    found = report(wanted, plan, prepared.site, indices=prepared.indices, measured=False)
    if (found.totals.unknown or found.totals.tests_unknown) and found.totals.gpu_hours is not None:
        told = display.counting("measuring and counting")
        found = report(wanted, plan, prepared.site, indices=prepared.indices, progress=told)
    return found.totals

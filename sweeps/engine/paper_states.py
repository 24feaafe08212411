"""How far each table of the papers is on this machine, also where most of the data sets are missing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fsar_core.data.clip_index import BadDataset, ClipIndex
from fsar_core.data.datasets import open_index
from fsar_core.presets import PRESETS, default_preset
from search_spaces.papers.tables import paper_table, runnable_tables
from search_spaces.table import Table, TableError
from sweeps.engine.data_faults import datasets_of
from sweeps.engine.plan import asked
from sweeps.engine.records import Store
from sweeps.engine.results import collect_all
from sweeps.engine.site import BadRequest, Site
from sweeps.engine.watch import Display


@dataclass(frozen=True)
class TableState:
    """Of one table."""

    trainings: int
    """Distinct, of one seed."""
    said: str


def table_states(
    site: Site, dataset: str | None, preset: str | None, seeds: int | None, display: Display
) -> dict[str, TableState]:
    """By name, of all tables that can be run. Raises BadRequest for an unknown preset."""
    chosen = preset or site.preset or default_preset(dataset or "")
    if chosen not in PRESETS:
        raise BadRequest([f"--preset must be one of {', '.join(sorted(PRESETS))}, got {chosen!r}"])
    if seeds is not None and seeds < 1:
        raise BadRequest([f"--seeds must be at least 1, got {seeds}"])
    states: dict[str, TableState] = {}
    tables: list[Table] = []
    count = display.counting("making tables")
    names = runnable_tables()
    for done, name in enumerate(names, start=1):
        try:
            tables.append(paper_table(name, lambda own: PRESETS[chosen](own), dataset))
        except TableError:
            states[name] = TableState(0, f"does not fit preset {chosen}")
        count(done, len(names))
    return states | _states(tables, site, range(seeds or site.seeds), display)


def _states(tables: Sequence[Table], site: Site, seeds: range, display: Display) -> dict[str, TableState]:
    opened: dict[str, ClipIndex | None] = {}
    states: dict[str, TableState] = {}
    ready: list[Table] = []
    for table in tables:
        names = datasets_of(asked(table.cells, (0,)))
        for name in names:
            if name not in opened:
                opened[name] = _opened(site, name, display.counting)
        missing = [name for name in names if opened[name] is None]
        if missing:
            states[table.name] = TableState(_trainings(table), f"needs {', '.join(missing)}")
        else:
            ready.append(table)
    prints = {name: index.fingerprint for name, index in opened.items() if index is not None}
    for result in collect_all(ready, seeds, Store(site.storage), prints):
        done = sum(cell.state == "done" for cell in result.cells)
        failed = sum(cell.state == "failed" for cell in result.cells)
        said = "complete" if done == len(result.cells) else f"{done} of {len(result.cells)} cells"
        said += f", {failed} failed" if failed else ""
        states[result.table.name] = TableState(_trainings(result.table), said)
    return states


def _opened(site: Site, name: str, watch: Callable[[str], Callable[[int, int], None]]) -> ClipIndex | None:
    """None where it is not on this machine."""
    try:
        return open_index(site.place(name), watch)
    except (BadRequest, BadDataset, OSError):
        return None


def _trainings(table: Table) -> int:
    return len({cell.run.run_id() for cell in table.cells})

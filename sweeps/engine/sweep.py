"""A sweep over tables, without a command line: compare with what is recorded, run, record, show."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from fsar_core.frozen import content_id
from search_spaces.table import RecipeOf, Table
from sweeps.engine.artifacts import artifacts
from sweeps.engine.credentials import hide_credentials
from sweeps.engine.formats import terminal
from sweeps.engine.locks import sweep_locks
from sweeps.engine.node_frames import decode
from sweeps.engine.plan import Plan, asked, make_plan
from sweeps.engine.records import Origin, Store, write_aside
from sweeps.engine.relaunch import complete_plan
from sweeps.engine.request import Prepared, Request, Wanted, prepare
from sweeps.engine.results import TableResult, collect_all
from sweeps.engine.retry import held_back, without
from sweeps.engine.run_masks import mask_conflicts
from sweeps.engine.site import BadRequest, Site
from sweeps.engine.tracking import Tracking, TrackingError
from sweeps.engine.tracking import prepare as prepare_store
from sweeps.engine.tracking_notes import run_link
from sweeps.engine.watch import Display

Tables = Callable[[RecipeOf], Sequence[Table]]
"""The tables of a request; raises TableError with all that keeps them from being made."""
Choose = Callable[[Plan], Plan]
"""Takes runs out of a plan."""
_LOCAL_UI = "http://127.0.0.1:5000"
"""Where ``make ui`` serves."""
_SHOWN_WHOLE = 3
_COMMIT = "FSAR_GIT_COMMIT"
"""Environment variable, of what was built from a repository."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Tables that were asked for, found good, and compared with what is recorded."""

    prepared: Prepared
    tables: tuple[Table, ...]
    store: Store
    plan: Plan

    def label(self) -> str:
        """Of the data, the preset and the repetition; names folders."""
        generation = self.store.generation
        repetition = f"-repetition{generation}" if generation else ""
        return f"{self.prepared.dataset}-{self.prepared.preset}{repetition}"

    def folder(self, table: str) -> Path:
        """Of a table's files, by its name."""
        return self.prepared.site.storage / "tables" / table / self.label()

    def results(self) -> tuple[TableResult, ...]:
        """What is recorded now."""
        prepared = self.prepared
        return collect_all(self.tables, prepared.seeds, self.store, prepared.fingerprints())


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of a sweep."""

    sweep: Sweep
    results: tuple[TableResult, ...]
    pages: tuple[str, ...]
    """By table, where it is to be seen."""
    trouble: TrackingError | None
    """Why it was not recorded in MLflow."""


def planned(request: Request, tables_of: Tables, display: Display) -> Sweep:
    """Launches nothing. Raises BadRequest with everything that is wrong, and where recorded runs saw other masks than
    those of now."""
    tables: list[Table] = []

    def asks(recipe_of: RecipeOf) -> Wanted:
        tables[:] = tables_of(recipe_of)
        return asked((cell for table in tables for cell in table.cells), (0,))

    prepared = prepare(request, display, asks)
    return _compared(prepared, tuple(tables), of_masks=not request.only_recorded)


def run_tables(request: Request, tables_of: Tables, console: Console, choose: Choose | None = None) -> bool:
    """Completes tables and shows them. False if a cell has no number, or MLflow was not reached at the end.

    ``choose``: of the plan, what is launched. By default all but runs that have failed twice under this very code.
    """
    display = Display(console)
    with display.shown():
        sweep = planned(request, tables_of, display)
        ended = completed(sweep.prepared, sweep.tables, display, choose)
    _show_all(ended.results, ended.sweep, ended.pages, console)
    if ended.trouble is not None:
        console.print(f"not recorded in MLflow: {ended.trouble}", highlight=False, markup=False, soft_wrap=True)
    return all(result.state == "done" for result in ended.results) and ended.trouble is None


def completed(prepared: Prepared, tables: tuple[Table, ...], display: Display, choose: Choose | None = None) -> Ended:
    """Trains and measures what is missing, writes and records the tables; ``choose`` as ``run_tables`` has it."""
    with sweep_locks(prepared.site.storage, (table.name for table in tables)):
        tracking = opened_tracking(prepared)
        sweep = _trained(prepared, tables, tracking, display, choose)
        results = sweep.results()
        _write(results, sweep, display)
        pages, trouble = _record(results, sweep, tracking, display)
    return Ended(sweep=sweep, results=results, pages=tuple(pages), trouble=trouble)


def measured(prepared: Prepared, table: Table, display: Display) -> TableResult:
    """As ``completed``, of a table that is a step to another one: it is neither written nor recorded."""
    with sweep_locks(prepared.site.storage, [table.name]):
        return _trained(prepared, (table,), opened_tracking(prepared), display, None).results()[0]


def _trained(
    prepared: Prepared, tables: tuple[Table, ...], tracking: Tracking, display: Display, choose: Choose | None
) -> Sweep:
    sweep = _compared(prepared, tables)  # under the lock: another driver may have ended in between
    plan = _hopeful(sweep.plan, display.console) if choose is None else choose(sweep.plan)
    _train(plan, sweep, tracking, display)
    return replace(sweep, plan=_plan(prepared, tables, sweep.store))


def show(result: TableResult, folder: Path, page: str, console: Console) -> None:
    """The table, its files, and where to look further."""
    console.print(terminal(result, console.width))
    where = f"plot    {folder / 'plot.png'}\nfiles   {folder}/table.{{md,csv,tex,html}}\nMLflow  {page}"
    console.print(where, highlight=False, markup=False, soft_wrap=True)


def _hopeful(plan: Plan, console: Console) -> Plan:
    held = held_back(plan, git_commit())
    if held:
        text = f"{len(held)} runs have failed twice under this code, or wait for such, and are left alone"
        console.print(f"{text}; `fsar why` tells the reason, `fsar retry --only bug` starts them", highlight=False)
    return without(plan, held)


def _write(results: Sequence[TableResult], sweep: Sweep, display: Display) -> None:
    count = display.counting("writing tables")
    for done, result in enumerate(results, start=1):
        write_files(result, sweep.folder(result.table.name))
        count(done, len(results))


def _show_all(results: Sequence[TableResult], sweep: Sweep, pages: Sequence[str], console: Console) -> None:
    """Few tables whole, many as a list."""
    if len(results) > _SHOWN_WHOLE:
        from sweeps.engine.status import status

        console.print(status(results, sweep.plan))
        where = f"files   {sweep.folder('<table>')}/table.{{md,csv,tex,html}}\nMLflow  {pages[0].partition('/#/')[0]}"
        console.print(where, highlight=False, markup=False, soft_wrap=True)
        return
    for result, page in zip(results, pages, strict=True):
        show(result, sweep.folder(result.table.name), page, console)


def _train(plan: Plan, sweep: Sweep, tracking: Tracking, display: Display) -> None:
    if plan.complete():
        return
    prepared = sweep.prepared
    decode(plan, prepared, display)
    compared = partial(_plan, prepared, sweep.tables, sweep.store)
    complete_plan(plan, compared, prepared.site, origin(prepared), tracking, display)


def _record(
    results: Sequence[TableResult], sweep: Sweep, tracking: Tracking, display: Display
) -> tuple[list[str], TrackingError | None]:
    """Where each table is to be seen, and what went wrong: that is given back, since the tables are shown first."""
    prepared = sweep.prepared
    links: list[str] = []
    count = display.counting("recording tables")
    try:
        tracking.record_runs({own.key: own.folder for own in sweep.plan.runs if own.folder.has_record()})
        for done, result in enumerate(results, start=1):
            key = _launch_key(result, sweep.store)
            parent = tracking.record_table(result, key, prepared.dataset, prepared.preset, sweep.store.generation)
            links.append(run_link(tracking.table_experiment(result.table.name), parent))
            count(done, len(results))
    except TrackingError as error:
        return ["not reached"] * len(results), error
    return [address(prepared.site, link) for link in links], None


def address(site: Site, link: str) -> str:
    """Where a page of the site's MLflow is to be seen."""
    uri = site.mlflow_uri()
    return (
        f"{_serving(uri)}, then {_LOCAL_UI}/{link}" if uri.startswith("sqlite:") else f"{hide_credentials(uri)}/{link}"
    )


def _serving(uri: str) -> str:
    """The command that shows this store."""
    if uri == f"sqlite:///{Path(__file__).parents[2] / 'output' / 'mlflow.db'}":
        return "make ui"
    return f"mlflow server --backend-store-uri {uri} --host 127.0.0.1 --port 5000"


def opened_tracking(prepared: Prepared) -> Tracking:
    """MLflow, created first where it is a file that does not exist yet. Raises TrackingError."""
    uri = prepared.site.mlflow_uri()
    prepare_store(uri)
    return Tracking(uri, prepared.apart, lock=prepared.site.storage / "locks" / "mlflow.lock")


def write_files(result: TableResult, folder: Path) -> None:
    """The table in every format, beside each other; each file replaced as a whole."""
    for name, content in artifacts(result).items():
        write_aside(folder / name, content)


def origin(prepared: Prepared) -> Origin:
    """Of everything that this driver has made."""
    return Origin(preset=prepared.preset, git_commit=git_commit())


def git_commit() -> str:
    """Of the code that runs, with a mark if it has changes that are not committed. Outside a repository what the image
    says that it was built from, or ``unknown``."""
    here = Path(__file__).parent
    commands = (
        ["git", "rev-parse", "HEAD"],
        ["git", "status", "--porcelain", "--untracked-files=normal", "--", "*.py"],
    )
    try:
        commit, changes = (
            subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout.strip()
            for command in commands
        )
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get(_COMMIT) or "unknown"
    return f"{commit}+changes" if changes else commit


def _compared(prepared: Prepared, tables: tuple[Table, ...], *, of_masks: bool = True) -> Sweep:
    """Raises BadRequest where recorded runs saw other masks than those of now."""
    store, plan = _store_and_plan(prepared, tables)
    conflicts = mask_conflicts(plan) if of_masks else []
    if conflicts:
        raise BadRequest(conflicts)
    return Sweep(prepared=prepared, tables=tables, store=store, plan=plan)


def _plan(prepared: Prepared, tables: Sequence[Table], store: Store) -> Plan:
    cells = (cell for table in tables for cell in table.cells)
    return make_plan(asked(cells, prepared.seeds), store, prepared.fingerprints())


def _store_and_plan(prepared: Prepared, tables: Sequence[Table]) -> tuple[Store, Plan]:
    """The record, or with ``fresh`` the first repetition that is not complete."""
    root, generation = prepared.site.storage, 1 if prepared.fresh else 0
    while True:
        store = Store(root, generation)
        plan = _plan(prepared, tables, store)
        if not prepared.fresh or not plan.complete():
            return store, plan
        generation += 1


def _launch_key(result: TableResult, store: Store) -> str:
    """Equal for launches that ask for the same numbers."""
    cells = [cell.evaluation.eval_id(cell.run) for cell in result.table.cells]
    seeds = [str(seed.seed) for seed in result.cells[0].seeds]
    prints = dict.fromkeys(result.fingerprints[cell.run.data.dataset] for cell in result.table.cells)
    return content_id(result.table.name, str(store.generation), *cells, *seeds, *prints)

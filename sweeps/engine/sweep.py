"""The verbs of a sweep script, without a command line: plan, run, record, show."""

import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console

from fsar_core.data.datasets import decode_splits
from fsar_core.data.frame_cache import CacheError
from fsar_core.frozen import content_id
from fsar_core.presets import Recipe
from search_spaces.table import Table
from sweeps.engine.artifacts import artifacts
from sweeps.engine.estimate import estimate
from sweeps.engine.formats import terminal
from sweeps.engine.plan import Plan, asked, make_plan
from sweeps.engine.records import Origin, Store, write_aside
from sweeps.engine.request import Prepared, Request, Wanted, prepare
from sweeps.engine.results import TableResult, collect
from sweeps.engine.run_masks import mask_conflicts
from sweeps.engine.selection_words import cautions, selection
from sweeps.engine.site import BadRequest
from sweeps.engine.tracking import Tracking, TrackingError
from sweeps.engine.tracking import prepare as prepare_store
from sweeps.engine.tracking_connection import hide_credentials
from sweeps.engine.tracking_notes import run_link
from sweeps.engine.watch import Display, RunWatcher

Grid = Callable[[Recipe], Table]
_LOCAL_UI = "http://127.0.0.1:5000"
"""Where ``make ui`` serves."""


def dry_run(request: Request, grid: Grid, console: Console) -> None:
    """Prints what would be done. Launches nothing."""
    display = Display(console)
    with display.shown():
        prepared = prepare(request, display, _asks(grid))
        table = grid(prepared.recipe)
        plan = _planned(table, prepared, _store(prepared, table))
    print_plan(plan, prepared, console)


def run_table(request: Request, grid: Grid, console: Console) -> bool:
    """Completes a table and shows it. False if a cell has no number, or MLflow was not reached at the end."""
    display = Display(console)
    with display.shown():
        prepared = prepare(request, display, _asks(grid))
        table = grid(prepared.recipe)
        store = _store(prepared, table)
        with sweep_lock(prepared.site.storage, table.name):
            plan = _planned(table, prepared, store)
            tracking = opened_tracking(prepared)
            _train(plan, prepared, tracking, display)
            result = collect(table, prepared.seeds, store, prepared.fingerprints())
            folder = _table_folder(prepared, table, store)
            write_files(result, folder)
            page, trouble = _record(result, plan, store, prepared, tracking)
    show(result, folder, page, console)
    if trouble is not None:
        console.print(f"not recorded in MLflow: {trouble}", highlight=False, markup=False, soft_wrap=True)
    return result.state == "done" and trouble is None


def _planned(table: Table, prepared: Prepared, store: Store) -> Plan:
    """Raises BadRequest where recorded runs saw other masks than those of now."""
    plan = make_plan(asked(table.cells, prepared.seeds), store, prepared.fingerprints())
    conflicts = mask_conflicts(plan)
    if conflicts:
        raise BadRequest(conflicts)
    return plan


def print_plan(plan: Plan, prepared: Prepared, console: Console) -> None:
    """Trainings, evaluations, known, shared, time."""
    todo = plan.todo()
    guess = estimate(plan, prepared.site)
    first = {need for planned in plan.runs for need in planned.needs}
    lines = [
        ("cells", f"{plan.cells} (with seeds)"),
        ("trainings", f"{len(plan.runs)}, of which {len(first)} are needed by others first"),
        ("  known", f"{len(plan.runs) - len([p for p in plan.runs if not p.trained])}"),
        ("  begun", f"{sum(not p.trained and p.steps_left < p.run.training.steps for p in plan.runs)}"),
        ("evaluations", f"{plan.evaluations()}, of which {plan.evaluations_known()} are known"),
        ("shared", f"{plan.cells - plan.evaluations()} cells have their number from another cell's evaluation"),
        ("weights", "; ".join(dict.fromkeys(selection(planned.run) for planned in plan.runs))),
        ("steps to do", f"{sum(planned.steps_left for planned in todo)}"),
        (
            "time",
            f"{guess.wall_seconds / 60:.1f} min on this machine "
            f"({guess.run_seconds / 3600:.2f} run-hours; {guess.probed} kinds measured now)",
        ),
    ]
    for name, text in lines:
        console.print(f"{name:<14}{text}", highlight=False)
    for caution in cautions(planned.run for planned in plan.runs):
        console.print(caution, style="bold", highlight=False)


def show(result: TableResult, folder: Path, page: str, console: Console) -> None:
    """The table, its files, and where to look further."""
    console.print(terminal(result, console.width))
    where = f"plot    {folder / 'plot.png'}\nfiles   {folder}/table.{{md,csv,tex,html}}\nMLflow  {page}"
    console.print(where, highlight=False, markup=False, soft_wrap=True)


def _train(plan: Plan, prepared: Prepared, tracking: Tracking, display: Display) -> None:
    if plan.complete():
        return
    decode(prepared, display)
    from sweeps.engine.launch import ray_session, run_plan  # Ray takes a second to import

    todo = plan.todo()
    steps = sum(planned.steps_left for planned in todo)
    with ray_session(prepared.site):
        watcher = RunWatcher(display, tracking, runs=len(todo), steps=steps)
        run_plan(plan, prepared.site, origin(prepared), watcher)


def _record(
    result: TableResult, plan: Plan, store: Store, prepared: Prepared, tracking: Tracking
) -> tuple[str, TrackingError | None]:
    """Where the table is to be seen, and what went wrong: that is given back, since the table is shown first."""
    try:
        for planned in plan.runs:
            if planned.folder.record() is not None:
                tracking.record_run(planned.key, planned.folder)
        key = _launch_key(result, store)
        parent = tracking.record_table(result, key, prepared.index.dataset, prepared.preset, store.generation)
        link = run_link(tracking.experiment(result.table.name), parent)
    except TrackingError as error:
        return "not reached", error
    server = prepared.site.tracking_uri
    if server is None:
        return f"{_serving(prepared.site.mlflow_uri())}, then {_LOCAL_UI}/{link}", None
    return f"{hide_credentials(server)}/{link}", None


def _serving(uri: str) -> str:
    """The command that shows this store."""
    if uri == f"sqlite:///{Path(__file__).parents[2] / 'output' / 'mlflow.db'}":
        return "make ui"
    return f"mlflow server --backend-store-uri {uri} --host 127.0.0.1 --port 5000"


def opened_tracking(prepared: Prepared) -> Tracking:
    """MLflow, created first where it is a file that does not exist yet. Raises TrackingError."""
    uri = prepared.site.mlflow_uri()
    prepare_store(uri)
    return Tracking(uri)


def decode(prepared: Prepared, display: Display) -> None:
    """Decodes every frame that the runs will read, once for this node; workers on other nodes do it there. Of data sets
    on which runs are only tested, the test clips."""
    site, data = prepared.site, prepared.recipe.data
    try:
        decode_splits(site.place(prepared.index.dataset), data, prepared.index, display.counting)
        for index in prepared.others:
            own = data.model_copy(update={"dataset": index.dataset})
            decode_splits(site.place(index.dataset), own, index, display.counting, splits=("test",))
    except CacheError as error:
        raise BadRequest([str(error)]) from error


@contextmanager
def sweep_lock(root: Path, name: str) -> Generator[None]:
    """One driver per sweep: a second one is refused at once. The lock dies with its process."""
    path = root / "locks" / f"{name.replace('/', '-')}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        fault = f"another driver runs {name!r} on this storage (lock {path}); wait for it or stop it"
        raise BadRequest([fault]) from error
    try:
        yield
    finally:
        lock.release()


def write_files(result: TableResult, folder: Path) -> None:
    """The table in every format, beside each other; each file replaced as a whole."""
    for name, content in artifacts(result).items():
        write_aside(folder / name, content)


def origin(prepared: Prepared) -> Origin:
    """Of everything that this driver has made."""
    return Origin(preset=prepared.preset, git_commit=_git_commit())


def _git_commit() -> str:
    """Of the code that runs, with a mark if it has changes that are not committed; ``unknown`` outside a repository."""
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
        return "unknown"
    return f"{commit}+changes" if changes else commit


def _asks(grid: Grid) -> Callable[[Recipe], Wanted]:
    return lambda recipe: asked(grid(recipe).cells, (0,))


def _store(prepared: Prepared, table: Table) -> Store:
    """The record, or with ``fresh`` the first repetition that is not complete."""
    root, generation = prepared.site.storage, 0
    while prepared.fresh:
        generation += 1
        store = Store(root, generation)
        if not make_plan(asked(table.cells, prepared.seeds), store, prepared.fingerprints()).complete():
            return store
    return Store(root)


def _table_folder(prepared: Prepared, table: Table, store: Store) -> Path:
    repetition = f"-repetition{store.generation}" if store.generation else ""
    return prepared.site.storage / "tables" / table.name / f"{prepared.index.dataset}-{prepared.preset}{repetition}"


def _launch_key(result: TableResult, store: Store) -> str:
    """Equal for launches that ask for the same numbers."""
    cells = [cell.evaluation.eval_id(cell.run) for cell in result.table.cells]
    seeds = [str(seed.seed) for seed in result.cells[0].seeds]
    prints = dict.fromkeys(result.fingerprints[cell.run.data.dataset] for cell in result.table.cells)
    return content_id(result.table.name, str(store.generation), *cells, *seeds, *prints)

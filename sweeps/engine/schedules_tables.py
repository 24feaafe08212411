"""What a schedule asks the engine for: the request and its tables, as the sweep scripts and `fsar run` make them."""

from search_spaces.space import Space
from search_spaces.spaces import all_spaces
from search_spaces.table import RecipeOf, Table
from sweeps.engine.paper_flags import paper_request
from sweeps.engine.plan import asked
from sweeps.engine.request import Prepared, Request, Wanted, prepare
from sweeps.engine.schedules import Schedule
from sweeps.engine.sweep import Tables
from sweeps.engine.watch import Display


def prepared_tables(schedule: Schedule, display: Display) -> tuple[Prepared, tuple[Table, ...]]:
    """Found good, but compared with no record. Raises BadRequest with everything that is wrong."""
    request, tables_of = _request(schedule)
    tables: list[Table] = []

    def asks(recipe_of: RecipeOf) -> Wanted:
        tables[:] = tables_of(recipe_of)
        return asked((cell for table in tables for cell in table.cells), (0,))

    prepared = prepare(request, display, asks)
    return prepared, tuple(tables)


def _request(schedule: Schedule) -> tuple[Request, Tables]:
    if schedule.script is None:
        return paper_request(
            list(schedule.tables),
            False,
            site=schedule.site,
            dataset=schedule.dataset,
            preset=schedule.preset,
            seeds=schedule.seeds,
        )
    dataset, space = schedule.dataset or "motionshapes", _space(schedule.script)
    request = Request(site=schedule.site, dataset=dataset, preset=schedule.preset, seeds=schedule.seeds)
    return request, lambda recipe_of: [space.grid(recipe_of(dataset))]


def _space(script: str) -> Space:
    """The one that the script takes where no method is named."""
    return next(space for name, space in all_spaces().items() if name.partition("/")[0] == script)

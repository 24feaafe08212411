"""The tables that names stand for."""

from collections.abc import Sequence
from difflib import get_close_matches

from search_spaces.papers.printed import printed_tables
from search_spaces.papers.tables import paper_table, runnable_tables
from search_spaces.table import RecipeOf, Table, TableError


def find_tables(names: Sequence[str], *, every: bool = False) -> tuple[str, ...]:
    """``sgtm`` for all tables of a paper, ``sgtm/table5`` for one; each once, in the order of the papers.

    Raises TableError with every name that stands for nothing, and for a table without an accuracy of the paper's own.
    """
    known, runnable = printed_tables(), runnable_tables()
    papers = tuple(dict.fromkeys(table.paper for table in known.values()))
    faults: list[str] = []
    found: set[str] = set(runnable) if every else set()
    for name in names:
        if name in papers:
            found |= {table for table in runnable if known[table].paper == name}
        elif name in runnable:
            found.add(name)
        elif name in known:
            faults.append(f"{name} holds no accuracy that a training could give; `fsar tables {name}` shows it")
        else:
            faults.append(unknown_table(name))
    if not found and not faults:
        faults.append(f"name at least one paper ({', '.join(papers)}) or table, or give --all")
    if faults:
        raise TableError(faults)
    return tuple(name for name in known if name in found)


def unknown_table(name: str) -> str:
    """The fault of a name that stands for no paper or table."""
    known = printed_tables()
    near = get_close_matches(name, [*{table.paper: None for table in known.values()}, *known], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"no paper or table is called {name!r}{hint} `fsar tables` lists them"


def paper_tables(names: Sequence[str], recipe_of: RecipeOf, substitute: str | None) -> tuple[Table, ...]:
    """The tables of ``find_tables`` as ``paper_table`` makes them. Raises TableError with the faults of all."""
    tables: list[Table] = []
    faults: list[str] = []
    for name in names:
        try:
            tables.append(paper_table(name, recipe_of, substitute))
        except TableError as error:
            faults += error.faults
    if faults:
        raise TableError(dict.fromkeys(faults))
    return tuple(tables)

"""Methods and their variants as a table: a row each, and a column per number of shots."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.methods import LEFT_OUT, all_methods
from fsar_core.presets import Recipe
from search_spaces.table import Cell, Setting, Table, TableError, said


@dataclass(frozen=True, order=True)
class Variant:
    """A method by the names of its module and of one of its variants."""

    method: str
    name: str

    def label(self) -> str:
        """The method alone where both names are one."""
        return self.method if self.name == self.method else f"{self.method}/{self.name}"

    def run(self, recipe: Recipe) -> RunConfig:
        """Its training. Raises ValueError where it does not fit the recipe."""
        method = all_methods()[self.method]
        return method.run(recipe, method.variants[self.name](recipe.backbone))


def find_variants(methods: Sequence[str], variants: Sequence[str] = ()) -> tuple[Variant, ...]:
    """The variants that names stand for, each once: ``method`` or ``method/variant``, or the method ``all``.

    ``variants`` are those taken of every method without a ``/``: none for its first, ``all``, or their names.
    Raises TableError with every unknown name, what there is, and what comes near.
    """
    known = all_methods()
    faults: list[str] = []
    found: list[Variant] = []
    for asked in known if "all" in methods else methods:
        method, slash, own = asked.partition("/")
        if method not in known:
            faults.append(LEFT_OUT.get(method) or unknown("method", method, known))
            continue
        there = tuple(known[method].variants)
        names = (own,) if slash else there if "all" in variants else tuple(variants) or there[:1]
        faults += [unknown(f"variant of {method}", name, there) for name in names if name not in there]
        found += [Variant(method, name) for name in names if name in there]
    if faults or not found:
        raise TableError(faults or ["name at least one method"])
    return tuple(dict.fromkeys(found))


_USUAL_TEST = EvalConfig()


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The fault of a name that does not exist."""
    names = tuple(known)
    near = get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"no {what} is called {name!r}{hint} There {_are(names)}"


def variants_table(
    rows: Sequence[Variant],
    recipe: Recipe,
    *,
    shots: Sequence[int],
    per_shot: bool = False,
    test: EvalConfig = _USUAL_TEST,
) -> Table:
    """Every row is trained once, with the recipe's shots, and tested as ``test`` says but with each of ``shots``; with
    ``per_shot`` it is trained for each of them by itself. Differences are to the first row.

    Raises TableError, a line per variant that does not fit the recipe.
    """
    cells: list[Cell] = []
    faults: dict[str, None] = {}
    for row in rows:
        for shot in shots:
            try:
                run = row.run(recipe.with_shot(shot) if per_shot else recipe)
            except ValueError as error:
                faults[f"{row.label()}: {said(error)}"] = None
                continue
            evaluation = test.model_copy(update={"shot": shot})
            settings: dict[str, Setting] = {"method": row.method, "variant": row.name}
            cells.append(
                Cell(row=row.label(), column=f"{shot}-shot", settings=settings, run=run, evaluation=evaluation)
            )
    if faults:
        raise TableError(faults)
    methods = tuple(dict.fromkeys(row.method for row in rows))
    return Table(
        name="_".join((f"variants/{'_'.join(methods)}", *_marks(recipe, test))),
        title=f"Variants of {', '.join(methods)}" + (", trained for each number of shots" if per_shot else ""),
        cells=tuple(cells),
        reference=rows[0].label() if len(rows) > 1 else None,
    )


def _marks(recipe: Recipe, test: EvalConfig) -> list[str]:
    """What keeps unusual tests and trainings of the same methods in a table of their own."""
    limit = recipe.data.limit
    marks = [
        "" if test.way == _USUAL_TEST.way else f"{test.way}_way",
        "" if test.max_seconds is None else f"up_to_{test.max_seconds:g}_s",
        "" if test.dataset is None else f"on_{test.dataset}",
        "" if limit is None else f"{limit.per_class}_videos",
    ]
    return [re.sub(r"[^a-z0-9]", "_", mark) for mark in marks if mark]


def _are(names: Sequence[str]) -> str:
    return f"is {names[0]}" if len(names) == 1 else f"are {', '.join(names)}"

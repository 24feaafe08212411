"""Grids that no paper prints as they stand: rows around a paper's setting, trained as the recipe says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.presets import Recipe
from search_spaces.papers.tables import paper_table
from search_spaces.table import Axis, Cell, Published, Scatter, Setting, Table


@dataclass(frozen=True, kw_only=True)
class GridRow:
    """A training, and what it is compared by."""

    name: str
    settings: Mapping[str, Setting]
    run: RunConfig
    published: Mapping[int, tuple[Published, ...]] = field(default_factory=dict[int, tuple[Published, ...]])
    """Printed values by the test's number of shots."""


def own_grid(
    name: str,
    title: str,
    rows: Sequence[GridRow],
    recipe: Recipe,
    *,
    shots: Sequence[int] = (1, 5),
    axis: Axis | Scatter | None = None,
    reference: str | None = None,
    notes: tuple[str, ...] = (),
) -> Table:
    """A table with a column for each of ``shots`` in tests. ``reference``: the paper's own row."""
    cells = [
        Cell(
            row=row.name,
            column=f"{shot}-shot",
            settings=dict(row.settings),
            run=row.run,
            evaluation=EvalConfig(shot=shot, episodes=recipe.test_episodes),
            published=row.published.get(shot, ()),
        )
        for row in rows
        for shot in shots
    ]
    return Table(name=name, title=title, cells=tuple(cells), axis=axis, reference=reference, notes=notes)


def paper_grid(name: str, recipe: Recipe) -> Table:
    """A paper's table on the recipe's data set, which stands for all of the paper's."""
    return paper_table(name, lambda _: recipe, recipe.data.dataset)

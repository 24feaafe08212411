"""A printed table as one that can be run: a cell for each of the paper's own accuracies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fsar_core.config import EvalConfig, RunConfig
from search_spaces.papers import all_papers
from search_spaces.papers.backbones import backbone_notes
from search_spaces.papers.drawing import drawn
from search_spaces.papers.notes import notes
from search_spaces.papers.paper import RefusedError
from search_spaces.papers.places import columns, place
from search_spaces.papers.printed import PrintedCell, PrintedTable, printed_tables
from search_spaces.table import Cell, RecipeOf, Setting, Table, TableError, said


@dataclass(frozen=True)
class _Own:
    """An accuracy of the paper's own, with what it needs here."""

    printed: PrintedCell
    run: RunConfig
    evaluation: EvalConfig

    def number(self) -> tuple[str, str]:
        """Equal for cells that are one number here."""
        return self.run.run_id(), self.evaluation.eval_id(self.run)


def runnable_tables() -> tuple[str, ...]:
    """Names of those that hold accuracies of the paper's own."""
    return tuple(name for name, table in printed_tables().items() if table.own_accuracies())


def paper_table(name: str, recipe_of: RecipeOf, substitute: str | None = None) -> Table:
    """The table ``name``, e.g. ``sgtm/table5``, which must be one of ``runnable_tables``.

    Trainings, as in the papers, are one per configuration, training data set and shot. ``substitute``: the data set
    that stands for all those of the paper. Where several columns of the paper then ask for the same numbers, they are
    one column with all their printed values. Raises TableError with a line for every row that does not fit the recipe;
    rows that cannot be run for other reasons are left out and named in the table's notes.
    """
    printed = printed_tables()[name]
    own, refused = _resolved(printed, recipe_of, substitute)
    if not own:
        raise TableError([f"{name}: none of its rows can be run: {'; '.join(dict.fromkeys(refused.values()))}"])
    names = _column_names(own, substitute)
    cells = _cells(printed, own, names, substitute)
    rows = tuple(dict.fromkeys(cell.row for cell in cells))
    own_printed = tuple(one.printed for one in own)
    axis, extra = drawn(printed, own_printed, {one.printed.row: one.run for one in own})
    cells = tuple(cell.model_copy(update={"settings": {**cell.settings, **extra.get(cell.row, {})}}) for cell in cells)
    return Table(
        name=name,
        title=f"{printed.source()}: {printed.title}" + (f", on {substitute} instead" if substitute else ""),
        cells=cells,
        axis=axis,
        reference=rows[0] if len(rows) > 1 and printed.kind != "sota" else None,
        notes=(
            *backbone_notes((one.printed, one.run) for one in own),
            *notes(printed, own_printed, refused, substitute),
        ),
    )


def _resolved(
    printed: PrintedTable, recipe_of: RecipeOf, substitute: str | None
) -> tuple[list[_Own], Mapping[str, str]]:
    """What can be run, and by row why it cannot."""
    paper = all_papers()[printed.paper]
    found: list[_Own] = []
    refused: dict[str, str] = {}
    faults: dict[str, None] = {}
    for cell in printed.own_accuracies():
        where, shot = place(cell, substitute), cell.shot or 1
        try:
            recipe = recipe_of(where.trained).with_shot(shot)
            resolved = paper.resolve(cell.settings, recipe)
        except RefusedError as error:
            refused[cell.row] = str(error)
            continue
        except ValueError as error:
            faults[f"{printed.name}, {cell.row}: {said(error)}"] = None
            continue
        evaluation = EvalConfig(
            dataset=None if where.tested == where.trained else where.tested,
            way=cell.way or 5,
            shot=shot,
            episodes=recipe.test_episodes,
            method=resolved.measured,
            max_seconds=where.max_seconds,
        )
        found.append(_Own(cell, resolved.run, evaluation))
    if faults:
        raise TableError(faults)
    return found, refused


def _column_names(own: list[_Own], substitute: str | None) -> list[str]:
    cells = [one.printed for one in own]
    names = columns(cells, with_dataset=substitute is None)
    numbers: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for one, name in zip(own, names, strict=True):
        numbers.setdefault((one.printed.row, name), set()).add(one.number())
    if any(len(different) > 1 for different in numbers.values()):
        return columns(cells, with_dataset=True)
    return names


def _cells(printed: PrintedTable, own: list[_Own], names: list[str], substitute: str | None) -> tuple[Cell, ...]:
    varied = dict(_varied([one.printed for one in own]))
    cells: dict[tuple[str, str], Cell] = {}
    for one, column in zip(own, names, strict=True):
        published = printed.published(one.printed)
        place = (one.printed.row, column)
        if place in cells:
            both = (*cells[place].published, published)
            cells[place] = cells[place].model_copy(update={"published": both})
            continue
        cells[place] = Cell(
            row=one.printed.row,
            column=column,
            settings=_settings(one.printed, varied, substitute or one.printed.dataset),
            run=one.run,
            evaluation=one.evaluation,
            published=(published,),
        )
    return tuple(cells.values())


def _varied(cells: list[PrintedCell]) -> Iterator[tuple[str, None]]:
    """Names of the settings that are not the same in all cells."""
    for name in dict.fromkeys(name for cell in cells for name in cell.settings):
        if len({cell.settings.get(name) for cell in cells}) > 1:
            yield name, None


def _settings(cell: PrintedCell, varied: Mapping[str, None], dataset: str) -> dict[str, Setting]:
    """What the paper varies, in its words, and the place of the number."""
    found: dict[str, Setting] = {"row": cell.row, "method": cell.method, "dataset": dataset}
    found |= {"way": cell.way or 5, "shot": cell.shot or 1}
    for name in varied:
        value = cell.settings.get(name)
        if value is not None and name not in found:
            found[name] = "{" + ",".join(map(str, value)) + "}" if isinstance(value, tuple) else value
    return found

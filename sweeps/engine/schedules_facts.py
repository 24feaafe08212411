"""With which code and on which machines a rerun took place."""

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from sweeps.engine.records import Environment
from sweeps.engine.reruns import Code, Machines, Number
from sweeps.engine.results import CellResult, TableResult
from sweeps.engine.source_hash import source_hash
from sweeps.engine.sweep import git_commit

_LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "pyarrow", "ray", "decord", "av")
"""Of which numbers can depend; decord is not on every platform."""


def code() -> Code:
    """Of this process."""
    commit = git_commit()
    return Code(git_commit=commit.removesuffix("+changes"), dirty=commit.endswith("+changes"), source=source_hash())


def machines(results: Iterable[TableResult]) -> Machines:
    """``trained_on``: of the trainings behind ``results``, in their order."""
    environments: dict[str, Environment] = {}
    for cell in _cells(results):
        for seed in cell.done:
            if seed.trained is not None:
                environments.setdefault(seed.trained.environment.canonical_json(), seed.trained.environment)
    return Machines(
        host=platform.node(),
        python=platform.python_version(),
        platform=platform.platform(),
        versions={name: found for name in _LIBRARIES if (found := _version(name)) is not None},
        trained_on=tuple(environments.values()),
    )


def numbers(results: Iterable[TableResult]) -> tuple[Number, ...]:
    """Of every cell and seed that has one."""
    return tuple(
        Number(
            table=result.table.name,
            row=cell.cell.row,
            column=cell.cell.column,
            seed=seed.seed,
            run=seed.key,
            eval_id=seed.eval_id,
            fingerprint=seed.record.fingerprint,
            accuracy=seed.record.accuracy,
            printed=None if cell.printed is None else cell.printed.percent,
        )
        for result in results
        for cell in result.cells
        for seed in cell.done
        if seed.record is not None
    )


def _cells(results: Iterable[TableResult]) -> Iterator[CellResult]:
    return (cell for result in results for cell in result.cells)


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None

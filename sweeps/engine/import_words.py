"""Says of numbers that they were not made on this storage."""

from collections import Counter

from sweeps.engine.results import SeedResult, TableResult


def imported_line(result: TableResult) -> str | None:
    """How many numbers of a table came with which bundles; None without any."""
    sources = Counter(source for cell in result.cells for seed in cell.done if (source := imported_from(seed)))
    numbers = sum(len(cell.done) for cell in result.cells)
    told = "; ".join(f"{count} of {numbers} with {source}" for source, count in sorted(sources.items()))
    return f"Imported numbers, not made on this storage: {told}." if told else None


def imported_from(seed: SeedResult) -> str | None:
    """The bundle that brought the number, else the one that brought the weights that it was measured on."""
    own = None if seed.record is None else seed.record.origin.imported
    if own is None and seed.trained is not None and seed.trained.origin.imported is not None:
        return f"{seed.trained.origin.imported} (the weights; measured here)"
    return own

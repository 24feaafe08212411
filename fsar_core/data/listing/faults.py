"""Faults of lists: one line for each, those that repeat from line to line told once."""

from collections import defaultdict


class Faults:
    def __init__(self) -> None:
        self._places: dict[str, list[str]] = defaultdict(list)

    def add(self, place: str, message: str) -> None:
        """``place``: file and line, or whatever the fault is of."""
        self._places[message].append(place)

    def lines(self) -> list[str]:
        """In the order in which they were met."""
        return [f"{_where(places)}: {message}" for message, places in self._places.items()]

    def __bool__(self) -> bool:
        return bool(self._places)


def _where(places: list[str]) -> str:
    return places[0] if len(places) == 1 else f"{places[0]} and {len(places) - 1:,} more"

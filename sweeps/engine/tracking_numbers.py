"""Sets of numbers as short texts: thousands of trials in one tag."""

from collections.abc import Iterable


def ranges(numbers: Iterable[int]) -> str:
    """``0-4 6 8-9``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def in_ranges(text: str) -> set[int]:
    """The numbers of ``ranges``. Raises ValueError where the text is none."""
    found: set[int] = set()
    for part in text.split():
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return found

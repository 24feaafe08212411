"""How long runs take on so many workers: each starts when a worker is free and what it needs is done."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush


def wall_seconds(seconds: Mapping[str, float], needs: Mapping[str, Sequence[str]], at_once: int) -> float:
    """End of the last run, by list scheduling in the order of ``seconds``, as a launch hands out runs: no worker waits
    while a run could start. That is at most twice the shortest time there is, and never below total / ``at_once``.

    Needs that ``seconds`` does not name are done already. Raises ValueError for runs that need each other in a circle.
    """
    places = {key: i for i, key in enumerate(seconds)}
    keys = tuple(seconds)
    open_needs = {key: len(own) for key in keys if (own := _known(needs.get(key, ()), places))}
    waiting = _waiting_for(keys, needs, places)
    ready = [place for key, place in places.items() if key not in open_needs]
    heapify(ready)
    running: list[tuple[float, int]] = []
    now, ended = 0.0, 0
    while ready or running:
        while ready and len(running) < at_once:
            place = heappop(ready)
            heappush(running, (now + seconds[keys[place]], place))
        now, place = heappop(running)
        ended += 1
        for later in waiting.get(keys[place], ()):
            open_needs[later] -= 1
            if not open_needs[later]:
                heappush(ready, places[later])
    if ended < len(keys):
        raise ValueError(f"{len(keys) - ended} of {len(keys)} runs need each other in a circle; name others")
    return now


def _waiting_for(
    keys: Iterable[str], needs: Mapping[str, Sequence[str]], places: Mapping[str, int]
) -> dict[str, list[str]]:
    """By need, the runs that wait for it."""
    found: dict[str, list[str]] = {}
    for key in keys:
        for need in _known(needs.get(key, ()), places):
            found.setdefault(need, []).append(key)
    return found


def _known(needs: Sequence[str], places: Mapping[str, int]) -> set[str]:
    return {need for need in needs if need in places}

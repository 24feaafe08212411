"""What a drift check says in sentences."""

from collections import Counter
from collections.abc import Sequence

from sweeps.engine.drift_equality import Equality
from sweeps.engine.drift_judging import Judged, Judgement, Standing
from sweeps.engine.drift_measured import Place
from sweeps.engine.report import points

_SHOWN = 3
_WORDS: dict[Standing, str] = {
    "regression": "below the band again",
    "suspicious": "below the band",
    "better": "above the band",
    "insufficient data": "without a band yet",
    "fine": "fine",
}


def headline(new: Judgement, same: Equality | None, *, unexplained: bool) -> str:
    """What the verdict rests on, and the worst cells by name."""
    counts = Counter(own.standing for own in new.cells.values())
    parts = [f"{counts[standing]} {words}" for standing, words in _WORDS.items() if counts[standing]]
    worst = _worst(new)
    if not new.cells:
        return "The rerun has no number."
    means = sum(place not in new.seen.cells for place in new.cells)
    counted = _cells(len(new.seen.cells)) + (f" and {means} mean{'s' * (means > 1)} over a table" if means else "")
    text = f"Of {counted}: {', '.join(parts)}."
    text += f" Furthest below: {'; '.join(worst)}." if worst else ""
    text += f" Bitwise equal to {same.other.rerun.slot}." if same is not None and same.bitwise else ""
    return text + (" Repeated trainings gave other numbers although nothing changed." if unexplained else "")


def sameness(same: Equality | None, *, unexplained: bool) -> str:
    """Of trainings that were repeated with their very settings and seed."""
    if same is None:
        return ""
    of = f"{_numbers(same.compared)} of trainings repeated with the settings and seeds of {same.other.rerun.slot}"
    if same.bitwise:
        return f"Bitwise equal: {of} are the same in every test episode, and so are all losses."
    differ = len(same.outcomes_differ)
    where = "; ".join(f"{place.table}: {place}, seed {seed}" for place, seed in same.outcomes_differ[:_SHOWN])
    where = f" ({where}{f'; {differ - _SHOWN} more' if differ > _SHOWN else ''})" if differ else ""
    why = "although nothing changed" if unexplained else "as something changed, or as arithmetic on a GPU may"
    text = f"Not bitwise equal, {why}: of {of}, {differ} differ in test episodes{where}"
    if not same.losses_differ:
        return f"{text}. The trainings are equal to the last digit: look at what happens at test time."
    return f"{text}; {same.losses_differ} come from trainings whose losses differ."


def notes(history: Sequence[Judgement]) -> tuple[str, ...]:
    """Of the last rerun: what it lacks, what was left out, what to do."""
    new = history[-1]
    return (*_missing(new), *_lacking(new), *_left_out(history), *_to_do(history))


def _missing(new: Judgement) -> list[str]:
    rerun, found = new.seen.rerun, []
    if rerun.cells_done < rerun.cells:
        lacking = rerun.cells - rerun.cells_done
        found.append(
            f"{lacking} of {_cells(rerun.cells)} lack numbers in this rerun: they failed or were not finished."
        )
    if rerun.exit_code:
        found.append(f"The rerun ended with exit code {rerun.exit_code}.")
    return found


def _lacking(new: Judgement) -> list[str]:
    reasons: dict[str, list[Place]] = {}
    for place, own in new.cells.items():
        if own.lacks:
            reasons.setdefault(", ".join(own.lacks), []).append(place)
    found = [f"Insufficient data, {why}: {_named(places, len(new.cells))}." for why, places in reasons.items()]
    if new.cells and all("show the same trainings" in "".join(own.lacks) for own in new.cells.values()):
        found.append("The rerun trained nothing of its own: only `fresh = true` tells what code and data do today.")
    return found


def _left_out(history: Sequence[Judgement]) -> list[str]:
    earlier = history[:-1]
    out = [own.seen.rerun.slot for own in earlier if not own.counts]
    found = [f"Not compared with, as they left the band: {', '.join(out)}."] if out else []
    lost = {own.seen.rerun.slot: own.seen.lost for own in history if own.seen.lost}
    if lost:
        told = ", ".join(f"{count} of {slot}" for slot, count in lost.items())
        found.append(f"Numbers without a readable record, left out: {told}.")
    return found


def _to_do(history: Sequence[Judgement]) -> list[str]:
    new, slot = history[-1], history[-1].seen.rerun.slot
    if any(own.standing == "regression" for own in new.cells.values()):
        return [f"If this level is what you want, compare later reruns with it alone: --since {_since(history)}."]
    if not any(own.standing == "better" for own in new.cells.values()):
        return []
    text = f"Better than honest reruns are. If it is meant, compare later reruns with it alone: --since {slot}"
    return [f"{text}; if it is not, look for test data in training."]


def _since(history: Sequence[Judgement]) -> str:
    """The first of the reruns at the end that left the band."""
    first = history[-1].seen.rerun.slot
    for own in reversed(history):
        if own.counts:
            break
        first = own.seen.rerun.slot
    return first


def _worst(new: Judgement) -> list[str]:
    below = {place: own for place, own in new.cells.items() if own.standing in ("regression", "suspicious")}
    order = sorted(below.items(), key=lambda item: _apart(item[1]))
    return [f"{place.table}: {place} {points(_apart(own), 2)} points" for place, own in order[:_SHOWN]]


def _apart(own: Judged) -> float:
    return 0.0 if own.band is None else own.band.value - own.band.centre


def _named(places: Sequence[Place], of: int) -> str:
    if len(places) == of:
        return "all cells" if of > 1 else "the only cell"
    names = [f"{place.table}: {place}" for place in places[:_SHOWN]]
    return "; ".join(names) + (f"; {len(places) - _SHOWN} more" if len(places) > _SHOWN else "")


def _cells(count: int) -> str:
    return f"{count} cell{'s' * (count != 1)}"


def _numbers(count: int) -> str:
    return f"{count} number{'s' * (count != 1)}"

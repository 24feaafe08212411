"""The newest rerun of a schedule against those before it and against what is printed."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sweeps.engine import drift_notes
from sweeps.engine.drift_band import FALSE_ALARMS
from sweeps.engine.drift_changes import changes
from sweeps.engine.drift_equality import Equality, equality
from sweeps.engine.drift_judging import Judged, Judgement, Verdict, judged, mean_over
from sweeps.engine.drift_measured import Measured, Place, Seen, seen
from sweeps.engine.drift_report import DriftCell, Point, Report, RerunVerdict
from sweeps.engine.reruns import Rerun
from sweeps.engine.site import BadRequest
from sweeps.engine.statistics.intervals import pooled_spread
from sweeps.engine.statistics.outcomes import Outcomes
from sweeps.engine.statistics.reproduction import Verdict as PrintedVerdict
from sweeps.engine.statistics.reproduction import reproduction

Count = Callable[[int, int], None]


def chosen(found: Sequence[Rerun], name: str, *, slot: str | None, since: str | None) -> list[Rerun]:
    """The reruns that a check looks at, the one that is checked last; by default the newest.

    ``since``: earlier ones are left out. Raises BadRequest where there is no such rerun.
    """
    slots = [rerun.slot for rerun in found]
    if not slots:
        raise BadRequest([f"schedule {name!r} must have a finished rerun, and has none; `fsar schedule run {name}`"])
    given = (("--slot", slot), ("--since", since))
    faults = [
        f"{flag} must be a finished rerun of {name!r}, got {value!r}; there are {', '.join(slots[-10:])}"
        for flag, value in given
        if value is not None and value not in slots
    ]
    if not faults and since is not None and since > (slot or slots[-1]):
        faults.append(f"--since must not be after the rerun that is checked, {slot or slots[-1]}; got {since}")
    if faults:
        raise BadRequest(faults)
    return [rerun for rerun in found if (since or "") <= rerun.slot <= (slot or slots[-1])]


def drift(found: Sequence[Rerun], count: Count = lambda done, total: None) -> Report:
    """Of the last of these reruns, which are given oldest first. Raises BadRequest for records that are gone or damaged
    without which it cannot be told what changed."""
    looked: list[Seen] = []
    for done, rerun in enumerate(found, start=1):
        looked.append(seen(rerun))
        count(done, len(found))
    history = judged(looked)
    new = history[-1]
    before = _last_fine(history[:-1])
    try:
        changed = () if before is None else changes(before, new.seen)
        same = equality(new.seen, [own.seen for own in history[:-1] if own.counts])
        unexplained = same is not None and not same.bitwise and not _explained(same, new.seen)
        printed = _against_printed(new.seen)
    except (OSError, ValueError) as error:
        raise BadRequest([f"the records of the reruns must be readable to be compared: {error}"]) from error
    verdict = _verdict(new, same, unexplained=unexplained)
    return Report(
        schedule=new.seen.rerun.schedule,
        slot=new.seen.rerun.slot,
        verdict=verdict,
        says=drift_notes.headline(new, same, unexplained=unexplained),
        false_alarms=FALSE_ALARMS,
        cells=tuple(_cell(place, own, new, history, printed.get(place)) for place, own in new.cells.items()),
        since=None if before is None else before.rerun.slot,
        changes=changed,
        same=drift_notes.sameness(same, unexplained=unexplained),
        notes=drift_notes.notes(history),
        reruns=tuple(
            RerunVerdict(
                slot=own.seen.rerun.slot, verdict=own.verdict if own is not new else verdict, counts=own.counts
            )
            for own in history
        ),
        git_commit=new.seen.rerun.code.git_commit,
        tracking_run=new.seen.rerun.tracking_run,
    )


def _last_fine(history: Sequence[Judgement]) -> Seen | None:
    """Of those before it; where none has been judged fine, the last that nothing speaks against."""
    fine = [own for own in history if own.counts and own.verdict == "fine"]
    counting = [own for own in history if own.counts]
    return next((own.seen for own in reversed(fine or counting)), None)


def _explained(same: Equality, new: Seen) -> bool:
    """Whether anything is known that may make the numbers of repeated trainings differ."""
    gpu = any("cpu" not in own.device.casefold() for own in new.rerun.machines.trained_on)
    return gpu or any(change.explains for change in changes(same.other, new))


def _verdict(new: Judgement, same: Equality | None, *, unexplained: bool) -> Verdict:
    if unexplained and new.verdict in ("fine", "insufficient data"):
        return "suspicious"
    numbers = sum(len(cell.numbers) for cell in new.seen.cells.values())
    all_equal = same is not None and same.bitwise and same.compared == numbers
    return "fine" if all_equal and new.verdict == "insufficient data" else new.verdict


def _against_printed(new: Seen) -> Mapping[Place, PrintedVerdict]:
    """The rows of a column share their spread over seeds."""
    columns: dict[tuple[str, str], dict[Place, Measured]] = {}
    for place, cell in new.cells.items():
        columns.setdefault((place.table, place.column), {})[place] = cell
    found: dict[Place, PrintedVerdict] = {}
    for cells in columns.values():
        compared = {place: cell.printed for place, cell in cells.items() if cell.printed is not None}
        rows = {place: _outcomes(cell) for place, cell in cells.items()} if compared else {}
        spread = pooled_spread(rows.values())
        found |= {p: reproduction(rows[p], printed, spread=spread).verdict for p, printed in compared.items()}
    return found


def _outcomes(cell: Measured) -> Outcomes:
    return Outcomes(np.stack([cell.outcomes(seed) for seed in cell.seeds]))


def _cell(
    place: Place, own: Judged, new: Judgement, history: Sequence[Judgement], against: PrintedVerdict | None
) -> DriftCell:
    measured, band = new.seen.cells.get(place), own.band
    return DriftCell(
        table=place.table,
        row=place.row,
        column=place.column,
        standing=own.standing,
        value=own.sample.mean,
        seeds=own.sample.seeds,
        reruns=len(own.earlier),
        centre=None if band is None else band.centre,
        low=None if band is None else band.low,
        high=None if band is None else band.high,
        p=None if band is None else band.p,
        lacks=own.lacks,
        printed=None if measured is None else measured.printed,
        against_printed=against,
        series=tuple(_series(place, new, history)),
    )


def _series(place: Place, new: Judgement, history: Sequence[Judgement]) -> list[Point]:
    """Reruns that measured the same on the same test episodes."""
    of = [place] if place in new.seen.cells else new.averaged(place.table)
    met = {own: new.seen.cells[own].episodes_met for own in of}
    found: list[Point] = []
    for own in history:
        there = {place: cell.episodes_met for place in of if (cell := own.seen.cells.get(place))}
        sample = mean_over(own.seen, of) if there == met else None
        if sample is not None:
            slot, seeds = own.seen.rerun.slot, len(sample.seeds)
            found.append(Point(slot=slot, mean=sample.mean, seeds=seeds, counts=own.counts))
    return found

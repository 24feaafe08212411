"""Does `fsar drift` stay silent over honest reruns, and does it find a bug at test time? Prints Markdown.

  python benchmarks/drift.py [--honest 23] [--steps 60]      some 30 minutes of one core; a broken-off one goes on

Trains a toy table on MotionShapes again and again with other seeds, as a fresh rerun does, but in this process and
without Ray. Then come reruns whose test clips are read wrongly, by a patch of the loader in here: with their frames
shuffled, or with every second frame lost (the one before it comes twice). What all trainings need first, the pretrained
backbone, has a seed of its own and is trained once: on a CPU it would come out bitwise equal every time.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from motionshapes import plain
from rich.console import Console
from rich.progress import track

from fsar_core.config import EvalConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.matchers import Otam
from fsar_core.methods import sgtm
from fsar_core.presets import Recipe
from fsar_core.seeds import generator
from search_spaces.table import Cell, Table
from sweeps.engine.drift import drift
from sweeps.engine.drift_judging import Judgement, judged
from sweeps.engine.drift_measured import Seen, seen
from sweeps.engine.job import carry_out
from sweeps.engine.launch import jobs_of
from sweeps.engine.plan import Plan, asked, make_plan
from sweeps.engine.records import Store
from sweeps.engine.request import Prepared, Request, prepare
from sweeps.engine.reruns import Rerun, find_rerun, fresh_site, write
from sweeps.engine.results import collect
from sweeps.engine.schedules_facts import code, machines, numbers
from sweeps.engine.site import Site
from sweeps.engine.sweep import origin
from sweeps.engine.watch import Display

NAME = "toy"
EPISODES = 1000
Frames = Callable[[torch.Tensor, int], torch.Tensor]
"""(T, ...) frames of a test clip by its position, as a bug gives them."""


def shuffled(frames: torch.Tensor, position: int) -> torch.Tensor:
    return frames[torch.from_numpy(generator(0, "shuffled", position).permutation(len(frames)))]


def halved(frames: torch.Tensor, position: int) -> torch.Tensor:
    return frames[torch.arange(len(frames)) // 2 * 2]


BUGS: dict[str, Frames] = {"frames shuffled": shuffled, "every second frame lost": halved}
HONEST = ""
KINDS = (HONEST, *BUGS)


def grid(recipe: Recipe, steps: int) -> Table:
    short = recipe.episodes.training.model_copy(update={"steps": steps, "val_every": steps // 2})
    recipe = recipe.model_copy(update={"episodes": recipe.episodes.model_copy(update={"training": short})})
    rows = {
        "OTAM": plain(recipe, Otam.Config()),
        "transformer + OTAM": sgtm.run(recipe, sgtm.baseline(recipe.backbone)),
    }
    cells = [
        Cell(row=row, column=f"{shot}-shot", settings={}, run=run, evaluation=EvalConfig(shot=shot, episodes=EPISODES))
        for row, run in rows.items()
        for shot in (1, 5)
    ]
    return Table(name="benchmarks/drift", title="Drift", cells=tuple(cells))


@contextmanager
def reading(bug: Frames | None) -> Generator[None]:
    """Test clips as ``bug`` gives them."""
    read = ClipSource.test_videos

    def wrong(self: ClipSource, positions: Sequence[int], *args: object) -> torch.Tensor:
        videos = read(self, positions, *args)  # pyright: ignore[reportArgumentType] - handed on as they come
        if bug is None or self.split != "test":
            return videos
        return torch.stack([bug(own, int(position)) for own, position in zip(videos, positions, strict=True)])

    with patch.object(ClipSource, "test_videos", wrong):
        yield


def rerun(number: int, kind: str, site: Site, prepared: Prepared, table: Table) -> Rerun:
    """Trained and measured here, unless it is there already."""
    slot = f"2026{1 + KINDS.index(kind):02d}{1 + number:02d}T000000Z"
    found = find_rerun(site, NAME, slot)
    if found is not None:
        return found
    own, seeds = fresh_site(site, NAME, slot), (1000 * KINDS.index(kind) + number,)
    store, prints = Store(own.storage), prepared.fingerprints()
    with reading(BUGS.get(kind)):
        _carried_out(_plan(table, seeds, store, prints), own, Store(site.storage), prepared)
    result = collect(table, seeds, store, prints)
    assert result.state == "done"
    made = Rerun(
        schedule=NAME,
        slot=slot,
        storage=own.storage,
        tables=(table.name,),
        script=None,
        dataset="motionshapes",
        preset="laptop",
        seeds=seeds,
        fresh=True,
        code=code(),
        machines=machines([result]),
        fingerprints=prints,
        cells=len(table.cells),
        cells_done=len(table.cells),
        numbers=numbers([result]),
        started_ms=0,
        ended_ms=0,
        exit_code=0,
        tracking_run="none",
    )
    write(site, made)
    return made


def _plan(table: Table, seeds: tuple[int, ...], store: Store, prints: dict[str, str]) -> Plan:
    return make_plan(asked(table.cells, seeds), store, prints)


def _carried_out(plan: Plan, site: Site, shared: Store, prepared: Prepared) -> None:
    """Runs that others need are found in, or added to, the storage that all reruns share."""
    needed = {key for planned in plan.runs for key in planned.needs}
    for key in needed:
        place = site.storage / "runs" / key
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            shared.folder_of(key).path.mkdir(parents=True, exist_ok=True)
            place.symlink_to(shared.folder_of(key).path)
    for job in jobs_of(plan, site, origin(prepared)).values():
        carry_out(job, lambda step, points: None)


def alarms(history: Sequence[Judgement]) -> Counter[str]:
    """Verdicts of the reruns for which there is a band."""
    return Counter(own.verdict for own in history if own.verdict != "insufficient data")


def reordered(honest: Sequence[Seen], orders: int) -> Counter[str]:
    """As ``alarms``, over random orders of the same reruns."""
    found: Counter[str] = Counter()
    for order in range(orders):
        places = np.random.default_rng(order).permutation(len(honest))
        found.update(alarms(judged(honest[place] for place in places)))
    return found


def after(honest: Sequence[Seen], wrong: Sequence[Seen], known: int) -> str:
    """After how many wrong reruns which verdict came, behind the first ``known`` honest ones."""
    history = judged([*honest[:known], *wrong])[known:]
    return ", ".join(own.verdict for own in history)


def told(honest: Sequence[Rerun], wrong: dict[str, list[Rerun]]) -> None:
    looked = [seen(own) for own in honest]
    bad = {kind: [seen(own) for own in found] for kind, found in wrong.items()}
    print("| cell | mean of honest reruns | sd | " + " | ".join(bad) + " |\n|" + "---|" * (3 + len(bad)))
    for place in looked[0].cells:
        values = np.array([100 * own.cells[place].sample.mean for own in looked])
        others = [" ".join(f"{100 * own.cells[place].sample.mean:.1f}" for own in found) for found in bad.values()]
        print(f"| {place} | {values.mean():.2f} | {values.std(ddof=1):.2f} | {' | '.join(others)} |")
    print(f"\nHonest, in their order: {dict(alarms(judged(looked)))}")
    print(f"Honest, in 50 random orders: {dict(reordered(looked, 50))}")
    for kind, found in bad.items():
        for known in sorted({3, 6, 12, len(looked)}):
            if known <= len(looked):
                print(f"- {kind}, after {known} honest reruns: {after(looked, found, known)}")
    for kind, found in wrong.items():
        report = drift([*honest, *found])
        print(f"\n{kind}: {report.says}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--honest", type=int, default=23)
    parser.add_argument("--wrong", type=int, default=2, help="reruns with each bug")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("output/benchmark-drift"))
    given = parser.parse_args()
    console = Console(stderr=True)
    prepared = prepare(Request(seeds=1), Display(console))
    # Features are kept by weights, not by the code that reads clips: a shared store would hide the bug.
    own = {"storage": given.out.absolute() / f"steps{given.steps}", "features_gib": 0.0}
    site = prepared.site.model_copy(update=own)
    table = grid(prepared.recipe_of("motionshapes"), given.steps)
    wanted = [(HONEST, number) for number in range(given.honest)]
    wanted += [(kind, number) for kind in BUGS for number in range(given.wrong)]
    made: dict[str, list[Rerun]] = {}
    for kind, number in track(wanted, "reruns", console=console):
        made.setdefault(kind, []).append(rerun(number, kind, site, prepared, table))
    told(made.pop(HONEST), made)


if __name__ == "__main__":
    main()

"""What was asked for, and everything that can be wrong with it, found before anything is scheduled."""

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import ValidationError

from fsar_core.backbones import Pretrained, PretrainedConfig, WeightsError, fitting_weights
from fsar_core.config import RunConfig
from fsar_core.data.clip_index import BadDataset, ClipIndex
from fsar_core.data.config import DATASET_NAME
from fsar_core.data.datasets import open_index
from fsar_core.presets import PRESETS, default_preset
from fsar_core.presets.coding import with_jpeg
from search_spaces.table import RecipeOf, TableError
from sweeps.engine.data_faults import Wanted, data_faults, datasets_of, subset_lines
from sweeps.engine.records import bytes_free
from sweeps.engine.reruns import Apart
from sweeps.engine.run_masks import mask_faults, mask_fingerprint, masks_key
from sweeps.engine.search_asked import SearchAsked
from sweeps.engine.selection_words import chosen_on_test
from sweeps.engine.site import BadRequest, Site, described, load_site
from sweeps.engine.watch import Display

OWN_DATA = "own_data"
"""Stands for the data set of a request whose tables are each on their own."""
_ABSENT = "absent"
_LEAST_FREE = 1 << 30
_MAX_SEEDS = 100

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Request:
    """The flags that every sweep script has."""

    site: str = "laptop"
    dataset: str | None = "motionshapes"
    """None: each run is on the data set that its table names."""
    preset: str | None = None
    """None: the site's, else the one that suits the data set."""
    seeds: int | None = 2
    """Trainings per row. None: as many as the site says."""
    search: SearchAsked | None = None
    """None: the table."""
    fresh: bool = False
    jpeg: int | None = None
    """Quality at which frames are stored; None: exact ones."""
    only_planned: bool = False
    """Nothing will be started, so that data sets, masks and weights of the papers may be missing; they are named."""
    only_recorded: bool = False
    """Records are looked at: what only a training needs may be missing."""
    faults: tuple[str, ...] = ()
    """What is wrong with flags that only one command has; nothing else is asked for then."""

    def with_fault(self, fault: str) -> "Request":
        return replace(self, faults=(*self.faults, fault))


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A request that was found good so far, with the clips that it will use."""

    site: Site
    dataset: str
    """What was asked for; ``OWN_DATA`` where every table is on its own."""
    recipe_of: RecipeOf
    preset: str
    indices: Mapping[str, ClipIndex]
    """By data set, of all that runs are trained or tested on."""
    seeds: tuple[int, ...]
    fresh: bool
    masks: Mapping[str, str]
    """By data set, the fingerprint of the instance masks of its train clips, where a run needs them."""
    absent: tuple[str, ...]
    """Data sets that are not here, of a request that only plans."""
    apart: Apart | None = None
    """Where it stands in MLflow; None: in the record."""

    def fingerprints(self) -> dict[str, str]:
        """By data set; where runs need instance masks, theirs too (``masks_key``)."""
        own = {name: index.fingerprint for name, index in self.indices.items()} | dict.fromkeys(self.absent, _ABSENT)
        return own | {masks_key(name): found for name, found in self.masks.items()}


def prepare(request: Request, display: Display, asks: Callable[[RecipeOf], Wanted] = lambda _: []) -> Prepared:
    """Checks flags, site, disk, data sets and what is asked of them. Raises BadRequest with all faults together.

    ``asks`` gives the runs of the request; its ValidationError or TableError is a fault like others.
    """
    faults: list[str] = []
    site = _tried(faults, lambda: load_site(request.site))
    preset = request.preset or (site and site.preset) or default_preset(request.dataset or "")
    faults[:0] = _flag_faults(request, preset)
    places = [] if site is None else storage_faults(site.storage) + storage_faults(site.cache)
    unwritable = [fault for fault in places if "cannot be written" in fault]
    faults += unwritable if request.only_recorded else places
    recipe_of: RecipeOf = lambda dataset: with_jpeg(PRESETS[preset](dataset), request.jpeg)  # noqa: E731 - a closure
    own = request.dataset
    wanted: Wanted = []
    if preset in PRESETS and not request.faults and (own is None or re.fullmatch(DATASET_NAME, own)):
        wanted = _asked(faults, asks, recipe_of)
    names = dict.fromkeys((own, *datasets_of(wanted)) if own else datasets_of(wanted))
    lacking: list[str] = [] if request.only_planned else faults
    indices = {} if site is None else _opened(lacking if own is None else faults, site, names, display, not unwritable)
    faults += data_faults(indices, wanted) + search_faults(request, preset, wanted)
    lacking += [] if request.only_recorded else _mask_and_weight_faults(wanted, site, indices)
    if faults or site is None:
        raise BadRequest(faults)
    _tell_left_out(indices, wanted, lacking, display)
    return Prepared(
        site=site,
        dataset=own or OWN_DATA,
        recipe_of=recipe_of,
        preset=preset if request.jpeg is None else f"{preset}-jpeg{request.jpeg}",
        indices=indices,
        seeds=tuple(range(site.seeds if request.seeds is None else request.seeds)),
        fresh=request.fresh,
        absent=tuple(name for name in names if name not in indices),
        masks={} if lacking or request.only_recorded else _masks(site, indices, wanted),
    )


def _asked(faults: list[str], asks: Callable[[RecipeOf], Wanted], recipe_of: RecipeOf) -> Wanted:
    try:
        return asks(recipe_of)
    except ValidationError as error:
        faults += [f"the grid of this sweep: {line}" for line in described(error)]
    except TableError as error:
        faults += error.faults
    return []


def _opened(
    faults: list[str], site: Site, datasets: Iterable[str], display: Display, writable: bool
) -> dict[str, ClipIndex]:
    """The data sets that can be opened; the others are faults. Where nothing can be written, they are not opened."""
    found: dict[str, ClipIndex] = {}
    for name in datasets:
        place = _tried(faults, lambda name=name: site.place(name))
        if place is not None and writable:
            index = _tried(faults, lambda place=place: open_index(place, display.counting))
            found |= {} if index is None else {name: index}
    return found


def _mask_and_weight_faults(wanted: Wanted, site: Site | None, indices: Mapping[str, ClipIndex]) -> list[str]:
    if site is None:
        return []
    faults: list[str] = []
    for name, index in indices.items():
        faults += mask_faults(site.place(name), index, _trained_on(name, wanted))
    return faults + weight_faults(site, (run for run, _ in wanted))


def _masks(site: Site, indices: Mapping[str, ClipIndex], wanted: Wanted) -> dict[str, str]:
    found = {
        name: mask_fingerprint(site.place(name), index, _trained_on(name, wanted)) for name, index in indices.items()
    }
    return {name: fingerprint for name, fingerprint in found.items() if fingerprint is not None}


def _trained_on(dataset: str, wanted: Wanted) -> Iterator[RunConfig]:
    return (run for run, _ in wanted if run.data.dataset == dataset)


def search_faults(request: Request, preset: str, wanted: Wanted) -> list[str]:
    """Why a search cannot have these runs: it looks at val alone."""
    if request.search is None or not any(chosen_on_test(run) for run, _ in wanted):
        return []
    honest = [name for name, own in PRESETS.items() if own(request.dataset or "").selection.on == "val"]
    return [
        f"--search looks at val only, but preset {preset!r} chooses weights on test; "
        f"search with a preset that does not: {', '.join(honest)}"
    ]


def _tell_left_out(indices: Mapping[str, ClipIndex], wanted: Wanted, lacking: list[str], display: Display) -> None:
    """Videos that cannot be read, how large subsets of test clips are, and what is planned without."""
    lines = [f"not here, planned without: {fault}" for fault in lacking]
    for index in indices.values():
        if index.excluded:
            lines.append(f"left out, because they cannot be read: {len(index.excluded)} videos of {index.dataset}")
            lines += [f"  {name}: {reason}" for name, reason in index.excluded]
    here = [own for own in wanted if own[1] is None or (own[1].dataset or own[0].data.dataset) in indices]
    lines += subset_lines(indices, here)
    if lines:
        display.console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _flag_faults(request: Request, preset: str) -> list[str]:
    faults = list(request.faults)
    if request.seeds is not None and not 1 <= request.seeds <= _MAX_SEEDS:
        faults.append(f"--seeds must be between 1 and {_MAX_SEEDS}, got {request.seeds}")
    if request.search and request.fresh:
        faults.append(
            "--fresh repeats the trainings of a table, a search goes on with its study; leave one of them out"
        )
    if request.jpeg is not None and not 1 <= request.jpeg <= 100:
        faults.append(f"--jpeg must be a quality from 1 to 100, got {request.jpeg}")
    if preset not in PRESETS:
        faults.append(f"--preset must be one of {', '.join(sorted(PRESETS))}, got {preset!r}")
    return faults


def weight_faults(site: Site, runs: Iterable[RunConfig]) -> list[str]:
    """Pretrained weights that runs start from and this machine lacks. Workers of a cluster look for themselves."""
    networks: dict[str, tuple[Pretrained, PretrainedConfig]] = {}
    seen: set[str] = set()
    waiting = list(runs) if site.ray == "local" else []
    while waiting:
        run = waiting.pop()
        waiting += [need.run for need in run.needs]
        parts = repr((run.method.backbone, run.method.frame_sampler, run.method.losses))
        if parts not in seen:
            seen.add(parts)
            with torch.device("meta"):  # shapes are all that is asked for
                method = run.method.build(frames=run.data.frames, crop=run.data.crop, classes=2)
            networks |= {repr(config): (network, config) for network, config in method.pretrained()}
    faults: dict[str, None] = {}
    for network, config in networks.values():
        try:
            fitting_weights(network, config, site.weights)
        except WeightsError as error:
            faults[str(error)] = None
    return list(faults)


def storage_faults(root: Path) -> list[str]:
    """Why results cannot be kept in a folder; it is created if it can be."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=root) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return [f"{root} cannot be written: {error.strerror or error}; free it or name another folder in the site file"]
    free = bytes_free(root)
    if free < _LEAST_FREE:
        return [f"{root} has {free / 2**30:.2f} GiB free; at least {_LEAST_FREE / 2**30:.0f} GiB are needed"]
    return []


def _tried(faults: list[str], action: Callable[[], T]) -> T | None:
    try:
        return action()
    except BadRequest as error:
        faults += error.faults
    except BadDataset as error:
        faults.append(str(error))
    except OSError as error:
        faults.append(f"{error.filename}: {error.strerror or error}; the data set must be readable, or be made there")
    return None

"""Facts of a machine or cluster: where data, records and services are, what a run may use. Not part of a run's id."""

import json
import re
import tomllib
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError, field_validator, model_validator

from fsar_core.data.config import DATASET_NAME
from fsar_core.data.datasets import DatasetPlace
from fsar_core.data.manifest import BadManifest, manifest_path, read_facts
from fsar_core.execution import Execution, Recompute
from fsar_core.features import FeatureStore
from fsar_core.frozen import Frozen
from fsar_core.precision import Precision
from sweeps.engine.credentials import MissingVariablesError, expanded, hide_credentials, holds_password

SITES = Path(__file__).resolve().parents[2] / "cluster" / "sites"


class BadRequest(Exception):  # noqa: N818 - what it says where it is raised: the request cannot be carried out
    """All that is wrong with a request, one line per fault. Raised before anything is scheduled."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class DatasetEntry(Frozen):
    """A data set on this machine: ``root/{train,val,test}/<class>/<video>``."""

    root: Path
    exclude_unreadable: bool = False
    """True: videos that cannot be read are left out, and listed. False: they stop the request."""
    masks: Path | None = None
    """Folder of instance masks, for methods that train with them. None: ``masks`` in ``root``."""


class Site(Frozen):
    """One TOML file; relative paths start at the current folder."""

    storage: Path = Path("output")
    """Records, checkpoints, tables. Must be shared by all nodes of a cluster."""
    cache: Path = Path(".data/cache")
    """Decoded frames, indices and features, local to each node."""
    features_gib: float = Field(default=20, ge=0)
    """At most so much of ``cache`` for features of clips, which later evaluations, and trainings on a frozen backbone,
    read again; 0: none."""
    imports: Path = Path(".data/imports")
    """What `fsar data import` writes; these data sets need no entry in ``datasets``. Must be shared by all nodes."""
    datasets: dict[Annotated[str, Field(pattern=DATASET_NAME)], DatasetEntry]
    weights: Path | None = None
    """Folder of pretrained weights, for machines without internet."""
    tracking_uri: str | None = None
    """MLflow. None: an SQLite file in ``storage``. ``${NAME}`` stands for an environment variable."""
    study_uri: str | None = None
    """Optuna. None: an SQLite file in ``storage``. ``${NAME}`` as above."""
    ray: Literal["local", "auto"] = "local"
    """``local``: a Ray of its own on this machine. ``auto``: the running cluster (what ``ray submit`` needs)."""
    cpus_per_run: float = Field(default=1, gt=0)
    gpus_per_run: float = Field(default=0, ge=0)
    """Fractions share a GPU. ``"auto"`` in a file: 1, and ``pack_gpus``."""
    pack_gpus: bool = False
    """Each run asks for the part of a GPU that its counted memory needs, ``gpus_per_run`` at most."""
    gpu_gib: float | None = Field(default=None, gt=0)
    """Memory of the smallest GPU, GiB. None: what this machine's GPUs have; needed where the driver's machine has none
    and GPUs are packed."""
    preset: str | None = None
    """Where none is named. None: the one that suits the data set."""
    seeds: int = Field(default=3, ge=1, le=100)
    """Trainings per row of the papers' tables, where no number is asked for."""
    precision: Precision = "fp32"
    recompute: Recompute = "auto"
    """Backbones keep less for their gradients and compute it again. ``auto``: on a GPU where a step would not fit."""
    frames_at_once: int = Field(default=64, ge=1)
    """Of a backbone that recomputes and sees each frame by itself: frames whose activations live at a time."""
    prefetch: int = Field(default=2, ge=0, le=64)
    """Batches that a thread prepares ahead of the training; 0: none."""
    retries: int = Field(default=3, ge=0)
    """Restarts of a run whose worker died. Errors in the run itself are not repeated, but for one in the way of
    memory: that run is tried once more, alone on a GPU."""
    checkpoint_seconds: float = Field(default=60, gt=0)
    """At most this much work is lost to a kill."""

    @field_validator("tracking_uri", "study_uri")
    @classmethod
    def _without_password(cls, uri: str | None) -> str | None:
        if uri is not None and holds_password(uri):
            way = "write ${NAME} in its place, or leave it out and set PGPASSWORD, or MLFLOW_TRACKING_USERNAME and "
            raise ValueError(f"a file must hold no password; {way}MLFLOW_TRACKING_PASSWORD, in the environment")
        return uri

    @model_validator(mode="before")
    @classmethod
    def _auto(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("gpus_per_run") == "auto":
            return {"pack_gpus": True, **given, "gpus_per_run": 1}
        return given

    def place(self, dataset: str) -> DatasetPlace:
        """An entry of the site file, else an import. Raises BadRequest, naming the known ones, where there is none."""
        if dataset not in self.datasets:
            return self._imported(dataset)
        entry = self.datasets[dataset]
        return DatasetPlace(
            name=dataset,
            root=entry.root,
            cache=self.cache,
            exclude_unreadable=entry.exclude_unreadable,
            workers=self.workers(),
            masks=entry.masks,
        )

    def workers(self) -> int:
        """Processes that read videos."""
        return max(2, int(self.cpus_per_run))

    def _imported(self, dataset: str) -> DatasetPlace:
        path = manifest_path(self.imports, dataset)
        if not re.fullmatch(DATASET_NAME, dataset) or not path.is_file():
            known, imported = (
                ", ".join(sorted(self.datasets)),
                sorted(path.stem for path in self.imports.glob("*.parquet")),
            )
            fault = f"data set {dataset!r} is not in the site file; it has: {known}; imported are: "
            fault += ", ".join(imported) or "none"
            near = get_close_matches(dataset, [*self.datasets, *imported], n=1)
            fault += f". Did you mean {near[0]!r}?" if near else "."
            way = f"Run `fsar data import {dataset} ROOT`, or add [datasets.{dataset}] with its root"
            raise BadRequest([f"{fault} {way}"])
        try:
            root = read_facts(path).root
        except BadManifest as error:
            raise BadRequest([str(error)]) from error
        return DatasetPlace(name=dataset, root=root, cache=self.cache, workers=self.workers(), manifest=path)

    def execution(self, device: torch.device) -> Execution:
        """How runs are carried out on ``device``."""
        return Execution(
            device=device,
            precision=self.precision,
            weights_folder=self.weights,
            recompute=self.recompute,
            frames_at_once=self.frames_at_once,
            share=min(1.0, self.gpus_per_run) if self.gpus_per_run else 1.0,
            prefetch=self.prefetch,
            features=self.features(),
        )

    def features(self) -> FeatureStore:
        """What runs on this machine share."""
        return FeatureStore(self.cache / "features", int(self.features_gib * 2**30))

    def mlflow_uri(self) -> str:
        """Of the store that is in use. Raises BadRequest where it names variables that are not set."""
        return _from_environment("tracking_uri", self.tracking_uri) or f"sqlite:///{self.storage / 'mlflow.db'}"

    def optuna_uri(self) -> str:
        """Of the database that is in use. Raises BadRequest as ``mlflow_uri`` does."""
        return _from_environment("study_uri", self.study_uri) or f"sqlite:///{self.storage / 'studies.db'}"


def load_site(name: str) -> Site:
    """A site by the name of a shipped file, or by path. Raises BadRequest with every fault of the file."""
    path = SITES / f"{name}.toml" if "/" not in name and not name.endswith(".toml") else Path(name)
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in SITES.glob("*.toml")))
        raise BadRequest([f"site {name!r}: no file {path}; name one of {shipped}, or give a path to a .toml file"])
    try:
        content = tomllib.loads(path.read_text())
        return _absolute(Site.model_validate_json(json.dumps(content, default=str)))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest([f"site {path}: not a TOML file: {error}"]) from error
    except OSError as error:
        raise BadRequest([f"site {path}: cannot be read: {error.strerror or error}"]) from error
    except ValidationError as error:
        raise BadRequest([f"site {path}: {line}" for line in described(error, _known_keys)]) from error


def _from_environment(key: str, uri: str | None) -> str | None:
    try:
        return None if uri is None else expanded(uri)
    except MissingVariablesError as error:
        raise BadRequest([f"{key} of the site {error}"]) from error


def _known_keys(where: tuple[int | str, ...]) -> str:
    return ", ".join(Site.model_fields if len(where) == 1 else DatasetEntry.model_fields)


def _absolute(site: Site) -> Site:
    """Workers have other current folders than the driver: paths are made absolute once, here."""
    datasets = {
        name: entry.model_copy(
            update={"root": _full(entry.root), "masks": None if entry.masks is None else _full(entry.masks)}
        )
        for name, entry in site.datasets.items()
    }
    weights = None if site.weights is None else _full(site.weights)
    own = {name: _full(getattr(site, name)) for name in ("storage", "cache", "imports")}
    return site.model_copy(update={**own, "datasets": datasets, "weights": weights})


def _full(path: Path) -> Path:
    return path.expanduser().absolute()


def described(error: ValidationError, known: Callable[[tuple[int | str, ...]], str] | None = None) -> list[str]:
    """Each fault as path, what must hold, and what came. ``known`` names the keys that are allowed beside a path."""
    lines: list[str] = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"]) or error.title
        if fault["type"] == "extra_forbidden" and known is not None:
            lines.append(f"{where}: there is no such key; it must be one of {known(fault['loc'])}")
        else:
            shown = fault["type"] != "extra_forbidden" and isinstance(fault["input"], str | int | float)
            what = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {what}" + (f", got {hide_credentials(repr(fault['input']))}" if shown else ""))
    return lines

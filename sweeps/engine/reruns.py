"""Reruns of a schedule: what is kept of each, in a folder of its own in the site's storage."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, ValidationError

from fsar_core.frozen import Frozen
from sweeps.engine.records import Environment, write_aside
from sweeps.engine.site import BadRequest, Site

SCHEDULE_NAME = r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"
"""It becomes a part of paths, of keys in MLflow and of names in Kubernetes."""
SLOT = r"^\d{8}T\d{6}Z$"
_FORMAT = "%Y%m%dT%H%M%SZ"
_FILE = "rerun.json"


class Code(Frozen):
    """What was run."""

    git_commit: str
    """``unknown`` outside a repository."""
    dirty: bool
    """With changes that are not committed."""
    source: str
    """Hash of all Python files of the project: it tells states apart that no commit names."""


class Machines(Frozen):
    """Where a rerun took place."""

    host: str
    """Of the driver."""
    python: str
    platform: str
    versions: dict[str, str]
    """Of the driver's libraries."""
    trained_on: tuple[Environment, ...]
    """Each environment of the trainings behind its numbers, once; reused trainings may come from others."""


class Number(Frozen):
    """A cell under one seed, and where its record lies. By table, row and column it is found again in other reruns,
    whatever code or data have become."""

    table: str
    row: str
    column: str
    seed: int
    run: str
    """Key of the training: ``Store(storage).folder_of(run)``."""
    eval_id: str
    fingerprint: str
    """Of the test data. Outcomes are ``RunFolder.outcomes(eval_id, fingerprint)``."""
    accuracy: float
    """A fraction."""
    printed: float | None
    """Per cent; None where the paper has no value that may be compared with."""


class Apart(Frozen):
    """Where a fresh rerun stands in MLflow: beside the record, which has the same trainings and tables."""

    schedule: str = Field(pattern=SCHEDULE_NAME)
    slot: str = Field(pattern=SLOT)
    parent: str
    """MLflow's id of the rerun's parent run."""

    @property
    def experiment(self) -> str:
        """Of its tables."""
        return f"reruns/{self.schedule}"

    def key(self, key: str) -> str:
        """What stands for a key of the record."""
        return f"{key}@{self.schedule}/{self.slot}"


class Rerun(Frozen):
    """A rerun that came to its end. Its records are those of ``Store(storage)``."""

    schedule: str = Field(pattern=SCHEDULE_NAME)
    slot: str = Field(pattern=SLOT)
    """The moment at which it was due, in UTC: ``20261121T030000Z``. Text order is time order."""
    storage: Path
    """Absolute where ``reruns`` gave it. Fresh: the rerun's own folder, else the site's storage."""
    tables: tuple[str, ...]
    """Names of the tables as they are recorded; of a script, its one table."""
    script: str | None
    dataset: str | None
    """None: each table on the data sets that it names."""
    preset: str
    """That was used, also where the schedule names none."""
    seeds: tuple[int, ...]
    fresh: bool
    """Everything was trained for this rerun; else recorded trainings were reused."""
    code: Code
    machines: Machines
    fingerprints: dict[str, str]
    """By data set; where runs need instance masks, theirs too."""
    cells: int
    cells_done: int
    """Those with a number of every seed."""
    numbers: tuple[Number, ...]
    """Of every cell and seed that has one, table after table."""
    started_ms: int
    """Unix time, of the start that came to the end."""
    ended_ms: int
    exit_code: int
    """0: complete. 1: cells have no number, or MLflow was not reached."""
    tracking_run: str
    """MLflow's id of the parent run in the experiment ``reruns/<schedule>``."""


def slot_of(moment: datetime) -> str:
    """Names a moment; seconds are its finest part."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def slot_moment(slot: str) -> datetime:
    """The moment, in UTC. Raises ValueError for text that is no slot."""
    return datetime.strptime(slot, _FORMAT).replace(tzinfo=UTC)


def rerun_folder(site: Site, name: str, slot: str) -> Path:
    """Where a rerun keeps its files; the storage of a fresh one."""
    return site.storage / "reruns" / name / slot


def write(site: Site, rerun: Rerun) -> None:
    """The mark that this slot is done. Its path is kept relative, so that a storage can be moved."""
    kept = rerun.model_copy(update={"storage": rerun.storage.relative_to(site.storage)})
    path = rerun_folder(site, rerun.schedule, rerun.slot) / _FILE
    write_aside(path, kept.model_dump_json(indent=1).encode() + b"\n")


def find_rerun(site: Site, name: str, slot: str) -> Rerun | None:
    """None where it has not come to its end. Raises BadRequest for a file that cannot be read."""
    path = rerun_folder(site, name, slot) / _FILE
    try:
        found = Rerun.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise BadRequest([_unreadable(path, error)]) from error
    storage = site.storage / found.storage
    if (found.schedule, found.slot) != (name, slot) or storage not in (site.storage, path.parent):
        raise BadRequest([f"{path} must be of schedule {name!r} and slot {slot}, and is of another; remove it"])
    return found.model_copy(update={"storage": storage})


def reruns(site: Site, name: str) -> list[Rerun]:
    """Those that came to their end, the oldest first. Raises BadRequest with every file that cannot be read."""
    found: list[Rerun] = []
    faults: list[str] = []
    for path in sorted((site.storage / "reruns" / name).glob(f"*/{_FILE}")):
        try:
            rerun = find_rerun(site, name, path.parent.name)
        except BadRequest as refusal:
            faults += refusal.faults
            continue
        found += [] if rerun is None else [rerun]
    if faults:
        raise BadRequest(faults)
    return found


def fresh_site(site: Site, name: str, slot: str) -> Site:
    """The site whose storage is the rerun's own; frames, imports and MLflow stay where they are. Variables in the URI
    stay variables: a site travels to workers. No features are kept, which are found by weights and not by code."""
    uri = site.tracking_uri or site.mlflow_uri()
    own = {"storage": rerun_folder(site, name, slot), "tracking_uri": uri, "features_gib": 0.0}
    return site.model_copy(update=own)


def _unreadable(path: Path, error: Exception) -> str:
    first = str(error).splitlines()[0]
    return f"{path} cannot be read ({first}); remove it, and the rerun is made up from its records when it runs again"

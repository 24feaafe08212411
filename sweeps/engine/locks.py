"""One driver per sweep and storage."""

from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sweeps.engine.site import BadRequest


@contextmanager
def sweep_locks(root: Path, names: Iterable[str]) -> Generator[None]:
    """A second driver of any of these is refused at once. The locks die with their process."""
    with ExitStack() as held:
        faults: list[str] = []
        for name in sorted(names):
            path = root / "locks" / f"{name.replace('/', '-')}.lock"
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(FileLock(path, timeout=0))
            except Timeout:
                fault = f"another driver runs {name!r} on this storage (lock {path}); wait for it or stop it"
                faults.append(fault)
        if faults:
            raise BadRequest(faults)
        yield

"""The order of the runs of a plan, as Ray Tune asks for them."""

from collections.abc import Mapping
from typing import Any

from ray.tune.search import Searcher

from sweeps.engine.failures import not_started
from sweeps.engine.job import Job
from sweeps.engine.records import RunFolder
from sweeps.engine.storage_fault import storage_fault
from sweeps.engine.telling import Watcher


class PlanSearcher(Searcher):
    """Gives Tune each run once the runs that it needs are done. Its only state is the plan."""

    def __init__(self, jobs: Mapping[str, Job], needs: Mapping[str, tuple[str, ...]], watcher: Watcher) -> None:
        super().__init__(metric="step", mode="max")
        self._jobs, self._waiting = jobs, dict(needs)
        self._unfinished, self._failed = set(jobs), set[str]()
        self.gave_up = False
        """Whether Ray gave a run up whose worker died too often."""
        self.lost = ""
        """Why the storage takes nothing any more: then no further run is given out."""
        self._trials: dict[str, str] = {}
        self._watcher = watcher

    def suggest(self, trial_id: str) -> Any:
        """A run whose needs are done; None while there is none yet; FINISHED after the last."""
        if self.lost:
            return Searcher.FINISHED
        for key, needs in list(self._waiting.items()):
            if self._failed.intersection(needs):
                del self._waiting[key]
                self._failed.add(key)
                folder = RunFolder(self._jobs[key].folder)
                folder.write_failure(not_started(sorted(self._failed.intersection(needs))))
                self._watcher.finished(key, folder, failed=True)
            elif not self._unfinished.intersection(needs):
                del self._waiting[key]
                self._trials[trial_id] = key
                return self._jobs[key].given(key, judged=False)
        return None if self._waiting else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        key = self._trials.pop(trial_id)
        self._unfinished.discard(key)
        self.gave_up = self.gave_up or error
        if error or result is None or result.get("failed"):
            self._failed.add(key)
            self.lost = self.lost or storage_fault(self._jobs[key].site.storage)

    def __getstate__(self) -> dict[str, Any]:
        """Tune writes a copy of the searcher to disk, which nobody reads; a watcher cannot be written."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: launching again makes the plan again from what is recorded."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore; see ``save``."""

"""What neither training nor augmentation can change of a clip is computed once, and given to the later steps.

These are the outputs of a backbone whose weights stay, or of what only pools them. All trainings on the same weights,
clips and frames share one table of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fsar_core.config import RunConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.folder_scan import Split
from fsar_core.embedding import embed_clips
from fsar_core.episode import Clips, Shape
from fsar_core.execution import Execution
from fsar_core.method import Method
from fsar_core.precision import Precision

MOST_BYTES = 1 << 20
"""Of a clip's row in float32. 6,400 train clips then take 6.3 GiB at most, and whether a run's steps are given depends
on the run alone, not on the memory of a machine. Eight frame vectors of 2,048 channels take 64 KiB and maps of 512
channels and 7x7 cells 0.8 MiB, but maps of 2,048 channels 3.1 MiB."""
_CLIPS_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class GivenClips:
    """The clips of a split as the outputs of a step."""

    step: str
    table: Tensor
    """(clips, ...) in main memory, by the clips' positions; in half precision where that loses nothing."""

    def rows(self, positions: np.ndarray) -> Tensor:
        """(V, ...) float32."""
        return self.table[torch.from_numpy(positions)].float()


def given_step(run: RunConfig) -> str | None:
    """The step whose outputs a training computes once per clip; None where it gives frames.

    It is the last of the leading steps that never change, before which no later part reads anything.
    """
    return None if why_frames(run) else _found(run)[0]


def why_frames(run: RunConfig) -> list[str]:
    """Why every step of a training must start from frames; empty where it need not."""
    method, data = run.method, run.data
    reasons = [f"loss {loss.kind!r} reads the frames" for loss in method.losses if loss.needs_frames()]
    if not method.backbone.frozen:
        reasons.append("the backbone trains")
    if not data.is_deterministic():
        reasons.append("training clips are random")
    if not method.frame_sampler.fixed:
        reasons.append(f"frame sampler {method.frame_sampler.kind!r} does not choose the same frames every time")
    step, size = _found(run)
    if size > MOST_BYTES:
        reasons.append(f"{step!r} gives {size / 2**20:.1f} MiB a clip, at most {MOST_BYTES / 2**20:g} MiB are kept")
    return reasons


def given_clips(
    run: RunConfig, method: Method, sources: Sequence[ClipSource], execution: Execution
) -> dict[Split, GivenClips]:
    """By split; empty where the training gives frames. From the store of ``execution`` if it has one, else made for
    this training alone."""
    step = given_step(run)
    if step is None:
        return {}
    given: dict[Split, GivenClips] = {}
    for source in sources:
        # looks, and trainings on labelled clips, compute these steps in full precision
        trained_on = run.batches.kind == "episodes" and source.split == "train"
        table = _table(step, method, source, execution, execution.precision if trained_on else "fp32")
        given[source.split] = GivenClips(step=step, table=table)
    return given


@torch.inference_mode()
def embed_given(method: Method, given: GivenClips, device: torch.device) -> dict[str, Tensor]:
    """What the heads of ``method`` read of every clip, in evaluation mode, as ``embed_clips`` gives it from pixels."""
    was_training = method.training
    method.eval()
    parts: list[dict[str, Tensor]] = []
    for rows in given.table.split(_CLIPS_AT_ONCE):
        ids = torch.zeros(len(rows), dtype=torch.int64)  # no label is read
        outputs = method.embed(Clips(videos=rows.float(), class_ids=ids, given=given.step).to(device))
        parts.append({name: outputs[name] for name in method.read_by_heads()})
    method.train(was_training)
    return {name: torch.cat([part[name] for part in parts]) for name in method.read_by_heads()}


def _table(step: str, method: Method, source: ClipSource, execution: Execution, precision: Precision) -> Tensor:
    if execution.features is not None:
        return execution.features.of_step(method, source, execution.device, step, precision)
    return embed_clips(method, source, execution.device, names=(step,), precision=precision)[step].cpu()


def _found(run: RunConfig) -> tuple[str, int]:
    """The step, and the bytes of a clip's row."""
    method = run.method
    wiring = method.wiring(run.data.frames, run.data.crop, classes=2)
    last, later = "backbone", list(method.steps)
    candidates = [(last, tuple(later))]
    while later and wiring.reads[later[0].name] == (last,) and later[0].stage.fixed:
        last = later.pop(0).name
        candidates.append((last, tuple(later)))
    read_at_end = {part.reads for part in (*method.heads, *method.losses)}
    for name, after in reversed(candidates):
        read = read_at_end | {source for step in after for source in wiring.reads[step.name]}
        if read <= {name, *(step.name for step in after)}:
            last = name
            break
    return last, _bytes(wiring.shapes[last])


def _bytes(shape: Shape) -> int:
    vectors = shape.frames * shape.cells**2 + (shape.level == "global_local")
    return 4 * vectors * shape.dim

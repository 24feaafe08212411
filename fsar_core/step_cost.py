"""Operations and memory of a training step, counted by going through it with tensors that have no content.

What is counted is what PyTorch's operators allocate, whatever the device: work space of a GPU's libraries and what its
allocator loses between blocks come on top.
"""

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from fsar_core.backbones.trunk import recompute
from fsar_core.config import RunConfig
from fsar_core.cost import BASE_CLASSES
from fsar_core.precision import Precision
from fsar_core.trial import random_clips, trial_pass

_CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Of one optimiser step."""

    flops: int
    """Forward and backward of all batches, 2 per multiply-add; what is computed again counts again. Convolutions,
    matrix products and attention only."""
    peak_bytes: int
    """Largest sum of all tensors at a time, once gradients and the optimiser's state exist: weights, gradients,
    state, one batch of pixels and everything that is kept or passing."""
    standing_bytes: int
    """Of these, weights, gradients and the optimiser's state."""


def step_cost(
    run: RunConfig, *, precision: Precision = "fp32", frames_at_once: int | None = None, classes: int = BASE_CLASSES
) -> StepCost:
    """``frames_at_once``: as of a recomputing backbone; None: everything is kept. Takes seconds, and no memory."""
    with torch.device("meta"):
        method = run.method.build(frames=run.data.frames, crop=run.data.crop, classes=classes)
    recompute(method, frames_at_once)
    with FakeTensorMode(), _Allocated() as allocated:
        _give_content(method)
        clips = random_clips(run, method, classes, _CPU)
        optimizer = run.optimizer.build(method)
        with FlopCounterMode(display=False) as counter:
            trial_pass(method, clips, precision)
        optimizer.step()
        standing = allocated.now - sum(_bytes(own) for own in vars(clips).values() if isinstance(own, Tensor))
        allocated.peak = 0
        trial_pass(method, clips, precision)
    passes = run.batches.per_step if run.batches.kind == "episodes" else 1
    return StepCost(flops=passes * counter.get_total_flops(), peak_bytes=allocated.peak, standing_bytes=standing)


class _Allocated(TorchDispatchMode):
    """Bytes of all storages made within it, as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(given):
            if isinstance(leaf, Tensor):
                self._note(leaf.untyped_storage())
        return given

    def _note(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._freed, storage.nbytes())

    def _freed(self, count: int) -> None:
        self.now -= count


def _give_content(method: nn.Module) -> None:
    """Puts tensors of the mode that is on in the place of those on meta, which know no autocast. ``Module.to`` cannot:
    it would have to swap tensors that the mode refers to."""
    made: dict[int, Tensor] = {}
    for module in method.modules():
        for table in ("_parameters", "_buffers"):  # the only way to put others there under the same names
            held: dict[str, Tensor | None] = getattr(module, table)
            for name, own in held.items():
                if own is not None:
                    held[name] = made.setdefault(id(own), _like(own))


def _like(own: Tensor) -> Tensor:
    empty = torch.empty_strided(own.shape, own.stride(), dtype=own.dtype)
    return nn.Parameter(empty, requires_grad=own.requires_grad) if isinstance(own, nn.Parameter) else empty


def _bytes(own: Tensor) -> int:
    return own.untyped_storage().nbytes()

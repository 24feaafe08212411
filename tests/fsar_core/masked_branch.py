"""SGTM's masked branch opened up: what enters and leaves its parts in one pass."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from fsar_core.episode import Clips, Trace
from fsar_core.losses import MaskedReconstruction
from fsar_core.method import Method, MethodConfig
from fsar_core.stages import TokenTransformer
from tests.fsar_core import tiny

P, R = 8, 4  # width of a token, tokens of a frame of the tiny backbone's 32 channels


def config_with(**changes: object) -> MethodConfig:
    """SGTM with other switches of its loss."""
    (loss,) = tiny.METHODS["sgtm"].losses
    changed = MaskedReconstruction.Config.model_validate(dict(loss) | changes)
    return tiny.METHODS["sgtm"].model_copy(update={"losses": (changed,)})


def branch(method: Method) -> MaskedReconstruction:
    loss = method.losses[0]
    assert isinstance(loss, MaskedReconstruction)
    return loss


def encoder(method: Method) -> TokenTransformer:
    stage = method.steps["encoded"]
    assert isinstance(stage, TokenTransformer)
    return stage


def traced(method: Method, clips: Clips) -> Trace:
    return trace_of(method, method.embed(clips), clips)


def trace_of(method: Method, outputs: dict[str, Tensor], clips: Clips) -> Trace:
    steps = dict(method.steps.items())
    return Trace(outputs=outputs, reads=method.wiring.reads, steps=steps, clips=clips, sampled=None, matches=())


@dataclass
class Seen:
    """One pass of the masked branch."""

    encoded: Tensor
    """What entered the encoder."""
    latent: Tensor
    decoded: Tensor
    """What entered the decoder."""
    rebuilt: Tensor
    loss: Tensor
    saliency: Tensor
    source: Tensor


def watch(method: Method, trace: Trace) -> Seen:
    own, seen = branch(method), dict[str, Tensor]()

    def noting(into: str, out_of: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[into], seen[out_of] = inputs[0], output

        return note

    hooks = [
        encoder(method).transformer.register_forward_hook(noting("encoded", "latent")),
        own.decoder.register_forward_hook(noting("decoded", "_")),
        own.head.register_forward_hook(noting("_", "rebuilt")),
    ]
    loss = own(trace)
    for hook in hooks:
        hook.remove()
    source = trace.outputs["pooled"]
    seen.pop("_")
    return Seen(**seen, loss=loss, saliency=own.saliency(trace, source), source=source)

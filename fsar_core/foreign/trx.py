"""Files of TRX, from https://github.com/tobyperrett/trx or from the same author's few-shot-action-recognition.

Names: classes CNN_TRX, TemporalCrossTransformer and PositionalEncoding in ``model.py`` of both, CNN_TRX in
``models/base/few_shot.py`` of https://github.com/alibaba-mmai-research/HyRSM; what a file holds: ``save_checkpoint`` in
``run.py``. With several GPUs only the ResNet is wrapped (``distribute_model``): ``resnet.module.0.weight``.
"""

from fsar_core.backbones import ResNet
from fsar_core.foreign.code_base import CodeBase, Decided
from fsar_core.foreign.files import Checkpoint, CheckpointError
from fsar_core.foreign.resnet_names import resnet_of, resnet_rules
from fsar_core.foreign.rules import Placed, Rule, To, Unused
from fsar_core.methods.trx import trx
from fsar_core.positions import trx_positions

_SEVERAL = (
    "The first version of the released code takes minus the norm over cardinalities as score, the later one their "
    "mean, which is used here; a file does not say which it was trained with."
)


def relation_rules() -> tuple[Rule, ...]:
    """Of the cross-transformers, which STRM takes over."""
    own = r"(?:head\.)?transformers\.(\d+)"
    return (
        To(rf"{own}\.k_linear\.(weight|bias)", r"heads.0.branches.\1.key.\2"),
        To(rf"{own}\.v_linear\.(weight|bias)", r"heads.0.branches.\1.value.\2"),
        To(rf"{own}\.norm_k\.(weight|bias)", r"heads.0.branches.\1.key_norm.\2"),
        Unused(rf"{own}\.norm_v\.(weight|bias)", "the released code never applies this norm"),
        Unused(rf"{own}\.pe\.pe", "position code, computed here", lambda t: trx_positions(*t.shape[1:])[None]),
        Unused(rf"{own}\.tuples\.\d+", "tuples of frames, computed here"),
    )


def cardinalities_of(placed: Placed, backbone: ResNet.Config) -> tuple[int, ...]:
    """Of each cross-transformer, from the width of what it reads. Raises CheckpointError where that is no multiple."""
    dim = backbone.shape(8, 224).dim
    widths: list[int] = []
    while (key := placed.tensors.get(f"heads.0.branches.{len(widths)}.key.weight")) is not None:
        widths.append(key.shape[1])
    if not widths or any(width % dim for width in widths):
        raise CheckpointError(
            f"keys of tuples must be made of whole frames, {dim} wide behind {backbone.label()}, but read {widths}"
        )
    return tuple(width // dim for width in widths)


def frames_of(checkpoint: Checkpoint) -> int | None:
    """T: the position code of T frames is int(1.5 T) long."""
    tables = [t for name, t in checkpoint.weights.items() if name.endswith("transformers.0.pe.pe") and t.ndim == 3]
    return -(-2 * tables[0].shape[1] // 3) if tables else None


def relation_facts(cardinalities: tuple[int, ...], width: int, frames: int | None) -> dict[str, str]:
    """For a person."""
    said = {"cardinalities": ", ".join(map(str, cardinalities)), "width of keys": str(width)}
    return said if frames is None else said | {"frames": str(frames)}


def _decide(checkpoint: Checkpoint, placed: Placed) -> Decided:
    backbone = resnet_of(placed.tensors)
    cardinalities, frames = cardinalities_of(placed, backbone), frames_of(checkpoint)
    width = placed.tensors["heads.0.branches.0.key.weight"].shape[0]
    return Decided(
        method=trx(backbone, cardinalities=cardinalities, out_dim=width),
        frames=frames,
        facts={"backbone": backbone.label(), **relation_facts(cardinalities, width, frames)},
        notes=(_SEVERAL,) if len(cardinalities) > 1 else (),
    )


TRX = CodeBase(
    title="TRX",
    source="https://github.com/tobyperrett/trx, model.py",
    method="trx",
    preset="trx",
    printed_as="TRX",
    marks=(r"(?:head\.)?transformers\.0\.k_linear\.weight",),
    rules=(*resnet_rules(r"(?:resnet|(?:head\.)?backbone)"), *relation_rules()),
    never_saved="",
    decide=_decide,
    unverified=("No file of the authors was at hand: names are from their code.",),
)

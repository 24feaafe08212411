"""Files of STRM, from https://github.com/Anirudh257/strm.

Names: classes CNN_STRM, Self_Attn_Bot, MLP_Mix_Enrich and their parts in ``model.py``; what a file holds:
``save_checkpoint`` in ``run.py``. With several GPUs the ResNet, ``attn_pat`` and ``fr_enrich`` are wrapped, each by
itself. The query-class similarity stands in a plain list there, so that no file has its weights.
"""

from fsar_core.foreign.code_base import CodeBase, Decided
from fsar_core.foreign.files import Checkpoint, CheckpointError
from fsar_core.foreign.resnet_names import resnet_of, resnet_rules
from fsar_core.foreign.rules import Placed, To, Unused
from fsar_core.foreign.trx import cardinalities_of, relation_facts, relation_rules
from fsar_core.methods.strm import strm
from fsar_core.positions import trx_positions

_NEVER_SAVED = (
    "The released code never saves the projection of its query-class similarity: its printed accuracies add a tenth of "
    "scores by a random one, new at each start. Here the similarity is left out; --method strm/release has such a "
    "random one, of a fixed seed."
)
_FRAMES = "steps.mixed.over_frames.0.weight"


def _decide(_: Checkpoint, placed: Placed) -> Decided:
    backbone = resnet_of(placed.tensors)
    cardinalities = cardinalities_of(placed, backbone)
    if _FRAMES not in placed.tensors:
        raise CheckpointError("fr_enrich.Tok_MLP.inp_fc.weight is missing, so that the number of frames is not known")
    frames = placed.tensors[_FRAMES].shape[0]
    width = placed.tensors["heads.0.branches.0.key.weight"].shape[0]
    return Decided(
        method=strm(backbone, cardinalities=cardinalities, out_dim=width, similarity=None),
        frames=frames,
        facts={"backbone": backbone.label(), **relation_facts(cardinalities, width, frames)},
        notes=(_NEVER_SAVED,),
    )


STRM = CodeBase(
    title="STRM",
    source="https://github.com/Anirudh257/strm, model.py",
    method="strm",
    preset="strm",
    printed_as="STRM",
    marks=(r"transformers\.0\.k_linear\.weight", r"attn_pat\.gamma", r"fr_enrich\.Tok_MLP\.inp_fc\.weight"),
    rules=(
        *resnet_rules("resnet"),
        *relation_rules(),
        To(r"attn_pat\.query_proj\.(weight|bias)", r"steps.pooled.qkv.\1", block=(0, 3)),
        To(r"attn_pat\.key_proj\.(weight|bias)", r"steps.pooled.qkv.\1", block=(1, 3)),
        To(r"attn_pat\.value_conv\.(weight|bias)", r"steps.pooled.qkv.\1", block=(2, 3)),
        To(r"attn_pat\.gamma", "steps.pooled.gamma"),
        To(r"attn_pat\.Bot_MLP\.inp_fc\.(weight|bias)", r"steps.pooled.fc1.\1"),
        To(r"attn_pat\.Bot_MLP\.hid_fc\.(weight|bias)", r"steps.pooled.fc2.\1"),
        To(r"attn_pat\.Bot_MLP\.out_fc\.(weight|bias)", r"steps.pooled.fc3.\1"),
        To(r"fr_enrich\.Tok_MLP\.inp_fc\.(weight|bias)", r"steps.mixed.over_frames.0.\1"),
        To(r"fr_enrich\.Tok_MLP\.out_fc\.(weight|bias)", r"steps.mixed.over_frames.2.\1"),
        To(r"fr_enrich\.Bot_MLP\.inp_fc\.(weight|bias)", r"steps.mixed.over_channels.0.\1"),
        To(r"fr_enrich\.Bot_MLP\.out_fc\.(weight|bias)", r"steps.mixed.over_channels.2.\1"),
        Unused(
            r"(?:attn_pat|fr_enrich)\.pe\.pe",
            "position code, computed here",
            lambda t: trx_positions(*t.shape[1:])[None],
        ),
    ),
    never_saved=r"heads\.1\.branches\.\d+\.projection\.(?:weight|bias)",
    decide=_decide,
    unverified=("No file of the authors was at hand: names are from their code.",),
)

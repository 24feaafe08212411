"""Files of MoLo, from https://github.com/alibaba-mmai-research/MoLo: their backbone alone, as MoLo is not built here.

Names of its other parts (class CNN_BiMHM_MoLo) are from copies of its code in other repositories.
"""

from fsar_core.foreign.code_base import CodeBase, Decided, setting
from fsar_core.foreign.files import Checkpoint
from fsar_core.foreign.resnet_names import resnet_of, resnet_rules
from fsar_core.foreign.rules import Placed, Unused
from fsar_core.methods.frame_matching import bimhm

_ALONE = (
    "This is the backbone alone, compared frame by frame: not MoLo, whose attention and motion parts are not built "
    "here. No printed accuracy of MoLo may be held against it."
)
_PARTS = (
    r"class_token(?:_motion)?",
    r"temporal_atte_before(?:_motion)?\..+",
    r"motion_(?:reduce|conv|up)\..+",
    r"up[123]\..+",
    r"outc\..+",
    r"scale(?:_motion)?",
    r"pe\.pe",
    r"classification_layer\..+",
)


def _decide(checkpoint: Checkpoint, placed: Placed) -> Decided:
    backbone = resnet_of(placed.tensors)
    trained = setting(checkpoint.settings, "TRAIN", "DATASET_FEW")
    facts = {"backbone": backbone.label()} | ({} if trained is None else {"its data set": str(trained)})
    return Decided(method=bimhm(backbone), facts=facts, notes=(_ALONE,))


MOLO = CodeBase(
    title="MoLo (backbone alone)",
    source="https://github.com/alibaba-mmai-research/MoLo",
    method="frame_matching/bimhm",
    preset="molo",
    printed_as=None,
    marks=(r"(?:head\.)?class_token_motion", r"(?:head\.)?motion_reduce\.weight"),
    rules=(
        *resnet_rules(r"(?:head\.)?backbone"),
        *(Unused(rf"(?:head\.)?{own}", "a part of MoLo that is not built here") for own in _PARTS),
    ),
    never_saved="",
    decide=_decide,
    unverified=("Neither a file nor the code of the authors was at hand, only copies of their model.",),
)

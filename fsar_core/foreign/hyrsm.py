"""Files of HyRSM, from https://github.com/alibaba-mmai-research/HyRSM.

Names: classes CNN_HyRSM_1shot, CNN_HyRSM_5shot and their parts in ``models/base/few_shot.py``. A file also holds the
configuration, JSON text under ``cfg``, which decides what tensors do not show: scales of the position code, heads, and
how several shots are used.
"""

from collections.abc import Mapping

from pydantic import ValidationError

from fsar_core.foreign.code_base import CodeBase, Decided, setting
from fsar_core.foreign.files import Checkpoint, CheckpointError
from fsar_core.foreign.resnet_names import resnet_of, resnet_rules
from fsar_core.foreign.rules import Placed, To, Unused
from fsar_core.matchers import SetRelation
from fsar_core.method import Head, MethodConfig
from fsar_core.methods.hyrsm import hyrsm
from fsar_core.positions import hyrsm_positions
from fsar_core.stages import VideoAttention

_CLASSIFIER = "losses.0.classifier.weight"
_BARE = (
    "The file has no settings (cfg): 8 heads are taken, and the scales of the position code that were released for the "
    "data set of the test."
)


def _decide(checkpoint: Checkpoint, placed: Placed) -> Decided:
    backbone = resnet_of(placed.tensors)
    cfg = checkpoint.settings
    known = bool(setting(cfg, "TRAIN")) and bool(setting(cfg, "VIDEO", "HEAD", "NAME"))
    attention, relation = _parts(cfg) if known else (VideoAttention.Config(), SetRelation.Config())
    method = hyrsm(backbone, video_attention=attention)
    head = Head(matcher=relation, reads=method.heads[0].reads)
    frames = setting(cfg, "DATA", "NUM_INPUT_FRAMES")
    classifier = placed.tensors.get(_CLASSIFIER)
    return Decided(
        method=MethodConfig.model_validate({**dict(method), "heads": (head,)}),
        classes=None if classifier is None else classifier.shape[0],
        frames=frames if isinstance(frames, int) else None,
        settled=known,
        facts={"backbone": backbone.label(), **(_facts(cfg, attention, relation) if known else {})},
        notes=() if known else (_BARE,),
    )


def _parts(cfg: Mapping[str, object]) -> tuple[VideoAttention.Config, SetRelation.Config]:
    """As the released code reads its settings. Raises CheckpointError, all faults together."""
    train = {key: setting(cfg, "TRAIN", key) for key in ("POSITION_A", "POSITION_B", "HEAD")}
    scaled = train["POSITION_A"] is not None and train["POSITION_B"] is not None
    heads = {"heads": train["HEAD"]} if train["HEAD"] else {}
    scales = {"amplification": train["POSITION_A"], "position_scale": train["POSITION_B"]} if scaled else {}
    try:
        numbers = {name: float(value) if isinstance(value, int) else value for name, value in scales.items()}
        attention = VideoAttention.Config.model_validate({**heads, **numbers})
        one_shot = setting(cfg, "VIDEO", "HEAD", "NAME") == "CNN_HyRSM_1shot"
        relation = SetRelation.Config.model_validate({**heads, "shots": "distances" if one_shot else "features"})
    except ValidationError as error:
        faults = [f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors(include_url=False)]
        raise CheckpointError(*(f"cfg of the file: {fault}, in TRAIN {train}" for fault in faults)) from error
    return attention, relation


def _facts(cfg: Mapping[str, object], attention: VideoAttention.Config, relation: SetRelation.Config) -> dict[str, str]:
    asked = {
        "its head": setting(cfg, "VIDEO", "HEAD", "NAME"),
        "its data set": setting(cfg, "TRAIN", "DATASET_FEW"),
        "shots in training": setting(cfg, "TRAIN", "SHOT"),
        "frames": setting(cfg, "DATA", "NUM_INPUT_FRAMES"),
        "amplification": f"{attention.amplification:g}",
        "position scale": f"{attention.position_scale:g}",
        "heads": attention.heads,
        "several shots by": f"averaged {relation.shots}",
    }
    return {name: str(value) for name, value in asked.items() if value is not None}


HYRSM = CodeBase(
    title="HyRSM",
    source="https://github.com/alibaba-mmai-research/HyRSM, models/base/few_shot.py",
    method="hyrsm",
    preset="hyrsm",
    printed_as="HyRSM",
    marks=(
        r"(?:head\.)?temporal_atte_before\.fn\.to_qkv\.weight",
        r"(?:head\.)?temporal_atte\.w_qs\.weight",
        r"(?:head\.)?layer2\.0\.weight",
    ),
    rules=(
        *resnet_rules(r"(?:head\.)?backbone"),
        To(r"(?:head\.)?temporal_atte_before\.norm\.(weight|bias)", r"steps.attended.norm.\1"),
        To(r"(?:head\.)?temporal_atte_before\.fn\.to_qkv\.weight", "steps.attended.qkv.weight"),
        To(r"(?:head\.)?temporal_atte_before\.fn\.to_out\.0\.(weight|bias)", r"steps.attended.out.\1"),
        To(r"(?:head\.)?temporal_atte\.w_qs\.weight", "heads.0.relation.qkv.weight", block=(0, 3)),
        To(r"(?:head\.)?temporal_atte\.w_ks\.weight", "heads.0.relation.qkv.weight", block=(1, 3)),
        To(r"(?:head\.)?temporal_atte\.w_vs\.weight", "heads.0.relation.qkv.weight", block=(2, 3)),
        To(r"(?:head\.)?temporal_atte\.layer_norm\.(weight|bias)", r"heads.0.relation.norm.\1"),
        To(r"(?:head\.)?temporal_atte\.fc\.(weight|bias)", r"heads.0.relation.out.\1"),
        To(r"(?:head\.)?layer2\.0\.weight", "heads.0.fuse.weight", squeezed=True),
        To(r"(?:head\.)?layer2\.0\.bias", "heads.0.fuse.bias"),
        To(r"(?:head\.)?classification_layer\.(weight|bias)", r"losses.0.classifier.\1"),
        Unused(
            r"(?:head\.)?pe\.pe", "position code, computed here", lambda t: hyrsm_positions(*t.shape[1:]).unsqueeze(0)
        ),
    ),
    never_saved="",
    decide=_decide,
    unverified=(
        "No file of the authors was at hand: names are from their code.",
        "What a file holds beside the weights, and the head. before names, are from the code base that HyRSM builds on "
        "(https://github.com/alibaba-mmai-research/TAdaConv, utils/checkpoint.py, utils/config.py, models/base).",
    ),
)

"""The frame sampler of a row of VIM's tables."""

from math import log

from fsar_core.backbones import BackboneConfig
from fsar_core.frame_samplers import FrameSamplerConfig, KeepAll, MgSampler, VideoSampler
from fsar_core.frame_samplers.cropper import Cropper
from fsar_core.frame_samplers.scan_networks import ScanName, ScanNetwork
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.frame_samplers.video_sampler import SpatialConfig
from fsar_core.methods.vim_parts import sampler, starts_from_imagenet
from search_spaces.papers.paper import RefusedError
from search_spaces.papers.vim_settings import ScanNet, Settings

PUBLISHED_SIZE = 224
"""Pixels per side of the paper's frames."""
_USUAL_NETWORK, _USUAL_SCAN = "ShuffleNetV2-0.5x", 64
_NETWORKS: dict[ScanNet, ScanName] = {
    "ShuffleNetV2-1.5x": "shufflenet_v2_x1_5",
    "ShuffleNetV1-2.0x": "shufflenet_v1_x2_0",
    "MobileNetV2-1.0x": "mobilenet_v2",
    "MobileNetV1-0.75x": "mobilenet_v1_x0_75",
}
"""All but the usual one."""
_SPATIAL: dict[str | None, SpatialConfig | None] = {
    "amplify": SpatialAmplifier.Config(),
    "crop": Cropper.Config(),
}


def frame_sampler(settings: Settings, backbone: BackboneConfig, crop: int) -> FrameSamplerConfig:
    """``crop``: pixels per side of a frame that is scanned. Raises RefusedError where weights do not exist."""
    if settings.frame_sampler == "mgsampler":
        weights = "imagenet" if starts_from_imagenet(backbone) else "none"
        return MgSampler.Config(keep=settings.frames, weights=weights)
    if not settings.has_sampler():
        return KeepAll.Config()
    usual = sampler(
        backbone,
        temporal=settings.temporal_selector,
        spatial=_SPATIAL.get(settings.spatial_sampling),
        adaptive=settings.task_adaptive,
        keep=settings.frames,
    )
    network = _network(settings.scan_network, usual.scan_network, backbone)
    size = scan_size(settings.scan_size or _USUAL_SCAN, usual.scan_size, crop)
    return VideoSampler.Config.model_validate({**dict(usual), "scan_network": network, "scan_size": size})


def scan_size(published: int, usual: int, crop: int) -> int:
    """Pixels per side of a scanned frame, for crops of any size; the published number for crops of 224 scanned at 64.

    64 stays ``usual``, 224 the whole frame, and those between and below keep their order: the logarithms are stretched.
    Raises RefusedError where the frame leaves no room for that.
    """
    if published == _USUAL_SCAN:
        return usual
    if crop <= usual:
        raise RefusedError(
            f"scan_size {published} differs from {_USUAL_SCAN} on frames of more than {usual} pixels per side only, "
            f"got a crop of {crop}; take a preset with larger crops"
        )
    stretched = log(crop / usual) / log(PUBLISHED_SIZE / _USUAL_SCAN)
    smallest = 16
    return max(smallest, round(usual * (published / _USUAL_SCAN) ** stretched))


def _network(asked: ScanNet | None, usual: ScanNetwork.Config, backbone: BackboneConfig) -> ScanNetwork.Config:
    """The usual one stands for that of the paper behind small nets too; others stay what they are."""
    if asked is None or asked == _USUAL_NETWORK:
        return usual
    network = ScanNetwork.Config(name=_NETWORKS[asked], weights="none")
    if not starts_from_imagenet(backbone):
        return network
    if network.published() is None:
        raise RefusedError(
            f"{asked} starts from ImageNet in the paper, and its weights exist as a file of its authors only; with "
            "random weights, beside networks that have theirs, the row would not compare"
        )
    return ScanNetwork.Config(name=network.name, weights="imagenet")

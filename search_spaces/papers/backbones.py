"""Which network a row of a paper is trained with here."""

from collections.abc import Iterable, Iterator
from typing import Literal, get_args

from fsar_core.backbones import BackboneConfig, Mvit, ResNet, ResNet3d, SmallNet, Vit, WeightsFile
from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.papers.paper import RefusedError
from search_spaces.papers.printed import PrintedCell
from search_spaces.table import is_backbone

PrintedBackbone = Literal["ResNet-50", "ResNet-101", "ResNet-152", "ViT", "3D ResNet-50", "MViT"]
"""As the papers call them."""

_ALL: tuple[PrintedBackbone, ...] = get_args(PrintedBackbone)
_DEPTHS: dict[PrintedBackbone, Literal[101, 152]] = {"ResNet-101": 101, "ResNet-152": 152}


def with_printed_backbone(name: PrintedBackbone, recipe: Recipe) -> Recipe:
    """The recipe on the backbone that a row names; ResNet-50 is the recipe's own.

    Other networks start from published weights if the recipe's own does: from ImageNet, those that see several frames
    from Kinetics-400. In a recipe of small nets each stands as a small net a little wider than the one before: such a
    run is a rehearsal of the table, in which rows only have to stay apart. Raises RefusedError where there are no
    weights to start from.
    """
    return recipe if name == "ResNet-50" else recipe.with_backbone(_instead(name, recipe.backbone))


def backbone_notes(runs: Iterable[tuple[PrintedCell, RunConfig]]) -> Iterator[str]:
    """For the reader of a table: what stands in the place of printed backbones. None where they are those printed."""
    others: dict[str, str] = {}
    for cell, run in runs:
        printed, here = cell.setting("backbone") or _ALL[0], run.method.backbone.label()
        if not is_backbone(here, printed):
            others[printed] = here
    if others:
        yield "Backbones here: " + ", ".join(f"{here} for {printed}" for printed, here in others.items()) + "."


def _instead(name: PrintedBackbone, own: BackboneConfig) -> BackboneConfig:
    if isinstance(own, SmallNet.Config):
        return own.model_copy(update={"channels": own.channels + 2 * _ALL.index(name)})
    if isinstance(own.weights, WeightsFile):
        raise RefusedError(
            f"the recipe starts from the file {own.weights.name}, which does not fit a {name}; take a recipe with "
            "published weights or with none"
        )
    if name in _DEPTHS:
        batch_norm = own.batch_norm if isinstance(own, ResNet.Config) else "train"
        weights = "none" if own.weights == "none" else "imagenet"
        return ResNet.Config(depth=_DEPTHS[name], weights=weights, frozen=own.frozen, batch_norm=batch_norm)
    if name == "ViT":
        return Vit.Config(weights="none" if own.weights == "none" else "imagenet", frozen=own.frozen)
    return _of_clips(name, own)


def _of_clips(name: PrintedBackbone, own: BackboneConfig) -> BackboneConfig:
    if name == "MViT":
        return Mvit.Config(weights="none" if own.weights == "none" else "kinetics400", frozen=own.frozen)
    if own.weights != "none":
        raise RefusedError(
            "a 3D ResNet-50 starts from Kinetics-400 in the paper; torchvision has such weights only for 18 layers, so "
            "that it runs in recipes without pretrained weights alone"
        )
    return ResNet3d.Config(depth=50, weights="none", frozen=own.frozen)

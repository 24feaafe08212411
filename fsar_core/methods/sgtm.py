"""SGTM: saliency-guided fine-grained temporal mask learning for few-shot action recognition (2024).

Backbone, pool, token encoder, matching transformer, matcher; in training a masked branch rebuilds the pooled features.
Which frames are masked is ranked by a class-score network, trained before and frozen: a run that this one needs.
"""

from fsar_core.backbones import BackboneConfig
from fsar_core.config import Need, RunConfig
from fsar_core.losses import MaskedReconstruction
from fsar_core.losses.frame_masking import NEEDS_SALIENCY, MaskStrategy
from fsar_core.matchers import BiMhm, MatcherConfig, Otam
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.methods.published import PublishedMethod
from fsar_core.presets import Recipe
from fsar_core.stages import ClassScores, SpatialPool, TokenTransformer
from fsar_core.stages.transformer import TransformerConfig


def baseline(backbone: BackboneConfig, matcher: MatcherConfig | None = None) -> MethodConfig:
    """Backbone, matching transformer and matcher: the first row of table 3."""
    return _method(backbone, matcher, encoder=False, masking=None)


def encoder_only(backbone: BackboneConfig, matcher: MatcherConfig | None = None) -> MethodConfig:
    """The baseline with the token encoder, without the masked branch: the second row of table 3."""
    return _method(backbone, matcher, encoder=True, masking=None)


def sgtm(
    backbone: BackboneConfig,
    *,
    strategy: MaskStrategy = "ambiguous_visible",
    ratio: float = 0.5,
    weight: float = 0.5,
    matcher: MatcherConfig | None = None,
) -> MethodConfig:
    """The full method. Ratio 0 masks no frame under any strategy, so all strategies give one method there."""
    strategy = strategy if ratio else "none"
    guide = score_layers(backbone) if strategy in NEEDS_SALIENCY else None
    masking = MaskedReconstruction.Config(
        weight=weight, strategy=strategy, ratio=ratio, guide=guide, decoder=_layers(backbone)
    )
    return _method(backbone, matcher, encoder=True, masking=masking)


def run(recipe: Recipe, method: MethodConfig) -> RunConfig:
    """The training of any method of this module, with the class-score run before it where the masking is guided."""
    needs: list[Need] = []
    for i, loss in enumerate(method.losses):
        if not isinstance(loss, MaskedReconstruction.Config) or loss.guide is None:
            continue
        needs.append(Need(run=recipe.class_scores(loss.guide), source="steps.scores", target=f"losses.{i}.guide"))
        if loss.guide_backbone is not None:
            needs += [
                Need(run=need.run, source=need.source, target=f"losses.{i}.guide_backbone.0")
                for need in recipe.needs
                if need.target == "backbone"
            ]
    return recipe.few_shot(method, tuple(needs))


def score_layers(backbone: BackboneConfig) -> ClassScores.Config:
    """Phi_cls: two hidden convolutions of 512 channels, or of the backbone's width where that is less."""
    width = min(512, _width(backbone))
    return ClassScores.Config(layers=((width, 3), (width, 3)))


def _method(
    backbone: BackboneConfig,
    matcher: MatcherConfig | None,
    *,
    encoder: bool,
    masking: MaskedReconstruction.Config | None,
) -> MethodConfig:
    token_dim = _width(backbone) // 4
    transformer = _layers(backbone)
    steps = [Step(name="pooled", stage=SpatialPool.Config())]
    if encoder:
        steps.append(Step(name="encoded", stage=TokenTransformer.Config(token_dim=token_dim, transformer=transformer)))
    positions = "none" if encoder else "sincos"  # the code is added once, before the first transformer
    steps.append(
        Step(
            name="matching",
            stage=TokenTransformer.Config(token_dim=token_dim, transformer=transformer, positions=positions),
        )
    )
    return MethodConfig(
        backbone=backbone,
        steps=tuple(steps),
        heads=(Head(matcher=matcher or Otam.Config(), reads="matching"),),
        losses=() if masking is None else (masking,),
    )


def _layers(backbone: BackboneConfig) -> TransformerConfig:
    """Two layers of 8 heads; heads of 64 channels as in the paper's size, narrower for tokens below 128 channels."""
    return TransformerConfig(head_dim=min(64, _width(backbone) // 8))


def _width(backbone: BackboneConfig) -> int:
    return backbone.shape(8, 224).dim


def random_mask(backbone: BackboneConfig) -> MethodConfig:
    """Masks the same share of frames at random (table 4)."""
    return sgtm(backbone, strategy="random")


def with_bimhm(backbone: BackboneConfig) -> MethodConfig:
    """Matches by Bi-MHM instead of OTAM."""
    return sgtm(backbone, matcher=BiMhm.Config())


METHOD = PublishedMethod(
    title="Saliency-guided fine-grained temporal mask learning",
    source="SGTM, 2024",
    variants={
        "sgtm": sgtm,
        "bimhm": with_bimhm,
        "random_mask": random_mask,
        "encoder_only": encoder_only,
        "baseline": baseline,
    },
    run=run,
)

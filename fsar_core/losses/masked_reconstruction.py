"""SGTM's masked branch: visible tokens through the shared encoder, all rebuilt by a decoder (sections 3.2 and 3.3)."""

from collections.abc import Sequence
from typing import Literal, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from fsar_core.backbones import Backbone, BackboneConfig, Pretrained, PretrainedConfig
from fsar_core.episode import Shape, Trace, Wiring
from fsar_core.losses.base import LossBase, LossModule
from fsar_core.losses.frame_masking import NEEDS_SALIENCY, MaskStrategy, masked_frames, visible_frames
from fsar_core.stages.class_scores import ClassScores
from fsar_core.stages.spatial_pool import SpatialPool
from fsar_core.stages.token_transformer import TokenTransformer
from fsar_core.stages.transformer import Transformer, TransformerConfig, initialise_linear


class MaskedReconstruction(LossModule):
    """Decoder, mask token and class-score network: weights of training only, absent from a test."""

    class Config(LossBase):
        """Defaults follow the paper; where it is silent, the switch stands beside the default."""

        kind: Literal["masked_reconstruction"] = "masked_reconstruction"
        weight: float = Field(default=0.5, ge=0)
        """lambda of the total loss."""
        reads: str = "encoded"
        """The token transformer that is run again on the visible tokens; its input is the target."""
        strategy: MaskStrategy = "ambiguous_visible"
        ratio: float = Field(default=0.5, ge=0, lt=1)
        """Masked frames / T."""
        guide: ClassScores.Config | None = ClassScores.Config()
        """Phi_cls, whose scores summed over classes rank the frames. Its weights come from a run of their own. None for
        strategies that rank nothing."""
        guide_backbone: BackboneConfig | None = None
        """None: Phi_cls reads the current features. Else those of this backbone, which stays frozen; a second pass."""
        decoder: TransformerConfig = TransformerConfig()
        pred_head: bool = True
        """A linear layer P to P behind the decoder."""
        reduction: Literal["mse", "token_sumsq", "token_l2"] = "mse"
        """Per token: mean of squares (the text), sum of squares, or the norm that the formula shows."""
        scope: Literal["all", "masked"] = "all"
        """The formula sums over all tokens, visible ones included."""
        detach_target: bool = True
        """Without it, shrinking the features lowers the loss."""

        @model_validator(mode="after")
        def _guided_or_not(self) -> Self:
            needs = self.strategy in NEEDS_SALIENCY
            if needs != (self.guide is not None):
                raise ValueError(
                    f"strategy {self.strategy!r} {'needs a' if needs else 'must have no'} guide (class-score network)"
                )
            if self.guide is None and self.guide_backbone is not None:
                raise ValueError("guide_backbone without a guide has nothing to feed; remove it")
            if (self.strategy == "none") != (self.ratio == 0):
                raise ValueError(
                    f"ratio 0 goes with strategy 'none' and only with it, "
                    f"got ratio {self.ratio}, strategy {self.strategy!r}"
                )
            return self

        def check(self, wiring: Wiring) -> None:
            """Raises ValueError if it reads no token transformer, if the ratio does not fit the number of frames, or if
            features of ``guide_backbone`` have another width than those it stands for."""
            self._encoder(wiring)
            masked_frames(self.strategy, self.ratio, wiring.shapes[self.reads].frames)
            dim = wiring.shapes[wiring.reads[self.reads][0]].dim
            if self.guide_backbone is not None and self.guide_backbone.shape(8, 224).dim != dim:
                raise ValueError(
                    f"guide_backbone must give the {dim} channels that {self.reads!r} reads, "
                    f"got {self.guide_backbone.shape(8, 224).dim}"
                )

        def needs_frames(self) -> bool:
            """Whether it reads the frames themselves, beside what the steps give."""
            return self.guide_backbone is not None

        def build(self, wiring: Wiring, classes: int) -> "MaskedReconstruction":
            source = wiring.shapes[wiring.reads[self.reads][0]]
            return MaskedReconstruction(self, source, self._encoder(wiring).token_dim, classes, wiring.crop)

        def _encoder(self, wiring: Wiring) -> TokenTransformer.Config:
            stage = wiring.stages.get(self.reads)
            if not isinstance(stage, TokenTransformer.Config):
                raise ValueError(
                    f"masked_reconstruction needs a token_transformer step, but {self.reads!r} is another kind"
                )
            return stage

    def __init__(self, config: Config, source: Shape, width: int, classes: int, crop: int) -> None:
        super().__init__()
        self.config = config
        self.tokens_per_frame = source.dim // width
        self.masked = masked_frames(config.strategy, config.ratio, source.frames)
        self.mask_token = nn.Parameter(torch.empty(width))
        nn.init.normal_(self.mask_token, std=0.02)
        self.decoder = Transformer(config.decoder, width)
        self.head = nn.Linear(width, width) if config.pred_head else nn.Identity()
        self.head.apply(initialise_linear)
        self.guide = config.guide.build(source, classes=classes).requires_grad_(False) if config.guide else None
        self.guide_backbone = None
        if config.guide_backbone:
            seen = config.guide_backbone.build(frames=source.frames, crop=crop)
            self.guide_backbone = nn.Sequential(seen, SpatialPool()).requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """The class-score network stays in eval mode: its dropout would randomise the ranking."""
        super().train(mode)
        for frozen in (self.guide, self.guide_backbone):
            if frozen is not None:
                frozen.eval()
        return self

    def pretrained(self) -> Sequence[tuple[Pretrained, PretrainedConfig]]:
        """The backbone of the guide, if it has one of its own."""
        if self.guide_backbone is None or self.config.guide_backbone is None:
            return []
        return [(cast(Backbone, self.guide_backbone[0]), self.config.guide_backbone)]

    def forward(self, trace: Trace) -> Tensor:
        """The reconstruction loss, a scalar in float32. Equation 5 of the paper."""
        encoder = trace.steps[self.config.reads]
        assert isinstance(encoder, TokenTransformer)
        source = trace.outputs[trace.reads[self.config.reads][0]]
        visible = self.visible_tokens(trace, source)
        tokens = encoder.tokens(source)
        latent = encoder.transformer(_take(encoder.positions(tokens), visible))
        rebuilt = self.head(self.decoder(encoder.positions(self._fill(latent, visible, tokens))))
        target = tokens.detach() if self.config.detach_target else tokens
        return self._difference(target.float(), rebuilt.float(), visible)

    @torch.no_grad()
    def visible_tokens(self, trace: Trace, source: Tensor) -> Tensor:
        """(V, visible frames * r) token ids, ascending."""
        frames = visible_frames(self.config.strategy, self.saliency(trace, source), self.masked)
        tokens = frames[:, :, None] * self.tokens_per_frame + torch.arange(self.tokens_per_frame, device=frames.device)
        return tokens.flatten(1)

    @torch.no_grad()
    def saliency(self, trace: Trace, source: Tensor) -> Tensor:
        """(V, T) float32, scores summed over classes. Ranked before the paper's sigmoid, which would make ties."""
        if self.guide is None:
            return torch.zeros(source.shape[:2], device=source.device)
        seen = source if self.guide_backbone is None else self.guide_backbone(trace.outputs["frames"])
        return self.guide(seen.detach()).float().sum(-1)

    def _fill(self, latent: Tensor, visible: Tensor, tokens: Tensor) -> Tensor:
        empty = self.mask_token.to(latent.dtype).expand(tokens.shape)
        return empty.scatter(1, visible[:, :, None].expand_as(latent), latent)

    def _difference(self, target: Tensor, rebuilt: Tensor, visible: Tensor) -> Tensor:
        squares = (target - rebuilt) ** 2
        per_token = squares.mean(-1) if self.config.reduction == "mse" else squares.sum(-1)
        if self.config.reduction == "token_l2":
            per_token = per_token.clamp_min(1e-12).sqrt()
        if self.config.scope == "masked" and self.masked:
            hidden = torch.ones_like(per_token).scatter(1, visible, 0.0)
            return (per_token * hidden).sum() / hidden.sum()
        return per_token.mean()


def _take(tokens: Tensor, ids: Tensor) -> Tensor:
    return tokens.gather(1, ids[:, :, None].expand(-1, -1, tokens.shape[2]))

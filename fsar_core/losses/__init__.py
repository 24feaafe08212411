"""Losses beside the heads' cross-entropy. What exists is the union below; a new one is a file and a member."""

from typing import Annotated

from pydantic import Field

from fsar_core.losses.base_classes import BaseClasses
from fsar_core.losses.classification import Classification
from fsar_core.losses.inter_video import InterVideo
from fsar_core.losses.intra_video import IntraVideo
from fsar_core.losses.mask_regression import MaskRegression
from fsar_core.losses.masked_reconstruction import MaskedReconstruction

LossConfig = Annotated[
    MaskedReconstruction.Config
    | Classification.Config
    | BaseClasses.Config
    | MaskRegression.Config
    | IntraVideo.Config
    | InterVideo.Config,
    Field(discriminator="kind"),
]

Loss = MaskedReconstruction | Classification | BaseClasses | MaskRegression | IntraVideo | InterVideo

LOSSES = (
    MaskedReconstruction.Config,
    Classification.Config,
    BaseClasses.Config,
    MaskRegression.Config,
    IntraVideo.Config,
    InterVideo.Config,
)

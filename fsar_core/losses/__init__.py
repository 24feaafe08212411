"""Losses beside the heads' cross-entropy. What exists is the union below; a new one is a file and a member."""

from typing import Annotated

from pydantic import Field

from fsar_core.losses.classification import Classification
from fsar_core.losses.masked_reconstruction import MaskedReconstruction

LossConfig = Annotated[MaskedReconstruction.Config | Classification.Config, Field(discriminator="kind")]

Loss = MaskedReconstruction | Classification

LOSSES = (MaskedReconstruction.Config, Classification.Config)

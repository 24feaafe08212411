"""Losses beside the heads' cross-entropy. What exists is the union below; a new one is a file here and a member there."""

from typing import Annotated

from pydantic import Field

from fsar_core.losses.classification import Classification
from fsar_core.losses.masked_reconstruction import MaskedReconstruction

LossConfig = Annotated[MaskedReconstruction.Config | Classification.Config, Field(discriminator="kind")]

LOSSES = (MaskedReconstruction.Config, Classification.Config)

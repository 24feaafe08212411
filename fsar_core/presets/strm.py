"""The preset ``strm``."""

from fsar_core.presets.dataset_names import is_ssv2, like
from fsar_core.presets.preset import Preset
from fsar_core.presets.recipe import Recipe
from fsar_core.presets.trx_family import family_recipe


def strm(dataset: str) -> Recipe:
    """As STRM's code: like TRX's, with 4 queries per class (Kinetics 5) and a tenth of the rate off SSv2.

    Source: scripts/run_strm_{ssv2,kin,hmdb,ucf}.sh and run.py of the code. SGD without momentum, constant, 1e-3 on
    SSv2 and 1e-4 on Kinetics, HMDB51 and UCF101; loss summed over the queries, divided by the 16 tasks of a step;
    5-shot in training and test; weights after 75,000 tasks on SSv2, after 10,000 of 20,010 on the others.

    Silent: SSv2-Small, which gets the rate of SSv2 and the length of the small sets; 1-shot, for which its authors
    change the shot alone, without a recipe that others confirmed; data sets that are not in its scripts get HMDB51's
    numbers. The code has no validation; here val is looked at some 20 times, and chooses nothing.

    Not imitated: as in TRX's code, the first step holds 15 tasks, frames of a task pass on 4 GPUs in parts with batch
    norms of their own, and short videos are dropped; the seed is a random number per run, here it is given.
    """
    return family_recipe(
        dataset, lr=1e-3 if is_ssv2(dataset) else 1e-4, queries=5 if like(dataset) == "kinetics100" else 4
    )


STRM = Preset(
    name="strm",
    source="Thatipelli et al. (STRM), CVPR 2022, https://github.com/Anirudh257/strm",
    recipe=strm,
)

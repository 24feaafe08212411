"""The preset ``hyrsm``."""

from fsar_core.presets.dataset_names import like
from fsar_core.presets.hyrsm_family import Published, family_recipe
from fsar_core.presets.preset import Preset
from fsar_core.presets.recipe import Recipe

_PUBLISHED = {
    "hmdb51": Published(
        tasks=2_000, lr=5e-5, start_lr=1e-5, unit=300, drops=((2, 0.5), (3, 0.1), (7, 0.01)), look_every=50,
        tasks_per_step=2,
    ),
    "ucf101": Published(
        tasks=2_500, lr=5e-5, start_lr=1e-5, unit=700, drops=((3, 0.5), (5, 0.1), (7, 0.01)), look_every=100
    ),
    "kinetics100": Published(
        tasks=1_200, lr=2.2e-5, start_lr=5e-6, unit=100, drops=((4, 0.5), (6, 0.1), (9, 0.05)), look_every=50
    ),
    "ssv2_small": Published(
        tasks=20_000, lr=1e-4, start_lr=2e-5, unit=1_500, drops=((4, 0.1), (8, 0.01)), look_every=1_000
    ),
    "ssv2_full": Published(
        tasks=40_000, lr=1e-4, start_lr=2e-5, unit=3_000, drops=((6, 0.1), (9, 0.01)), look_every=1_000
    ),
}  # fmt: skip


def hyrsm(dataset: str) -> Recipe:
    """As HyRSM's code: Adam, queries flipped and recoloured, random test frames (not on Kinetics), chosen on test.

    Source: configs/projects/hyrsm/*/*_v1.yaml of the code for tasks, rates, drops, queries and looks; its data loader,
    optimiser and schedule for the rest. Trained for each number of shots by itself (--per-shot), with 7, 6, 5, 4, 3
    queries per class for 1 to 5 shots. 4 tasks on each of 4 processes make a step (2 on HMDB51). Weight decay is 1e-3,
    which its optimiser reads from the common file, whatever the files of the data sets say. Its units of the schedule
    pass at double speed after the first; here they stand in optimiser steps as they pass.

    Silent: data sets that are not in its files get the numbers of HMDB51; more than 5 shots get 3 queries.

    Not imitated: a task with a video that cannot be read is drawn again, in tests too, so that such videos drop out
    unseen; the random test frames are drawn anew at every look, ours are random but fixed for each video by a seed;
    batch norm sees the frames of one task on each process, and so it does here, but running statistics are those of
    one process there; on HMDB51 the loss of a task is divided by 4 although 2 make a step, which Adam undoes but for
    its weight decay; a look every 50 tasks on Kinetics is every 12.5 steps, here every 13.
    """
    return family_recipe(
        dataset, _PUBLISHED[like(dataset)], queries=7, queries_by_shot=((1, 7), (2, 6), (3, 5), (4, 4), (5, 3))
    )


HYRSM = Preset(
    name="hyrsm",
    source="Wang et al. (HyRSM), CVPR 2022, https://github.com/alibaba-mmai-research/HyRSM",
    recipe=hyrsm,
)

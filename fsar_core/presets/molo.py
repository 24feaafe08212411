"""The preset ``molo``."""

from fsar_core.presets.dataset_names import like
from fsar_core.presets.hyrsm_family import Published, family_recipe
from fsar_core.presets.preset import Preset
from fsar_core.presets.recipe import Recipe

MOLO_PUBLISHED = {
    "hmdb51": Published(
        tasks=2_000, lr=5e-5, start_lr=1e-5, unit=500, drops=((3, 0.5), (5, 0.1), (7, 0.01)), look_every=100
    ),
    "ucf101": Published(tasks=6_000, lr=5e-5, start_lr=1e-5, unit=2_000, drops=((3, 0.1), (6, 0.01)), look_every=100),
    "kinetics100": Published(tasks=5_000, lr=2e-5, start_lr=5e-6, unit=350, drops=((4, 0.1), (6, 0.01)), look_every=20),
    "ssv2_small": Published(
        tasks=20_000, lr=1e-4, start_lr=2e-5, unit=1_500, drops=((4, 0.1), (8, 0.01)), look_every=1_000
    ),
    "ssv2_full": Published(
        tasks=50_000, lr=1e-4, start_lr=2e-5, unit=6_000, drops=((6, 0.1), (9, 0.01)), look_every=1_000
    ),
}


def molo(dataset: str) -> Recipe:
    """As MoLo's code: like HyRSM's, with other schedules and one training for all numbers of shots.

    Source: configs/projects/MoLo/*/*_1shot_v1.yaml of the code for tasks, rates, drops, queries and looks; data
    loader, optimiser and schedule are HyRSM's. Its 5-shot files train with one support per class too. 4 tasks on each
    of 4 processes make a step. Kinetics-100 has 250 looks at the test list.

    Silent: data sets that are not in its files get the numbers of HMDB51.

    Not imitated: its 5-shot files name a number of test shots that its code does not read, so that they test 1-shot;
    and as in HyRSM's code, a task with a video that cannot be read is drawn again, test frames are drawn anew at every
    look (ours are fixed for each video by a seed), and the running statistics of batch norm are those of one process.
    """
    return family_recipe(dataset, MOLO_PUBLISHED[like(dataset)], queries=6)


MOLO = Preset(
    name="molo",
    source="Wang et al. (MoLo), CVPR 2023, https://github.com/alibaba-mmai-research/MoLo",
    recipe=molo,
)

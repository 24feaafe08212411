"""Points at the edges of the spaces do not only make a run: they train a step and answer an episode."""

from collections.abc import Mapping

import pytest
import torch

from fsar_core.episode import Episode
from fsar_core.presets import laptop64
from search_spaces.spaces import all_spaces
from search_spaces.spaces.cardinality import point
from search_spaces.table import Setting

RECIPE = laptop64("motionshapes")
EDGES: list[tuple[str, Mapping[str, Setting]]] = [
    ("cardinality/trx", point((1,), 0.2)),
    ("cardinality/strm", point((1, 2, 3, 4), 0.2)),
    ("loss_weights/sgtm", {"lambda": 0.0}),
    ("loss_weights/strm", {"loss_weight": 0.0, "score_weight": 0.0}),
    ("loss_weights/vim", {"mu_intra": 0.0, "mu_inter": 2.0, "inter_sign": -1}),
    ("frame_count/otam", {"frames": 2}),
    ("frame_count/sgtm", {"frames": 3}),
    ("frame_count/vim", {"frames": 4, "spare_frames": 0}),
]


@pytest.mark.parametrize(("name", "edge"), EDGES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(EDGES)])
def test_points_at_the_edges_train_and_test(name: str, edge: Mapping[str, Setting]) -> None:
    run = all_spaces()[name].run(edge, RECIPE)
    torch.manual_seed(0)
    method = run.method.build(frames=run.data.frames, crop=run.data.crop, classes=2).train()
    method.at_step(1, 10)
    labels = torch.tensor([0, 1])
    videos = torch.rand(4, run.data.frames, 3, run.data.crop, run.data.crop)
    episode = Episode(videos=videos, class_ids=labels.repeat(2), way=2, shot=1, query_labels=labels)
    total = method(episode).total
    total.backward()
    assert total.isfinite()
    assert method.predict(episode).isfinite().all()

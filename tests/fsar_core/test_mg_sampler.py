"""Frames at equal shares of motion."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.models import resnet50

from fsar_core.frame_samplers.mg_sampler import MgSampler, nearest_share
from tests.fsar_core.sampler_golden import DTYPES, case, rand


def sampler(keep: int = 3) -> MgSampler:
    torch.manual_seed(0)
    return MgSampler.Config(keep=keep, weights="none").build(frames=8, crop=16).eval()


def middles(keep: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return ((torch.arange(keep) + 0.5) / keep).to(dtype)[None]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["c0", "c1", "c2"])
def test_the_choice_is_that_of_the_published_code(name: str, dtype: torch.dtype) -> None:
    golden = case("vim_mgsampler", name, dtype)
    found = nearest_share(golden["motion"][None], middles(16, dtype), 0.5)
    assert torch.equal(found[0] + 1, golden["index_1based"].long())


@pytest.mark.parametrize(("total", "keep", "power"), [(7, 3, 0.5), (4, 6, 1.0), (2, 2, 0.0)])
def test_the_nearest_share_by_loops(total: int, keep: int, power: float) -> None:
    motion, places = rand(5, total), rand(5, keep, seed=1)
    found = nearest_share(motion, places, power)
    for v in range(5):
        rooted = [value**power for value in motion[v].tolist()]
        sums = [sum(rooted[: i + 1]) / sum(rooted) for i in range(total)]
        for t in range(keep):
            distances = [abs(value - places[v, t].item()) for value in sums]
            assert found[v, t] == distances.index(min(distances))


def test_a_still_clip_counts_as_even_motion() -> None:
    found = nearest_share(torch.zeros(1, 8), middles(4), 0.5)
    assert torch.equal(found, nearest_share(torch.ones(1, 8), middles(4), 0.5))


def test_motion_is_the_distance_of_neighbouring_frames_after_the_stem() -> None:
    part, videos = sampler(), rand(3, 5, 3, 16, 16).float()
    for v in range(3):
        maps = [torch.nn.functional.conv2d(frame[None], part.stem.weight, stride=2, padding=3) for frame in videos[v]]
        expected = [(b - a).square().sum(1).sqrt().sum() for a, b in pairwise(maps)]
        torch.testing.assert_close(part.motion(videos)[v], torch.stack(expected))


def test_a_test_is_fixed_and_training_draws_around_it() -> None:
    part, videos = sampler(), rand(2, 8, 3, 16, 16).float()
    assert torch.equal(part(videos).frames, part(videos).frames)
    expected = nearest_share(part.motion(videos), middles(3, torch.float32).expand(2, 3), 0.5)
    assert torch.equal(part(videos).frames, torch.stack([videos[v, expected[v]] for v in range(2)]))
    part.train()
    torch.manual_seed(1)
    first = part(videos).frames
    torch.manual_seed(1)
    assert torch.equal(part(videos).frames, first)
    assert any(not torch.equal(part(videos).frames, first) for _ in range(5))


def test_frames_come_where_something_moves() -> None:
    videos = torch.zeros(1, 12, 3, 16, 16)
    for t in range(6, 10):
        videos[:, t:, :, t : t + 4] += 1.0
    still = torch.zeros(1, 12, 3, 16, 16)
    part = sampler(keep=4)
    motion = part.motion(videos)[0]
    assert (motion[:5] == 0).all()
    assert (motion[5:9] > 0).all()
    chosen = nearest_share(part.motion(videos), middles(4, torch.float32), 0.5)[0].tolist()
    assert len(set(chosen)) == 4
    assert set(chosen) <= {4, 5, 6, 7, 8}  # half a share before the first motion is as near to the frame before it
    assert part(still).frames.shape == (1, 4, 3, 16, 16)


def test_nothing_trains_and_the_stem_is_that_of_a_resnet_50() -> None:
    part = sampler()
    assert not any(p.requires_grad for p in part.parameters())
    (network, config), *others = part.pretrained()
    assert others == []
    assert config.published() == ("resnet50", "IMAGENET1K_V1")
    state = {name: value for name, value in resnet50(weights=None).state_dict().items() if not name.startswith("fc.")}
    network.pretrained_part().load_state_dict(state)
    assert torch.equal(part.stem.weight, state["conv1.weight"])


def test_the_weights_of_a_test_are_those_of_the_run(tmp_path: Path) -> None:
    part, other = sampler(), MgSampler.Config(keep=3, weights="none").build(frames=8, crop=16).eval()
    videos = rand(1, 8, 3, 16, 16).float()
    assert not torch.equal(other.motion(videos), part.motion(videos))
    torch.save(part.state_dict(), tmp_path / "part.pt")
    other.load_state_dict(torch.load(tmp_path / "part.pt"))
    assert torch.equal(other.motion(videos), part.motion(videos))


def test_it_needs_two_frames_and_may_keep_more_than_there_are() -> None:
    config = MgSampler.Config(keep=6)
    assert config.frames(2) == 6
    assert not config.by_episode()
    with pytest.raises(ValueError, match="mg_sampler needs clips of 2 frames or more, but they have 1"):
        config.frames(1)

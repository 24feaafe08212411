"""VIM's task learner: what the supports of an episode tell the sampler."""

import pytest
import torch

from fsar_core.frame_samplers.task_learner import TaskLearner
from tests.fsar_core.sampler_golden import DTYPES, randn

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


class TestTaskLearner:
    def learner(self, **changes: object) -> TaskLearner:
        torch.manual_seed(0)
        config = TaskLearner.Config.model_validate({"dim": 4, **changes})
        return config.build(width=6, temporal=5, spatial=7).double().eval()

    def test_the_statistics_are_averaged_before_the_exponential(self) -> None:
        learner, supports = self.learner(), randn(3, 6)
        outputs = torch.stack([learner.encoder(video) for video in supports]).mean(0)
        draw = randn(4, seed=1)
        vector = outputs[:4] + torch.exp(0.5 * outputs[4:]) * draw
        temporal, spatial = learner(supports, draw)
        for layer, found in ((learner.temporal, temporal), (learner.spatial, spatial)):
            assert layer is not None
            assert found is not None
            expected = layer(vector)
            torch.testing.assert_close(found, expected / expected.square().sum().sqrt())

    def test_the_order_of_the_supports_does_not_matter_and_their_content_does(self) -> None:
        learner, supports = self.learner(), randn(3, 6)
        torch.testing.assert_close(learner(supports.flip(0)), learner(supports))
        assert (learner(supports + 1)[0] - learner(supports)[0]).abs().max() > 0.01

    def test_a_test_takes_the_mean_or_one_fixed_draw_and_training_a_fresh_one(self) -> None:
        supports = randn(3, 6)
        mean, drawn = self.learner(), self.learner(sample_in_test=True)
        torch.testing.assert_close(mean(supports)[0], mean(supports, torch.zeros(4).double())[0])
        torch.testing.assert_close(drawn(supports)[0], drawn(supports)[0])
        assert (drawn(supports)[0] - mean(supports)[0]).abs().max() > 0.01
        mean.train()
        assert (mean(supports)[0] - mean(supports)[0]).abs().max() > 0.01

    def test_saliency_starts_near_the_mean_over_channels(self) -> None:
        spatial = self.learner().spatial
        assert spatial is not None
        assert torch.equal(spatial.bias, torch.ones(7).double())

    def test_only_what_is_used_is_built(self) -> None:
        learner = TaskLearner.Config(dim=4).build(width=6, temporal=None, spatial=7)
        assert learner.temporal is None
        assert learner(torch.zeros(2, 6))[0] is None

"""STRM as a whole: the numbers of the released code, its sizes, its variants."""

from itertools import product
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.backbones import ResNet, SmallNet
from fsar_core.episode import Episode
from fsar_core.matchers import QueryClass, Trx
from fsar_core.method import Method, MethodConfig
from fsar_core.methods import strm, trx
from fsar_core.stages import MaxMeanPool, SpatialPool
from tests.fsar_core import tiny
from tests.fsar_core.lively import built, episode
from tests.fsar_core.strm_golden import frame_weights, golden, near, patch_weights


class TestGolden:
    def test_the_whole_head_is_that_of_the_released_code(self) -> None:
        arrays = golden("strm_full", torch.float64)
        by_class = arrays["support_labels"].argsort(stable=True)
        maps = torch.cat([arrays["support_map"][by_class], arrays["query_map"]])
        labels = arrays["query_labels"]
        clips = Episode(videos=maps, class_ids=labels, given="backbone", way=5, shot=2, query_labels=labels)
        method = self.loaded(arrays)

        outputs = method.embed(clips)
        matches = method.match(outputs, clips.way, clips.shot)
        tm, qc = (match.logits for match in matches)

        for name, own in (("pooled", "h"), ("mixed", "e")):
            near(outputs[name][:10], arrays[f"support_frames_{own}"][by_class], 1e-10)
            near(outputs[name][10:], arrays[f"query_frames_{own}"], 1e-10)
        near(tm, arrays["tm_logits"], 1e-10)
        near(qc, arrays["qc_logits"], 1e-10)
        near(method.weighted([tm, qc]), arrays["logits"], 1e-10)
        loss = sum(w * F.cross_entropy(own, labels, reduction="sum") for w, own in ((1.0, tm), (0.1, qc))) / 16
        assert isinstance(loss, Tensor)
        near(loss, arrays["task_loss"], 1e-10)
        assert method(clips).total.item() == pytest.approx(16 * arrays["task_loss"].item(), rel=1e-5)
        loss.backward()
        expected = self.weights({name.removeprefix("grad."): own for name, own in arrays.items() if "grad." in name})
        for name, wanted in expected.items():
            near(cast(Tensor, method.get_parameter(name).grad), wanted, 1e-10)

    def loaded(self, arrays: dict[str, Tensor]) -> Method:
        config = strm.strm(SmallNet.Config(channels=2))
        relation = config.heads[0].model_copy(update={"matcher": Trx.Config(cardinalities=(2,), out_dim=24)})
        config = config.model_copy(update={"heads": (relation, config.heads[1])})
        method = config.build(frames=8, crop=112, classes=5).double().eval()
        weights = self.weights(arrays)
        assert set(weights) == {name for name in method.state_dict() if not name.startswith("backbone.")}
        method.load_state_dict(weights, strict=False)
        return method

    def weights(self, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
        """By the names of the method's parameters; gradients lack what is zero in exact arithmetic."""
        found = {f"steps.pooled.{name}": own for name, own in patch_weights(arrays, "ple.").items()}
        found |= {f"steps.mixed.{name}": own for name, own in frame_weights(arrays, "fle.").items()}
        for layer, kind in product(("key", "value", "key_norm"), ("weight", "bias")):
            found[f"heads.0.branches.0.{layer}.{kind}"] = arrays[f"trm.c2.{layer}.{kind}"]
        found |= {
            f"heads.1.branches.0.projection.{kind}": arrays[f"qc.c2.cls.{kind}"]
            for kind in ("weight", "bias")
            if f"qc.c2.cls.{kind}" in arrays
        }
        return found


RESNET = ResNet.Config(depth=50, weights="none")
DATA = tiny.data(crop=32)

TABLE: dict[tuple[int, ...], int] = {
    (1,): 54_462_417 + 2_098_176,
    (2,): 63_376_337,
    (3,): 63_899_601 + 6_292_480,
    (4,): 68_618_193 + 8_389_632,
    (2, 3): 73_343_697 + 10_487_808,
    (2, 4): 78_062_289 + 12_584_960,
    (3, 4): 82_780_881 + 14_682_112,
    (2, 3, 4): 92_224_977 + 18_877_440,
}
"""Parameters of the released model with a registered similarity head, by cardinalities."""

IDLE = 2_304
"""Of each branch of TRX in the released code: a normalisation that is never applied."""


def on_meta(config: MethodConfig) -> Method:
    with torch.device("meta"):
        return config.build(frames=8, crop=224, classes=64)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


class TestMethod:
    def test_parts_have_the_parameters_of_the_released_ones(self) -> None:
        method = on_meta(strm.strm(RESNET))
        parts = {name: count(part) for name, part in method.steps.items()}
        assert parts == {"pooled": 17_836_033, "mixed": 8_392_848}
        assert [count(head) for head in method.heads] == [9_444_096 - IDLE, 4_195_328]
        assert count(method.backbone) == 23_508_032
        assert count(method) == TABLE[2,] - IDLE
        assert count(on_meta(strm.trm_only(RESNET))) == 32_952_128 - IDLE

    @pytest.mark.parametrize("cardinalities", TABLE, ids=str)
    def test_every_set_of_cardinalities_has_the_parameters_of_the_released_model(
        self, cardinalities: tuple[int, ...]
    ) -> None:
        method = on_meta(strm.strm(RESNET, cardinalities=cardinalities))
        assert count(method) == TABLE[cardinalities] - IDLE * len(cardinalities)

    def test_without_its_parts_it_is_trx_of_pairs(self) -> None:
        assert strm.trm_only(RESNET) == trx.trx(RESNET, cardinalities=(2,))

    def test_both_heads_keep_the_same_tuples(self) -> None:
        config = strm.strm(
            RESNET,
            cardinalities=(3,),
            tuple_fraction=0.4,
            tuple_seed=7,
            out_dim=9,
            similarity=QueryClass.Config(dim=5, tuple_seed=7),
            relation=Trx.Config(distance="l2"),
        )
        relation, similarity = (head.matcher for head in config.heads)
        expected = Trx.Config(distance="l2", cardinalities=(3,), tuple_fraction=0.4, tuple_seed=7, out_dim=9)
        assert relation == expected
        assert similarity == QueryClass.Config(dim=5, cardinalities=(3,), tuple_fraction=0.4, tuple_seed=7)
        method = on_meta(config)
        tables = [dict(head.named_buffers())["branches.0.table"] for head in method.heads]
        assert tables[0].shape == tables[1].shape == (22, 3)

    def test_a_setting_of_a_part_that_would_be_lost_is_refused(self) -> None:
        with pytest.raises(ValueError, match="cardinalities must be arguments of the method"):
            strm.strm(RESNET, similarity=QueryClass.Config(cardinalities=(1,)))
        with pytest.raises(ValueError, match="out_dim must be arguments of the method"):
            strm.strm(RESNET, relation=Trx.Config(out_dim=3))

    def test_variants_differ_from_the_method_and_from_each_other(self) -> None:
        configs = {name: variant(RESNET) for name, variant in strm.METHOD.variants.items()}
        assert next(iter(configs)) == "strm"
        assert len({config.canonical_json() for config in configs.values()}) == len(configs)

    @pytest.mark.parametrize("name", strm.METHOD.variants)
    def test_every_variant_trains_all_its_parameters(self, name: str) -> None:
        config = strm.METHOD.variants[name](tiny.BACKBONE)
        method = built(config, data=DATA).train()
        torch.manual_seed(0)
        output = method(episode(shot=2, data=DATA))
        output.total.backward()
        idle = {name for name, own in method.named_parameters() if own.grad is None}
        frozen = {name for name, own in method.named_parameters() if not own.requires_grad}
        assert idle == frozen
        assert all("projection" in name for name in frozen)
        assert bool(frozen) == (name == "release")
        assert output.logits.shape == (6, 3)

    def test_without_a_score_the_similarity_trains_and_is_not_built_for_a_test(self) -> None:
        config = strm.no_qc_score(tiny.BACKBONE)
        method, bare = built(config, data=DATA), built(strm.no_qc(tiny.BACKBONE), data=DATA)
        whole = episode(shot=2, data=DATA)
        bare.load_state_dict(
            {name: own for name, own in method.state_dict().items() if not name.startswith("heads.1.")}
        )
        torch.testing.assert_close(method.predict(whole), bare.predict(whole))
        assert method(whole).total > bare(whole).total
        assert config.for_test() == strm.no_qc(tiny.BACKBONE)

    def test_pools_stand_in_for_patch_enrichment(self) -> None:
        pooled = {name: strm.METHOD.variants[name](RESNET).steps[0].stage for name in ("no_ple", "no_ple_max")}
        assert pooled == {"no_ple": SpatialPool.Config(), "no_ple_max": MaxMeanPool.Config(size=4)}
